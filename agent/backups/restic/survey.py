"""Writes the manifest of a fresh snapshot: what restic says it saved, seen again on disk and hashed.

A file is known to be what was saved when it did not change since before the backup began. Anything else is torn.
"""

import dataclasses
import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.backups.restic import describe, manifest
from agent.backups.restic.manifest import Draft, Entry, Header
from agent.backups.restic.names import TrueNames
from agent.backups.restic.outcome import read_message
from agent.clock import NANOSECONDS, Deadline
from agent.errors import AgentError

_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)\Z")
_EPOCH = datetime.fromtimestamp(0, UTC)
_TYPES = {
    "file": stat.S_ISREG,
    "dir": stat.S_ISDIR,
    "symlink": stat.S_ISLNK,
    "fifo": stat.S_ISFIFO,
    "dev": stat.S_ISBLK,
    "chardev": stat.S_ISCHR,
    "socket": stat.S_ISSOCK,
}


class Survey:
    """Listens to `restic ls --json` and fills a draft with the entries at and below the sources."""

    def __init__(
        self,
        draft: Draft,
        sources: Iterable[str],
        previous: Path | None,
        deadline: Deadline,
        *,
        root: str = "",
        torn: Collection[str] = (),
    ) -> None:
        """`root` stands before the paths where they are not this machine's; what is in `torn` is so already."""
        self._draft = draft
        self._root, self._torn = root, torn
        self._sources = tuple(sources)
        self._below = tuple(source.rstrip("/") + "/" for source in self._sources)
        self._previous = _Previous(previous)
        self._deadline = deadline
        self._names = TrueNames(root)
        self._listed: set[str] = set()
        self._started_ns = 0
        self.header: Header | None = None
        self.files = self.size_bytes = self.hashed = self.torn = 0

    @property
    def unlisted(self) -> tuple[str, ...]:
        """The sources of which nothing is in the snapshot."""
        return tuple(source for source in self._sources if source not in self._listed and source != "/")

    def hear(self, line: str) -> None:
        """One line of the listing: the snapshot first, then its entries in order."""
        node = read_message(line)
        if node is None:
            return
        if node.get("struct_type", node.get("message_type")) == "snapshot":
            self._begin(node)
        elif "path" in node and self.header is not None:
            self._take(node)

    def _begin(self, node: Mapping[str, Any]) -> None:
        self._started_ns = nanoseconds(node["time"])
        self.header = Header(snapshot=node["id"], at_us=self._started_ns // 1000, sources=self._sources)
        self._draft.begin(self.header)

    def _take(self, node: Mapping[str, Any]) -> None:
        listed = node["path"]
        path = self._names.find(listed)
        if not self._is_ours(path or listed):
            return
        entry = Entry(path=listed, kind=node["type"], torn=True) if path is None else self._entry(path, node)
        self._draft.add(entry)
        if entry.path in self._sources:
            self._listed.add(entry.path)
        self.torn += entry.torn
        if entry.kind == "file":
            self.files += 1
            self.size_bytes += node.get("size", 0)

    def _is_ours(self, path: str) -> bool:
        return path in self._sources or path.startswith(self._below)

    def _entry(self, path: str, node: Mapping[str, Any]) -> Entry:
        kind = node["type"]
        where = self._root + path
        try:
            seen = os.lstat(where)
            entry = describe.without_content(path, kind, seen, where)
        except OSError:
            return Entry(path=path, kind=kind, torn=True)
        if path in self._torn or not self._is_as_saved(seen, node):
            return Entry(path=path, kind=kind, torn=True)
        if kind != "file":
            return entry
        known = self._previous.digest_of(entry)
        if known:
            return dataclasses.replace(entry, sha256=known)
        described = describe.with_content(entry, seen, self._deadline, where)
        self.hashed += not described.torn
        return described

    def _is_as_saved(self, seen: os.stat_result, node: Mapping[str, Any]) -> bool:
        """Whether nothing touched it since before the backup began: the kernel's stamps are too coarse for less."""
        is_type = _TYPES.get(node["type"])
        return (
            is_type is not None
            and is_type(seen.st_mode)
            and seen.st_ctime_ns < self._started_ns
            and seen.st_ctime_ns == nanoseconds(node["ctime"])
            and seen.st_mtime_ns == nanoseconds(node["mtime"])
            and (node["type"] != "file" or seen.st_size == node.get("size", 0))
        )


class _Previous:
    """The last manifest, read alongside the listing: both are in the same order."""

    def __init__(self, path: Path | None) -> None:
        self._entries: Iterator[Entry] = iter(())
        self._next: Entry | None = None
        if path is not None:
            try:
                manifest.verify(path)
                _, self._entries = manifest.read(path)
            except AgentError:
                return  # without it everything is hashed again: slower, never wrong
            self._next = next(self._entries, None)

    def digest_of(self, entry: Entry) -> str:
        """The hash of the same, unchanged file; empty when it was changed, or not there."""
        while self._next is not None and self._next.order < entry.order:
            self._next = next(self._entries, None)
        old = self._next
        if old is None or old.path != entry.path or old.torn:
            return ""
        return old.sha256 if _identity(old) == _identity(entry) else ""


def _identity(entry: Entry) -> tuple[int, int, int, int]:
    return (entry.inode, entry.ctime_ns, entry.mtime_ns, entry.size)


def nanoseconds(stamp: str) -> int:
    """RFC 3339 text with up to nine decimals as nanoseconds since the epoch."""
    found = _STAMP.match(stamp)
    if found is None:
        raise AgentError(f"restic wrote a time that is none: {stamp!r}", hint="report this with your restic version")
    whole = datetime.fromisoformat(found[1] + found[3].replace("Z", "+00:00"))
    seconds = int((whole - _EPOCH).total_seconds())
    return seconds * NANOSECONDS + int((found[2] or "0").ljust(9, "0"))
