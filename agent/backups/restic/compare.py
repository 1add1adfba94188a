"""Compares a restored tree with the manifest of its snapshot, entry by entry."""

import dataclasses
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from agent.backups.restic import content, describe
from agent.backups.restic.manifest import Entry
from agent.backups.restic.names import is_unnamed
from agent.clock import Deadline

FAULTS_KEPT = 50
_FREE = ("user.", "system.posix_acl_")  # attributes that the owner of a file may set
_NOT_RESTORED = {"socket", "irregular"}  # restic saves their names alone


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """What was compared, what could not be (torn), and the first of the faults; of `bare` entries no attributes were told."""

    compared: int
    torn: int
    size_bytes: int
    faults: tuple[str, ...]
    fault_count: int
    bare: int = 0


class Comparer:
    """Compares under a root; owners only where we may set them (as root). `digest` reads a file's content."""

    def __init__(
        self,
        root: Path,
        deadline: Deadline,
        *,
        owners: bool,
        tick: Callable[[int, int], None],
        digest: Callable[[str, os.stat_result, Deadline], str | None] = content.digest,
    ) -> None:
        self._root, self._deadline, self._owners, self._tick = str(root), deadline, owners, tick
        self._digest = digest
        self._compared = self._torn = self._present = self._unnamed = self._size_bytes = self._fault_count = (
            self._bare
        ) = 0
        self._faults: list[str] = []
        self._groups: dict[str, tuple[tuple[int, int], str]] = {}

    def compare(self, entries: Callable[[], Iterable[Entry]], sources: Iterable[str]) -> Comparison:
        """Compare all entries, then look for what is there and should not be; `entries` is asked anew for each pass."""
        for entry in entries():
            self._one(entry)
            if self._deadline.is_over():
                raise TimeoutError
        found = sum(1 for _ in _walk(self._root, sources))
        if found != self._present:
            known = {entry.path for entry in entries()}
            for path in _walk(self._root, sources):
                if path not in known and not (self._unnamed and not path.isprintable()):
                    self._fault("not in the snapshot", path)
        return Comparison(
            compared=self._compared,
            torn=self._torn,
            size_bytes=self._size_bytes,
            faults=tuple(self._faults),
            fault_count=self._fault_count,
            bare=self._bare,
        )

    def _one(self, entry: Entry) -> None:
        if entry.kind in _NOT_RESTORED:
            return
        self._torn += entry.torn
        if entry.torn and is_unnamed(entry.path):
            self._unnamed += 1
            return
        path = self._root + entry.path
        try:
            seen = os.lstat(path)
        except OSError as error:
            self._fault(
                f"missing ({error.strerror})" if not isinstance(error, FileNotFoundError) else "missing", entry.path
            )
            return
        self._present += 1
        if self._is_kind(entry, seen) and not entry.torn:
            self._compared += 1
            self._size_bytes += entry.size
            self._metadata(entry, seen)
            self._attributes(entry, path)
            self._names_of_one_file(entry, seen)
            self._content(entry, path, seen)
            self._tick(self._compared, self._size_bytes)

    def _is_kind(self, entry: Entry, seen: os.stat_result) -> bool:
        kind = describe.KINDS.get(stat.S_IFMT(seen.st_mode), "unknown")
        if kind != entry.kind:
            self._fault(f"is a {kind} instead of a {entry.kind}", entry.path)
        return kind == entry.kind

    def _metadata(self, entry: Entry, seen: os.stat_result) -> None:
        mode = stat.S_IMODE(seen.st_mode)
        if mode != entry.mode and entry.kind != "symlink":
            self._fault(f"mode {mode:04o} instead of {entry.mode:04o}", entry.path)
        if self._owners and (seen.st_uid, seen.st_gid) != (entry.uid, entry.gid):
            self._fault(f"owner {seen.st_uid}:{seen.st_gid} instead of {entry.uid}:{entry.gid}", entry.path)
        if seen.st_mtime_ns != entry.mtime_ns:
            self._fault(f"modified {(seen.st_mtime_ns - entry.mtime_ns) / 1e9:+.9f} s off", entry.path)

    def _attributes(self, entry: Entry, path: str) -> None:
        """Extended attributes and ACLs; those that only root may set, only as root."""
        if entry.attributes is None:
            self._bare += 1
            return
        seen, wanted = (
            {name: value for name, value in found if self._owners or name.startswith(_FREE)}
            for found in (describe.attributes(path), entry.attributes)
        )
        for name in sorted(seen.keys() | wanted.keys()):
            if seen.get(name) != wanted.get(name):
                how = "differs" if name in seen and name in wanted else "is new" if name in seen else "is missing"
                self._fault(f"attribute {printable(name)} {how}", entry.path)

    def _names_of_one_file(self, entry: Entry, seen: os.stat_result) -> None:
        if entry.group:
            inode = (seen.st_dev, seen.st_ino)
            first, path = self._groups.setdefault(entry.group, (inode, entry.path))
            if first != inode:
                self._fault(f"is no longer the same file as {printable(path)}", entry.path)

    def _content(self, entry: Entry, path: str, seen: os.stat_result) -> None:
        if entry.kind == "symlink":
            if os.readlink(path) != entry.link:  # noqa: PTH115  # a Path would tidy the text up
                self._fault("leads elsewhere than it did", entry.path)
        elif entry.kind in {"dev", "chardev"}:
            if f"{os.major(seen.st_rdev)}:{os.minor(seen.st_rdev)}" != entry.link:
                self._fault("is another device", entry.path)
        elif entry.kind == "file":
            if seen.st_size != entry.size:
                self._fault(f"{seen.st_size} bytes instead of {entry.size}", entry.path)
            elif self._digest(path, seen, self._deadline) != entry.sha256:
                self._fault("content differs", entry.path)

    def _fault(self, what: str, path: str) -> None:
        self._fault_count += 1
        if len(self._faults) < FAULTS_KEPT:
            self._faults.append(f"{what}: {printable(path)}")


def printable(path: str) -> str:
    """A path as text that can be shown and stored, whatever bytes it is made of."""
    clean = os.fsencode(path).decode(errors="backslashreplace")
    return clean if clean.isprintable() else ascii(clean)[1:-1]


def below(entries: Iterable[Entry], paths: tuple[str, ...]) -> Iterator[Entry]:
    """The entries at and below these paths; without paths, all."""
    folders = tuple(path.rstrip("/") + "/" for path in paths)
    return (entry for entry in entries if not paths or entry.path in paths or entry.path.startswith(folders))


def _walk(root: str, sources: Iterable[str]) -> Iterator[str]:
    """Every entry at and below the sources under the root, as a path of the snapshot; links are not followed."""
    for source in sources:
        top = root + source.rstrip("/")
        if os.path.lexists(top) and source != "/":
            yield source
        if not Path(top).is_symlink():
            for folder, folders, files in os.walk(top):
                inside = folder.removeprefix(root)
                yield from (f"{inside}/{name}" for name in (*folders, *files))
