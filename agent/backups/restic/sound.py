"""Whether the files that every restic reads first can be its work: each is named by the SHA-256 of its content.

One of index/ or snapshots/ that is not makes every later restic stumble: it was cut short when the server that wrote it
was killed, or somebody who could reach that server put it there.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from agent.clock import MICROSECONDS

FOLDERS = ("index", "snapshots")
_ID = re.compile(r"[0-9a-f]{64}")
_LARGEST = 1 << 30  # bytes; an index has a few million
_MARGIN_US = 60 * MICROSECONDS  # for the clock to be corrected meanwhile


def names(folder: Path) -> set[str]:
    """The files with a name of restic's; another one is none to it, or still being written by one of this machine."""
    try:
        return {path.name for path in folder.iterdir() if _ID.fullmatch(path.name)}
    except FileNotFoundError:
        return set()


def mend(paths: Iterable[Path]) -> list[str]:
    """Remove those that are not what their names say; what that was."""
    return list(_removed([path for path in paths if not _is_sound(path)]))


def mend_since(folder: Path, since_us: int) -> list[str]:
    """The same for all that came to a repository since then (µs UTC, by this machine's clock)."""
    young = []
    for path in sorted(folder / name / one for name in FOLDERS for one in names(folder / name)):
        with suppress(FileNotFoundError):
            if path.lstat().st_mtime_ns // 1000 >= since_us - _MARGIN_US:
                young.append(path)
    return mend(young)


def _removed(broken: Iterable[Path]) -> Iterator[str]:
    for path in broken:
        path.unlink(missing_ok=True)
        import logging  # hardly any job has a word to say: it starts sooner without

        logging.getLogger(__name__).warning("removed %s, which restic did not write, or not to its end", path)
        yield f"removed from the repository, for restic did not write it to its end: {path.parent.name}/{path.name}"


def _is_sound(path: Path) -> bool:
    """Whether its content has the hash that its name says."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST:
            return False
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == path.name
    except FileNotFoundError:
        return True  # somebody removed it, and it does no harm
