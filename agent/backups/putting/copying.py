"""Makes and compares what entries consist of: content with its holes, links, pipes, devices; and copies what is replaced."""

# ruff: noqa: PTH123, PTH211 - descriptors of folders are the point
from __future__ import annotations

import hashlib
import os
import stat
from typing import IO, TYPE_CHECKING

from agent.backups.putting import dressing, way

if TYPE_CHECKING:
    from agent.backups.putting.entries import Entry

CHUNK = 1 << 20
BLOCK = 4096  # bytes; what file systems give and take
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def is_content(entry: Entry, folder: int, old: os.stat_result) -> bool:
    """Whether what is there consists of the same."""
    if entry.kind == "symlink":
        return os.readlink(entry.name, dir_fd=folder) == entry.link
    if entry.kind in ("dev", "chardev"):
        return (entry.link or _device(os.lstat(entry.staged))) == _device(old)
    if entry.kind != "file":
        return True
    if old.st_size != entry.size:
        return False
    if not entry.staged and not entry.sha256:
        return False  # it was changing while it was saved: nobody knows what the snapshot has
    wanted = entry.sha256 or _digest(os.open(entry.staged, way.FILE))
    return wanted == _digest(way.opened(folder, entry.name))


def _device(seen: os.stat_result) -> str:
    return str(os.major(seen.st_rdev)) + ":" + str(os.minor(seen.st_rdev))


def _digest(handle: int) -> str:
    found = hashlib.sha256()
    with os.fdopen(handle, "rb") as stream:
        for piece in iter(lambda: stream.read(CHUNK), b""):
            found.update(piece)
    return found.hexdigest()


def make(entry: Entry, folder: int, name: str, has_holes: bool) -> None:  # noqa: FBT001  a fact about a file
    """Make the same as lies ready, under a name that is free."""
    if entry.kind == "file":
        with open(entry.staged, "rb") as old, os.fdopen(os.open(name, NEW, 0o600, dir_fd=folder), "wb") as new:
            _copy(old, new, has_holes)
    elif entry.kind == "symlink":
        os.symlink(entry.link, name, dir_fd=folder)
    else:
        seen = os.lstat(entry.staged)
        os.mknod(name, 0o600 | stat.S_IFMT(seen.st_mode), seen.st_rdev, dir_fd=folder)


def _copy(old: IO[bytes], new: IO[bytes], has_holes: bool) -> None:  # noqa: FBT001  a fact about a file
    """The content: nulls are holes where the file had some, and take room where it had none."""
    for piece in iter(lambda: old.read(CHUNK), b""):
        if not has_holes:
            new.write(piece)
            continue
        for at in range(0, len(piece), BLOCK):
            block = piece[at : at + BLOCK]
            if block.count(0) == len(block):
                new.seek(len(block), os.SEEK_CUR)
            else:
                new.write(block)
    new.truncate(old.tell())


def aside(folder: int, name: str, old: os.stat_result, copy: str) -> bool:
    """Copy to another file system what is to be replaced, whatever it is; False when attributes of it were lost.

    OSError when it cannot be copied: then it must not be replaced.
    """
    if stat.S_ISLNK(old.st_mode):
        os.symlink(os.readlink(name, dir_fd=folder), copy)
    elif stat.S_ISREG(old.st_mode):
        with os.fdopen(way.opened(folder, name), "rb") as source, open(copy, "xb") as kept:
            _copy(source, kept, has_holes=old.st_blocks * 512 < old.st_size)
    else:
        os.mknod(copy, 0o600 | stat.S_IFMT(old.st_mode), old.st_rdev)
    return dressing.dress_alike(folder, name, old, copy)
