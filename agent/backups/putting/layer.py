"""Lays entries over what is there, one by one, and keeps aside what is replaced; or only looks what that would do."""

# ruff: noqa: PTH103, PTH108, PTH120 - descriptors of folders are the point
from __future__ import annotations

import contextlib
import os
import stat
from typing import Any, Container, Iterable  # noqa: UP035  Python 3.7 on the other side

from agent.backups.putting import copying, dressing, way
from agent.backups.putting.entries import Entry, kind_of
from agent.backups.putting.way import Way

DRAFT = ".watchkeeper-restoring"  # one at a time in a folder: what a run that was killed left is replaced
MOST_TOLD = 200
COUNTED = ("new", "new_bytes", "changed", "changed_bytes", "same", "same_bytes", "faults", "kept", "bare", "others")


class Layer:
    """Looks what laying entries would do, or does it; counts either way. `holey` are the files that had holes."""

    def __init__(self, root: str, keep: str, owners: bool, holey: Container[str] = ()) -> None:  # noqa: FBT001
        self._root, self._way, self._keep, self._owners, self._holey = root, Way(root), keep, owners, holey
        self._gone: set[str] = set()  # what stands in the way of a folder, and is to be replaced by it
        self._folders: list[Entry] = []
        self._firsts: dict[str, tuple[str, tuple[int, int] | None]] = {}  # of a file with several names; None: not yet
        self.told: list[list[Any]] = []
        self.faults: list[str] = []
        self.counts = dict.fromkeys(COUNTED, 0)

    def look(self, entry: Entry) -> str:
        """What would become of an entry: new, changed, same, or blocked."""
        try:
            folder = self._way.enter(entry.parent)
            old = way.seen(folder, entry.name)
        except OSError as error:
            if isinstance(error, FileNotFoundError) or self._is_cleared(entry.parent):
                return self._looked("new", entry, None)
            return self._fault(entry, "the way to it leads over a link, or over what is no folder")
        if old is None:
            return self._looked("new", entry, None)
        verdict = self._compare(entry, folder, old)
        if verdict == "blocked":
            return self._fault(entry, "a folder is in its place: move it away first")
        return self._looked(verdict, entry, old if verdict == "same" else None)

    def _looked(self, verdict: str, entry: Entry, old: os.stat_result | None) -> str:
        self._remember(entry, old)
        return self._count(verdict, entry)

    def _is_cleared(self, path: str) -> bool:
        return any(path == gone or path.startswith(gone + "/") for gone in self._gone)

    def _compare(self, entry: Entry, folder: int, old: os.stat_result) -> str:
        kind = kind_of(old)
        if kind == "dir" and entry.kind != "dir":
            return "blocked"
        if kind != entry.kind:
            if entry.kind == "dir":
                self._gone.add(entry.path)
            return "changed"
        try:
            return "same" if self._is_same(entry, folder, old) else "changed"
        except PermissionError:
            return "changed"  # nobody knows

    def _is_same(self, entry: Entry, folder: int, old: os.stat_result) -> bool:
        if not dressing.is_dressed(entry, folder, old, self._owners):
            return False
        if entry.group in self._firsts and self._firsts[entry.group][1] != (old.st_dev, old.st_ino):
            return False
        return entry.kind == "dir" or copying.is_content(entry, folder, old)

    def _remember(self, entry: Entry, there: os.stat_result | None) -> None:
        """The first name of a file, and which file it is: the other names are to be of the same one."""
        if entry.group:
            self._firsts.setdefault(entry.group, (entry.path, (there.st_dev, there.st_ino) if there else None))

    def lay(self, entry: Entry) -> None:
        """Put an entry in its place; a failure is counted and told, and the others go on."""
        try:
            folder = self._way.enter(entry.parent)
            old = way.seen(folder, entry.name)
            if entry.kind == "dir":
                self._lay_folder(entry, folder, old)
            elif old is not None and self._compare(entry, folder, old) == "same":
                self._count("same", entry)
            else:
                self._lay_other(entry, folder, old)
            self._remember(entry, way.seen(folder, entry.name))
        except OSError as error:
            self._fault(entry, error.strerror or str(error))

    def _lay_folder(self, entry: Entry, folder: int, old: os.stat_result | None) -> None:
        if old is not None and not stat.S_ISDIR(old.st_mode):
            self._keep_aside(entry, folder, old)
            os.unlink(entry.name, dir_fd=folder)
            os.mkdir(entry.name, 0o700, dir_fd=folder)
            self._count("changed", entry)
        elif old is None:
            os.mkdir(entry.name, 0o700, dir_fd=folder)
            self._count("new", entry)
        else:
            self._count("same" if dressing.is_dressed(entry, folder, old, self._owners) else "changed", entry)
        self._folders.append(entry)

    def _lay_other(self, entry: Entry, folder: int, old: os.stat_result | None) -> None:
        if old is not None and stat.S_ISDIR(old.st_mode):
            self._fault(entry, "a folder is in its place: move it away first")
            return
        with contextlib.suppress(FileNotFoundError):
            os.unlink(DRAFT, dir_fd=folder)
        self._make(entry, folder)
        if old is not None:
            self._keep_aside(entry, folder, old)
        os.replace(DRAFT, entry.name, src_dir_fd=folder, dst_dir_fd=folder)
        self._count("new" if old is None else "changed", entry)

    def _make(self, entry: Entry, folder: int) -> None:
        first, there = self._firsts.get(entry.group, ("", None))
        if there is None:
            copying.make(entry, folder, DRAFT, entry.path in self._holey)
            dressing.dress(entry, folder, DRAFT, self._owners)
            return
        parent, _, name = first.rpartition("/")
        there_too = Way(self._root)
        try:
            os.link(name, DRAFT, src_dir_fd=there_too.enter(parent), dst_dir_fd=folder, follow_symlinks=False)
        finally:
            there_too.close()

    def _keep_aside(self, entry: Entry, folder: int, old: os.stat_result) -> None:
        """Have what stands there under the same path below the keep, before it is replaced."""
        aside = self._keep + entry.path
        os.makedirs(os.path.dirname(aside), 0o700, exist_ok=True)
        try:
            os.link(entry.name, aside, src_dir_fd=folder, follow_symlinks=False)
        except OSError:  # another file system: a copy then
            self._copy_aside(entry, folder, old, aside)
        self.counts["kept"] += 1

    def _copy_aside(self, entry: Entry, folder: int, old: os.stat_result, aside: str) -> None:
        try:
            self.counts["bare"] += not copying.aside(folder, entry.name, old, aside)
        except OSError as error:
            if not isinstance(error, FileExistsError):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(aside)  # half of it is worth nothing
            words = "what is there could not be kept in " + aside + ", and stays: " + (error.strerror or str(error))
            raise OSError(error.errno, words) from error

    def finish(self) -> None:
        """Give the folders what is theirs, the innermost first, when nothing changes in them any more."""
        for entry in reversed(self._folders):
            try:
                dressing.dress(entry, self._way.enter(entry.parent), entry.name, self._owners)
            except OSError as error:
                self._fault(entry, error.strerror or str(error))
        os.sync()

    def others(self, sources: Iterable[str]) -> None:
        """Count what is there and not in the snapshot: it is left alone."""
        found = 0
        for source in sources:
            try:
                folder = self._way.enter(source)
            except OSError:
                continue
            found += sum(len(folders) + len(files) for _, folders, files, _ in os.fwalk(".", dir_fd=folder))
            found += 1
        self.counts["others"] = max(0, found - self.counts["changed"] - self.counts["same"])

    def _count(self, verdict: str, entry: Entry) -> str:
        self.counts[verdict] += 1
        self.counts[verdict + "_bytes"] += entry.size
        if verdict != "same" and len(self.told) < MOST_TOLD:
            self.told.append([verdict, entry.path, entry.kind, entry.size])
        return verdict

    def _fault(self, entry: Entry, words: str) -> str:
        self.counts["faults"] += 1
        if len(self.faults) < MOST_TOLD:
            self.faults.append(entry.path + ": " + words)
        return "blocked"

    def answer(self) -> dict[str, Any]:
        """What was counted and told."""
        return dict(self.counts, told=self.told, words=self.faults)
