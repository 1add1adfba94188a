"""Reads the content of one file, never through a symbolic link, and never past the deadline."""

import hashlib
import os
import stat
from pathlib import Path

from agent.clock import Deadline

_CHUNK = 1_048_576
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO put in its place must not hold us


def digest(path: str | Path, seen: os.stat_result, deadline: Deadline) -> str | None:
    """The SHA-256 of a file that stayed as it was `seen`; None when it is another one by now, or cannot be read.

    TimeoutError when the deadline passes first.
    """
    try:
        handle = os.open(path, _FLAGS)
    except OSError:
        return None
    try:
        if not is_same(seen, os.fstat(handle)):
            return None
        found = _read(handle, seen.st_size, deadline)
        return found if is_same(seen, os.fstat(handle)) else None
    except TimeoutError:
        raise
    except OSError:
        return None
    finally:
        os.close(handle)


def is_same(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether two looks at an entry saw the same one, unchanged."""
    return (
        stat.S_IFMT(before.st_mode) == stat.S_IFMT(after.st_mode)
        and (before.st_dev, before.st_ino, before.st_size) == (after.st_dev, after.st_ino, after.st_size)
        and (before.st_mtime_ns, before.st_ctime_ns) == (after.st_mtime_ns, after.st_ctime_ns)
    )


def _read(handle: int, size: int, deadline: Deadline) -> str:
    """The hash of what is there; a whole small file takes one call, and no more memory than it is long."""
    chunk = min(size + 1, _CHUNK)
    data = os.read(handle, chunk)
    hashed = hashlib.sha256(data)
    while data and len(data) == chunk:
        data = os.read(handle, chunk)
        hashed.update(data)
        if deadline.is_over():
            raise TimeoutError
    return hashed.hexdigest()
