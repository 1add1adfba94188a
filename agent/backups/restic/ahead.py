"""Reads restored files with every core there is, a little ahead of the comparison."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self

from agent.backups.restic import content
from agent.backups.restic.early import WORTH_BYTES, Early
from agent.backups.restic.manifest import Entry
from agent.clock import Deadline

_WINDOW = 256  # entries

Found = tuple[os.stat_result, str | None]


class Ahead:
    """Hands entries on, and hashes the larger files among them meanwhile (hashing and reading leave Python's lock)."""

    def __init__(self, root: Path, deadline: Deadline, early: Early) -> None:
        self._root, self._deadline, self._early = str(root), deadline, early
        self._pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="hash")
        self._begun: dict[str, Future[Found]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def entries(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The same entries, some steps later."""
        window: deque[Entry] = deque()
        for entry in entries:
            if entry.kind == "file" and entry.size >= WORTH_BYTES:
                path = self._root + entry.path
                self._begun[path] = self._pool.submit(self._read, path, entry.size)
            window.append(entry)
            if len(window) > _WINDOW:
                yield window.popleft()
        yield from window

    def digest(self, path: str, seen: os.stat_result, deadline: Deadline) -> str | None:
        """The SHA-256 of a file, as `content.digest`; of one that changed since it was read, read anew."""
        begun = self._begun.pop(path, None)
        if begun is not None:
            try:
                before, found = begun.result()
            except OSError:
                return None
            if content.is_same(before, seen):
                return found
        return content.digest(path, seen, deadline)

    def _read(self, path: str, size: int) -> Found:
        seen = os.lstat(path)
        if seen.st_size != size:
            return seen, None
        return seen, self._early.digest(path, seen) or content.digest(path, seen, self._deadline)
