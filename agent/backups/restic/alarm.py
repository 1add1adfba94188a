"""Proves that a drill can fail: changes one byte of what was restored, and looks whether the comparison finds it."""

import os
import stat
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from agent.backups.restic.compare import Comparer
from agent.backups.restic.manifest import Entry
from agent.clock import Deadline

_AMONG = 1000  # files, of which the smallest is taken


def rings(entries: Iterable[Entry], box: Path, deadline: Deadline) -> bool | None:
    """Whether a changed byte is found; None when there is no file with one. The box is not what it was afterwards."""
    files = islice((one for one in entries if one.kind == "file" and one.size and not one.torn), _AMONG)
    entry = min(files, key=lambda one: one.size, default=None)
    if entry is None:
        return None
    try:
        _change(Path(f"{box}{entry.path}"))
    except OSError:
        return None
    found = Comparer(box, deadline, owners=False, tick=lambda _, __: None).compare(lambda: iter([entry]), ())
    return any(fault.startswith("content differs") for fault in found.faults)


def _change(path: Path) -> None:
    """Turn every bit of the last byte; everything else, its time too, stays as it was."""
    seen = os.lstat(path)
    path.chmod(stat.S_IMODE(seen.st_mode) | stat.S_IWUSR | stat.S_IRUSR)
    handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        at = seen.st_size - 1
        os.pwrite(handle, bytes(~byte & 0xFF for byte in os.pread(handle, 1, at)), at)
    finally:
        os.close(handle)
    path.chmod(stat.S_IMODE(seen.st_mode))
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
