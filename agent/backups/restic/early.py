"""Reads files while restic still restores others: what has its right content by then need not be read again.

restic does not say when a file is done. One that was not written to for a moment is read; when its hash is that of the
manifest it is done, else it is left to the comparison afterwards.
"""

import os
import threading
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Self

from agent.backups.restic import content
from agent.backups.restic.manifest import Entry
from agent.clock import Deadline

WORTH_BYTES = 65_536  # a smaller file is read sooner than it is handed over
_MOST = 100_000  # files; the rest is read afterwards
_WINDOW = 512  # restic works on a few packs at a time, and roughly in the manifest's order
_SETTLED_US = 300_000
_PAUSE_SECONDS = 0.05
_POLITE = 10  # restic comes first


class Early:
    """A thread that reads what is being restored below a root, for as long as the context lasts."""

    def __init__(self, root: Path, entries: Iterable[Entry], deadline: Deadline) -> None:
        large = (entry for entry in entries if entry.sha256 and entry.size >= WORTH_BYTES)
        self._root, self._deadline = str(root), deadline
        self._pending = list(islice(large, _MOST))
        self._right: dict[str, tuple[tuple[int, int, int], str]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, name="early", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def digest(self, path: str, seen: os.stat_result) -> str | None:
        """The hash of a file that was right when it was read, and is the same file now; else None."""
        identity, found = self._right.get(path, (None, None))
        return found if identity == _identity(seen) else None

    def _read(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _POLITE)
        while self._pending and not self._over.is_set():
            tried = [entry for entry in self._pending[:_WINDOW] if self._try(entry)]
            done = {entry.path for entry in tried}
            self._pending = [entry for entry in self._pending if entry.path not in done]
            if not done:
                self._over.wait(_PAUSE_SECONDS)

    def _try(self, entry: Entry) -> bool:
        """Read a file that seems to be done; whether it was read, right or not."""
        path = self._root + entry.path
        try:
            seen = os.lstat(path)
        except OSError:
            return False
        since_us = self._deadline.clock.now() - seen.st_mtime_ns // 1000
        if self._over.is_set() or seen.st_size != entry.size or since_us < _SETTLED_US:
            return False
        try:
            found = content.digest(path, seen, self._deadline)
        except TimeoutError:
            return True
        if found == entry.sha256:
            self._right[path] = (_identity(seen), found)
        return True


def _identity(seen: os.stat_result) -> tuple[int, int, int]:
    return seen.st_dev, seen.st_ino, seen.st_size
