"""Gives entries what is theirs besides their content: owner, extended attributes and ACLs, mode, time."""

# ruff: noqa: PTH101 - descriptors of folders are the point
from __future__ import annotations

import base64
import errno
import hashlib
import os
import stat
from typing import TYPE_CHECKING

from agent.backups.putting import way

if TYPE_CHECKING:
    from agent.backups.putting.entries import Entry

FREE = ("user.", "system.posix_acl_")  # attributes that the owner of a file may set
OURS = (*FREE, "trusted.", "security.capability")  # as root; others are the file system's, or the host's policy's
LONG = 512  # bytes of an attribute; of longer ones the hash does


def shown(where: str) -> dict[str, str]:
    """Extended attributes, ACLs among them, as a manifest has them; none where the file system has none."""
    return {name: shown_value(value) for name, value in attributes(where).items()}


def shown_value(value: bytes) -> str:
    """One of them."""
    if len(value) > LONG:
        return "sha256:" + hashlib.sha256(value).hexdigest()
    return base64.b64encode(value).decode("ascii")


def attributes(where: str) -> dict[str, bytes]:
    """The same in their bytes."""
    try:
        names = os.listxattr(where, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return {}
        raise
    return {name: os.getxattr(where, name, follow_symlinks=False) for name in names}


def is_ours(name: str, owners: bool) -> bool:  # noqa: FBT001  an order's field
    """Whether an attribute is one that a restore sets and takes away."""
    return name.startswith(OURS if owners else FREE)


def is_dressed(entry: Entry, folder: int, old: os.stat_result, owners: bool) -> bool:  # noqa: FBT001
    """Whether all of it is as it is to be. A folder's time is not looked at: what is laid in it changes that."""
    if entry.kind != "symlink" and stat.S_IMODE(old.st_mode) != entry.mode:
        return False
    if owners and (old.st_uid, old.st_gid) != (entry.uid, entry.gid):
        return False
    if entry.kind != "dir" and old.st_mtime_ns != entry.mtime_ns:
        return False
    if entry.attributes is None:
        return True
    there, wanted = (
        {name: value for name, value in found.items() if is_ours(name, owners)}
        for found in (shown(way.place(folder, entry.name)), entry.attributes)
    )
    return there == wanted


def dress(entry: Entry, folder: int, name: str, owners: bool) -> None:  # noqa: FBT001  an order's field
    """In the order in which none undoes another."""
    where = way.place(folder, name)
    if owners:
        os.chown(name, entry.uid, entry.gid, dir_fd=folder, follow_symlinks=False)
    _attribute(where, attributes(entry.staged), owners)
    if entry.kind != "symlink":
        way.change_mode(folder, name, entry.mode)
    os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=folder, follow_symlinks=False)


def _attribute(where: str, wanted: dict[str, bytes], owners: bool) -> None:  # noqa: FBT001  an order's field
    """What was not there goes as well: a file inherits ACLs from the folder in which it is made."""
    there = attributes(where)
    for name in there:
        if name not in wanted and is_ours(name, owners):
            os.removexattr(where, name, follow_symlinks=False)
    for name, value in wanted.items():
        if is_ours(name, owners) and there.get(name) != value:
            os.setxattr(where, name, value, follow_symlinks=False)


def dress_alike(folder: int, name: str, old: os.stat_result, aside: str) -> bool:
    """Give a copy what the entry of that name has; False when the copy's file system takes not all its attributes."""
    os.chown(aside, old.st_uid, old.st_gid, follow_symlinks=False)
    is_whole = True
    for attribute, value in attributes(way.place(folder, name)).items():
        try:
            os.setxattr(aside, attribute, value, follow_symlinks=False)
        except OSError:  # it is told, and no reason to keep nothing at all
            is_whole = is_whole and not is_ours(attribute, owners=True)
    if not stat.S_ISLNK(old.st_mode):
        os.chmod(aside, stat.S_IMODE(old.st_mode))
    os.utime(aside, ns=(old.st_atime_ns, old.st_mtime_ns), follow_symlinks=False)
    return is_whole
