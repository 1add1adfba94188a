"""Gives restored files back the holes they had: restic writes nulls there, up to 0.14 always, later where they are few."""

import ctypes
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from agent.backups.putting.way import Way
from agent.backups.restic import describe
from agent.backups.restic.manifest import Entry
from agent.clock import Deadline

_BLOCK = 4096  # bytes; what file systems give and take
_CHUNK = 1 << 20
_PUNCH_AND_KEEP_SIZE = 3  # fallocate(2)
_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


def dig(folder: Path, entries: Iterable[Entry], deadline: Deadline) -> int:
    """Free the room of nulls in what was restored below a folder; the number of files that stay larger than they were.

    Content and times stay as they are. TimeoutError at the deadline.
    """
    holey = [entry for entry in entries if entry.has_holes and not entry.torn]
    if not holey:
        return 0
    way = Way(str(folder))
    try:
        return sum(not _is_dug(way, entry.path, deadline) for entry in holey)
    finally:
        way.close()


def _is_dug(way: Way, path: str, deadline: Deadline) -> bool:
    """Whether it has holes now; what is not there, or another thing, is for the comparison to tell."""
    parent, _, name = path.rpartition("/")
    try:
        handle = os.open(name, _FLAGS, dir_fd=way.enter(parent))
    except OSError as error:
        return not isinstance(error, PermissionError)
    try:
        before = os.fstat(handle)
        if not describe.has_holes(before):
            for start, length in _nulls(handle, deadline):
                _punch(handle, start, length)
            os.utime(handle, ns=(before.st_atime_ns, before.st_mtime_ns))
        return describe.has_holes(os.fstat(handle))
    except OSError:  # a file system without holes: what is in the file is right all the same
        return False
    finally:
        os.close(handle)


def _nulls(handle: int, deadline: Deadline) -> Iterator[tuple[int, int]]:
    """Where whole blocks are null, and for how long."""
    at = 0
    while piece := os.pread(handle, _CHUNK, at):
        if deadline.is_over():
            raise TimeoutError
        blocks = range(0, len(piece), _BLOCK)
        for is_null, run in itertools.groupby(blocks, lambda start, of=piece: _is_null(of[start : start + _BLOCK])):  # type: ignore[misc]  # mypy knows no defaults of a lambda
            if is_null:
                starts = list(run)
                yield at + starts[0], min(starts[-1] + _BLOCK, len(piece)) - starts[0]
        at += len(piece)


def _is_null(block: bytes) -> bool:
    return block.count(0) == len(block)


def _punch(handle: int, start: int, length: int) -> None:
    """OSError where the file system cannot; Python itself has no call for it."""
    libc = ctypes.CDLL(None, use_errno=True)
    offset = ctypes.c_int64
    if libc.fallocate64(handle, _PUNCH_AND_KEEP_SIZE, offset(start), offset(length)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
