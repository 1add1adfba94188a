"""One secret that every acceptance test uses, and the search for it in all places where a secret must never be."""

import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

BIGGEST = 64 * 1024 * 1024  # a larger file is a disk image of a test host, not something of ours


def make() -> str:
    """A secret that occurs nowhere else: letters and digits only, so that no encoding changes how it looks."""
    return f"canary{secrets.token_hex(16)}"


def search_canary(canary: str, paths: Iterable[Path], *, allowed: Iterable[Path] = ()) -> tuple[str, ...]:
    """The files under these paths that hold the canary, in their text or in their name, apart from the allowed ones."""
    may = {path.resolve() for path in allowed}
    found = []
    for path in _files(paths):
        if path.resolve() in may:
            continue
        if canary in str(path) or canary.encode() in _content(path):
            found.append(str(path))
    return tuple(found)


def search_processes(canary: str, *, spared: Iterable[int] = ()) -> tuple[str, ...]:
    """The argument lists and environments of this machine's processes that hold the canary, apart from the spared."""
    left = {str(pid) for pid in spared}
    processes = [path for path in Path("/proc").iterdir() if path.name.isdigit() and path.name not in left]
    places = [process / place for process in processes for place in ("cmdline", "environ")]
    return tuple(f"{place} of {_name(place.parent)}" for place in places if canary.encode() in _content(place))


def _name(process: Path) -> str:
    return _content(process / "comm").decode(errors="replace").strip()


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            yield from _files(sorted(path.iterdir()))
        elif path.is_file() and path.stat().st_size <= BIGGEST:
            yield path


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # gone meanwhile, or a process that is not ours
        return b""
