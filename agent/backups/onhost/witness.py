"""Watches the folder of a repository while it is lent: what appeared there, and whether all of it can be restic's.

Every file of a repository but its config is named by the SHA-256 of its content. One of index/ or snapshots/ that is
not makes every later restic stumble: it was cut short when its server was killed, or is no work of restic's.
"""

import hashlib
import logging
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

logger = logging.getLogger(__name__)
_ID = re.compile(r"[0-9a-f]{64}")
_READ_FIRST = ("index", "snapshots")  # by every restic, and whole
_TOLD = ("snapshots", "keys")
_LARGEST = 1 << 30  # bytes; an index has a few million


class Witness:
    """What is there now is known; `appeared` is what came since."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._before = {name: _names(folder / name) for name in {*_READ_FIRST, *_TOLD}}

    def appeared(self, name: str) -> frozenset[str]:
        """The ids that came to a folder of the repository."""
        return frozenset(_names(self._folder / name) - self._before[name])

    def mend(self) -> list[str]:
        """Remove what came and cannot be restic's; what that was."""
        broken = [path for name in _READ_FIRST for one in sorted(self.appeared(name))
                  if not _is_sound(path := self._folder / name / one)]  # fmt: skip
        return list(_removed(broken))


def mend_since(folder: Path, since_us: int) -> list[str]:
    """The same for a job that was killed with its server: what came since then (µs UTC), by this machine's clock."""
    broken = []
    for name in _READ_FIRST:
        for one in sorted(_names(folder / name)):
            path = folder / name / one
            with suppress(FileNotFoundError):
                if path.stat().st_mtime_ns // 1000 >= since_us and not _is_sound(path):
                    broken.append(path)
    return list(_removed(broken))


def _removed(broken: list[Path]) -> Iterator[str]:
    for path in broken:
        path.unlink(missing_ok=True)
        logger.warning("removed %s, which restic did not write, or not to its end", path)
        yield f"removed from the repository, for restic did not write it to its end: {path.parent.name}/{path.name}"


def _names(folder: Path) -> set[str]:
    """The files with a name of restic's; another one is none to it, or still being written by one of this machine."""
    try:
        return {path.name for path in folder.iterdir() if _ID.fullmatch(path.name)}
    except FileNotFoundError:
        return set()


def _is_sound(path: Path) -> bool:
    """Whether its content has the hash that its name says."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST:
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == path.name
