"""Describes a tree while restic saves it, without asking restic what it saved: that would cost a second start of it.

What was seen counts only when it did not change from before the backup began until after it ended, and when there are
exactly as many files, folders and bytes as restic says it saved. Any doubt leads to restic's own listing (survey.py).
"""

import contextlib
import dataclasses
import functools
import json
import os
import stat
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from agent.backups.restic import content, describe, manifest
from agent.backups.restic.manifest import Draft, Entry, Totals
from agent.backups.restic.outcome import Message
from agent.clock import Deadline
from agent.errors import AgentError

MOST = 500_000  # entries; beyond that, restic's listing needs less memory
_PACE = 256  # entries between two looks at the clock
_TICK_NS = 10_000_000  # the kernel's stamps are up to 4 ms (at HZ=250) older than what they stamp
_FILES = ("files_new", "files_changed", "files_unmodified")
_FOLDERS = ("dirs_new", "dirs_changed", "dirs_unmodified")
_quoted = json.encoder.encode_basestring_ascii


class _Row:
    """One entry: where it is, how it was seen, its line, and whether this line is new."""

    __slots__ = ("is_hashed", "is_new", "kind", "line", "path", "seen")

    def __init__(self, path: str, kind: str, seen: os.stat_result) -> None:
        self.path, self.kind, self.seen = path, kind, seen
        self.line, self.is_new, self.is_hashed = b"", True, False

    def tear(self) -> None:
        """It changed: nothing of it is known but its name."""
        self.line, self.is_new = _torn(self), True


def _torn(row: _Row) -> bytes:
    return manifest.line_of(Entry(path=row.path, kind=row.kind, torn=True))


class Previous:
    """The last manifest; nothing of it counts where it is not what its name says, or is of an older version."""

    def __init__(self, path: Path | None) -> None:
        self.header: manifest.Header | None = None
        self.body = b""
        if path is not None:
            with contextlib.suppress(AgentError):
                manifest.verify(path)
                self.header, self.body = manifest.packed(path)

    @functools.cached_property
    def _lines(self) -> dict[bytes, bytes]:
        try:
            return {_name_in(line): line for line in manifest.unpacked(self.body)} if self.body else {}
        except AgentError:
            return {}

    @property
    def count(self) -> int:
        """How many entries there are."""
        return len(self._lines)

    def line(self, stem: bytes) -> bytes:
        """The line that begins so; empty when the entry is another one by now, or was not there."""
        line = self._lines.get(_name_in(stem), b"")
        return line if line.startswith(stem) else b""


class Census:
    """The entries of some sources below a root. `torn` ones are so from the beginning; `previous` spares hashing."""

    def __init__(
        self,
        sources: Sequence[str],
        deadline: Deadline,
        *,
        root: str = "",
        is_excluded: Callable[[str], bool] = lambda _: False,
        torn: Collection[str] = (),
        previous: Previous | None = None,
    ) -> None:
        self._sources, self._root, self._known_torn = sources, root, torn
        self._is_excluded, self._deadline = is_excluded, deadline
        self._previous = previous or Previous(None)
        self._rows: list[_Row] = []
        self._is_stopped = False
        self.torn = self.files = self.size_bytes = 0
        self._folders = above(sources)

    @property
    def hashed(self) -> int:
        """How many files were read; the others are as they were in the last manifest."""
        return sum(1 for row in self._rows if row.is_hashed)

    def take(self) -> bool:
        """Walk and hash; False when it is better to ask restic. TimeoutError at the deadline."""
        for row in self._walk():
            self._describe(row)
            self._rows.append(row)
            if row.kind == "file":
                self.files += 1
                self.size_bytes += row.seen.st_size
            elif row.kind == "dir":
                self._folders += 1
            if len(self._rows) % _PACE == 0 and self._deadline.is_over():
                raise TimeoutError
            if self._is_stopped or len(self._rows) > MOST:
                return False
        return True

    def stop(self) -> None:
        """Give up: nobody wants to know any more."""
        self._is_stopped = True

    @property
    def totals(self) -> Totals:
        """What was seen, in numbers."""
        return Totals(files=self.files, folders=self._folders, size_bytes=self.size_bytes, torn=self.torn)

    @property
    def unlisted(self) -> tuple[str, ...]:
        """The sources of which there is nothing."""
        seen = {row.path for row in self._rows}
        return tuple(source for source in self._sources if source not in seen and source != "/")

    def settle(self, started_ns: int) -> bool:
        """After the backup: see whether all is as it was when it began; False when folders changed: then more may have."""
        for row in self._rows:
            if row.path in self._known_torn:
                row.tear()
                self.torn += 1
                continue
            if not self._is_untouched(row, started_ns):
                if row.kind == "dir":
                    return False
                row.tear()
                self.torn += 1
        return not self._deadline.is_over()

    def write(self, draft: Draft) -> None:
        """Hand all entries over; as they are packed already, when none has changed."""
        is_new = len(self._rows) != self._previous.count or any(row.is_new for row in self._rows)
        if is_new:
            draft.add_lines(row.line for row in self._rows)
        else:
            draft.take_over(self._previous.body)

    def _is_untouched(self, row: _Row, started_ns: int) -> bool:
        try:
            now = os.lstat(self._root + row.path)
        except OSError:
            return False
        changed_ns = now.st_ctime_ns  # whatever changes, this does as well
        is_same = changed_ns == row.seen.st_ctime_ns and now.st_ino == row.seen.st_ino and changed_ns < started_ns
        if is_same and changed_ns >= started_ns - _TICK_NS:
            before = row.line  # it may have changed once more within the same tick, after it was read
            self._describe(row)
            return row.line == before
        return is_same

    def _describe(self, row: _Row) -> None:
        seen = row.seen
        size = seen.st_size if row.kind == "file" else 0
        stem = (
            f'[{_quoted(row.path)}, "{row.kind}", {stat.S_IMODE(seen.st_mode)}, {seen.st_uid}, {seen.st_gid}, {size}, '
            f"{seen.st_mtime_ns}, {seen.st_ctime_ns}, {seen.st_ino}, "
        ).encode("ascii")
        if known := self._previous.line(stem):
            row.line, row.is_new = known, False
            return
        row.line, row.is_new = self._line(row, stem), True

    def _line(self, row: _Row, stem: bytes) -> bytes:
        """A new line, out of what is on disk; the usual file has neither more names nor attributes nor holes."""
        where, seen = self._root + row.path, row.seen
        if row.kind == "file":
            found = content.digest(where, seen, self._deadline)
            row.is_hashed = found is not None
            if found is None:
                return _torn(row)
            if seen.st_nlink == 1 and not describe.has_holes(seen) and not describe.attributes(where):
                return stem + f'"{found}", ""]\n'.encode("ascii")
            entry = dataclasses.replace(describe.without_content(row.path, row.kind, seen, where), sha256=found)
            return manifest.line_of(entry)
        try:
            return manifest.line_of(describe.without_content(row.path, row.kind, seen, where))
        except OSError:
            return _torn(row)

    def _walk(self) -> Iterator[_Row]:
        """Every entry, a folder before what is in it, by bytes; what cannot be read is for restic to report."""
        for source in self._sources:
            try:
                seen = os.lstat(self._root + source)
            except OSError:
                continue
            if self._is_excluded(source):
                continue
            kind = describe.KINDS.get(stat.S_IFMT(seen.st_mode), "irregular")
            if source != "/":
                yield _Row(source, kind, seen)
            if kind == "dir":
                yield from self._below(source.rstrip("/"))

    def _below(self, folder: str) -> Iterator[_Row]:
        try:
            with os.scandir(f"{self._root}{folder}/") as found:
                entries = sorted(found, key=lambda entry: os.fsencode(entry.name))
        except OSError:
            return
        for entry in entries:
            path = f"{folder}/{entry.name}"
            if self._is_excluded(path):
                continue
            try:
                seen = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            kind = describe.KINDS.get(stat.S_IFMT(seen.st_mode), "irregular")
            yield _Row(path, kind, seen)
            if kind == "dir":
                yield from self._below(path)


def agrees(totals: Totals, summary: Message) -> bool:
    """Whether restic saved as many files, folders and bytes."""
    files, folders = (sum(int(summary.get(name, 0)) for name in names) for names in (_FILES, _FOLDERS))
    seen = (totals.files, totals.folders, totals.size_bytes)
    return (files, folders, int(summary.get("total_bytes_processed", 0))) == seen


def is_unchanged(summary: Message, sources: Sequence[str]) -> bool:
    """Whether restic found everything at and below the sources as in the parent, attributes and all.

    A change in there changes all folders above it, those above the source too, so it counts one more than there are
    of these; fewer are changes above the sources alone, of which nobody asked.
    """
    if any(summary.get(name) for name in (*_FILES[:2], _FOLDERS[0])):
        return False
    return int(summary.get(_FOLDERS[1], 0)) <= min(above([source]) for source in sources)


def _name_in(line: bytes) -> bytes:
    """The quoted name at the beginning of a line; in it, a quote has a backslash before it."""
    return line[: line.find(b'", "')]


def above(sources: Sequence[str]) -> int:
    """How many folders there are above the sources; restic saves them as well."""
    return len({source[:at] for source in sources for at, sign in enumerate(source) if sign == "/" and at})
