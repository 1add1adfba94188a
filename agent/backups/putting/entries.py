"""Says what is to stand at each path: as it lies ready in a stage, or as a manifest describes it."""

# ruff: noqa: PTH112, PTH114, PTH115 - names may be any bytes, and a Path would tidy them up
from __future__ import annotations

import json
import os
import stat
from typing import Iterable, Iterator  # noqa: UP035  Python 3.7 on the other side

from agent.backups.putting import dressing

KINDS = {
    stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo",
    stat.S_IFBLK: "dev", stat.S_IFCHR: "chardev",
}  # fmt: skip
SKIPPED = ("socket", "irregular")


class Entry:
    """What is to stand at a path; `staged` is where it lies ready, empty when only its description is known.

    `group` is the same for all names of one file, empty where it has but one; `attributes` None: not known.
    """

    def __init__(self, path: str, kind: str, numbers: Iterable[int], known: tuple[str, str]) -> None:
        self.path, self.kind, self.staged = path, kind, ""
        self.mode, self.uid, self.gid, self.size, self.mtime_ns = numbers
        self.sha256, self.link = known
        self.group = ""
        self.attributes: dict[str, str] | None = None
        self.parent, _, self.name = path.rpartition("/")


def described(line: str) -> Entry:
    """An entry from a line of JSON: path, kind, mode, uid, gid, size, mtime_ns, sha256, link, group, attributes."""
    path, kind, mode, uid, gid, size, mtime_ns, sha256, link, group, attributes = json.loads(line)
    entry = Entry(path, kind, (mode, uid, gid, size, mtime_ns), (sha256, link))
    entry.group, entry.attributes = group, attributes
    return entry


def staged(stage: str, path: str) -> Entry:
    """An entry as it lies ready below the stage."""
    at = stage + path
    seen = os.lstat(at)
    kind = kind_of(seen)
    size = seen.st_size if kind == "file" else 0
    link = os.readlink(at) if kind == "symlink" else ""
    numbers = (stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid, size, seen.st_mtime_ns)
    entry = Entry(path, kind, numbers, ("", link))
    entry.staged, entry.attributes = at, dressing.shown(at)
    entry.group = str(seen.st_dev) + ":" + str(seen.st_ino) if kind != "dir" and seen.st_nlink > 1 else ""
    return entry


def kind_of(seen: os.stat_result) -> str:
    """What it is, in a word of restic."""
    return KINDS.get(stat.S_IFMT(seen.st_mode), "socket")


def walk(stage: str, sources: Iterable[str]) -> Iterator[Entry]:
    """Every entry at and below the sources that can be put back, folders before what is in them."""
    return (entry for entry in _walk(stage, sources) if entry.kind not in SKIPPED)


def _walk(stage: str, sources: Iterable[str]) -> Iterator[Entry]:
    for source in sources:
        top = source.rstrip("/")
        if top:
            yield staged(stage, top)
        if os.path.isdir(stage + top) and not os.path.islink(stage + top):
            for folder, folders, files in os.walk(stage + top):
                folders.sort()
                inside = folder[len(stage) :]
                for name in sorted(folders + files):
                    yield staged(stage, inside + "/" + name)
