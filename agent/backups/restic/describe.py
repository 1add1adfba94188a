"""Describes one entry as it stands on disk, for a manifest: all that a restore must bring back."""

import base64
import dataclasses
import hashlib
import os
import stat

from agent.backups.restic import content
from agent.backups.restic.manifest import Entry
from agent.clock import Deadline

_BLOCK = 512  # bytes; what st_blocks counts in
_LONG = 512  # bytes of an attribute; of longer ones the hash does
KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFBLK: "dev",
    stat.S_IFCHR: "chardev",
    stat.S_IFSOCK: "socket",
}


def without_content(path: str, kind: str, seen: os.stat_result, where: str) -> Entry:
    """All but the hash of a file; `where` is the entry's place on this machine."""
    is_file = kind == "file"
    return Entry(
        path=path,
        kind=kind,
        mode=stat.S_IMODE(seen.st_mode),
        uid=seen.st_uid,
        gid=seen.st_gid,
        size=seen.st_size if is_file else 0,
        mtime_ns=seen.st_mtime_ns,
        ctime_ns=seen.st_ctime_ns,
        inode=seen.st_ino,
        link="" if is_file else _link(where, kind, seen),
        group=f"{seen.st_dev}:{seen.st_ino}" if is_file and seen.st_nlink > 1 else "",
        attributes=attributes(where),
        has_holes=is_file and has_holes(seen),
    )


def has_holes(seen: os.stat_result) -> bool:
    """Whether a file takes less room than it is long."""
    return seen.st_blocks * _BLOCK < seen.st_size


def with_content(entry: Entry, seen: os.stat_result, deadline: Deadline, where: str) -> Entry:
    """The same with the hash of its content; torn when it is another file by now, or cannot be read."""
    found = content.digest(where, seen, deadline)
    return dataclasses.replace(entry, sha256=found) if found else Entry(path=entry.path, kind=entry.kind, torn=True)


def entry_of(path: str, kind: str, deadline: Deadline) -> Entry:
    """An entry as it stands on disk, content included."""
    seen = os.lstat(path)
    entry = without_content(path, kind, seen, path)
    return with_content(entry, seen, deadline, path) if kind == "file" else entry


def attributes(where: str) -> tuple[tuple[str, str], ...]:
    """Its extended attributes, ACLs among them; none where the file system has none."""
    try:
        names = os.listxattr(where, follow_symlinks=False)
        return tuple((name, _shown(os.getxattr(where, name, follow_symlinks=False))) for name in sorted(names))
    except OSError:
        return ()


def _shown(value: bytes) -> str:
    if len(value) > _LONG:
        return f"sha256:{hashlib.sha256(value).hexdigest()}"
    return base64.b64encode(value).decode("ascii")


def _link(where: str, kind: str, seen: os.stat_result) -> str:
    if kind == "symlink":
        return os.readlink(where)  # noqa: PTH115  # a Path would tidy the text up
    return f"{os.major(seen.st_rdev)}:{os.minor(seen.st_rdev)}" if kind in {"dev", "chardev"} else ""
