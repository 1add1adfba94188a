"""The playbooks folder: which file a name means, and one digest over all that a play may read there."""

import difflib
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from agent.errors import InputError

LEFT_OUT = frozenset({".git", "__pycache__", ".ansible"})  # never read by a play
_Stamp = tuple[int, int, int, int]


def exists(playbooks: Path, name: str) -> bool:
    """Whether the name means a playbook inside the folder."""
    try:
        locate(playbooks, name)
    except InputError:
        return False
    return True


def locate(playbooks: Path, name: str) -> Path:
    """The file that a name means: relative, `.yml` or `.yaml`, inside the folder also after symbolic links."""
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or "\0" in name or name.startswith("-"):
        raise InputError(
            f"playbook {name!r} lies outside {playbooks}", hint="names are relative to the playbooks folder"
        )
    path = playbooks / pure
    if pure.suffix not in {".yml", ".yaml"} or not path.is_file():
        raise InputError(f"there is no playbook {name!r} in {playbooks}", hint=_hint(playbooks, name))
    if not path.resolve().is_relative_to(playbooks.resolve()):
        raise InputError(f"playbook {name!r} leads out of {playbooks}", hint="copy it into the playbooks folder")
    return path


def _hint(playbooks: Path, name: str) -> str:
    known = sorted(path.name for suffix in ("*.yml", "*.yaml") for path in playbooks.glob(suffix))
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(known)}" if known else f"put it into {playbooks}"


class Tree:
    """Digests of one playbooks folder; a file is read again only when its inode, size, mtime or ctime changed."""

    def __init__(self, playbooks: Path) -> None:
        self._playbooks = playbooks
        self._seen: dict[Path, tuple[_Stamp, str]] = {}

    def digest(self, name: str) -> str:
        """SHA-256 over the playbook's name and every file of the folder: what it includes is known only as it runs."""
        locate(self._playbooks, name)
        total = hashlib.sha256(name.encode() + b"\0")
        seen: dict[Path, tuple[_Stamp, str]] = {}
        for path in _files(self._playbooks, frozenset()):
            found = path.stat()
            known = self._seen.get(path)
            now = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
            content = known[1] if known is not None and known[0] == now else _content(path, found)
            seen[path] = (now, content)
            inside = os.fsencode(path.relative_to(self._playbooks))
            total.update(inside + b"\0%o\0" % (found.st_mode & 0o111) + content.encode() + b"\n")
        self._seen = seen
        return total.hexdigest()


def digest(playbooks: Path, name: str) -> str:
    """As `Tree.digest`, without memory."""
    return Tree(playbooks).digest(name)


def _content(path: Path, found: os.stat_result) -> str:
    if not stat.S_ISREG(found.st_mode):
        return f"no file but {stat.S_IFMT(found.st_mode):o}"  # a FIFO would hold us for ever
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(folder: Path, above: frozenset[tuple[int, int]]) -> Iterator[Path]:
    """All files in the order of their names; linked folders are followed, circles are not, dead links are left out."""
    here = folder.stat()
    if (here.st_dev, here.st_ino) in above:
        return
    inside = above | {(here.st_dev, here.st_ino)}
    for path in sorted(folder.iterdir()):
        if path.name in LEFT_OUT or path.suffix in {".pyc", ".retry"} or not path.exists():
            continue
        if path.is_dir():
            yield from _files(path, inside)
        else:
            yield path
