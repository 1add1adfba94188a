"""What a path of a policy means on disk and to restic: resolved, without overlaps, never a pattern by accident."""

import os
import re
from collections.abc import Iterable

MIRRORS = "mirrors"  # the folder of the state in which remote hosts are mirrored
_MIRRORED = re.compile(rf".*/{MIRRORS}/[0-9a-f]{{16}}/tree(/.*)?\Z", re.DOTALL)
_PATTERN = re.compile(r"([\\*?\[\]])")


def of_host(path: str) -> str:
    """A path that restic was given, as it is on the host: without the mirror in which it was saved."""
    found = _MIRRORED.match(path)
    return path if found is None else found[1] or "/"


def canonical(path: str) -> str:
    """The path with its parents resolved: restic would save a linked parent as a link, and nothing behind it."""
    parent, name = os.path.split(os.path.normpath(path))
    return os.path.join(os.path.realpath(parent), name) if name else parent  # noqa: PTH118  # text in, text out


def distinct(paths: Iterable[str]) -> tuple[str, ...]:
    """The paths without those that lie below another."""
    kept: list[str] = []
    for path in sorted(set(paths)):
        if not any(is_below(path, other) for other in kept):
            kept.append(path)
    return tuple(kept)


def is_below(path: str, folder: str) -> bool:
    """Whether the path is the folder, or in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def literally(path: str) -> str:
    """A pattern of restic that matches this path and no other."""
    return _PATTERN.sub(r"\\\1", path)
