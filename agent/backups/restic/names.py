"""Finds the true names behind restic's JSON, in which every byte that is no UTF-8 became U+FFFD."""

import re
from pathlib import Path

_LOST = "\ufffd"
_ESCAPED = re.compile("[\udc80-\udcff]")


class TrueNames:
    """Turns listed paths into paths below a root; remembers the folders it had to search."""

    def __init__(self, root: str = "") -> None:
        self._root = root
        self._folders: dict[str, str] = {}

    def find(self, listed: str) -> str | None:
        """The path that was meant; None when no one can tell: nothing is there, or several names look alike."""
        if _LOST not in listed:
            return listed
        parent, _, name = listed.rpartition("/")
        folder = self._folders.get(parent) if _LOST in parent else parent
        if folder is None:
            return None
        found = _search(self._root + folder or "/", name)
        if found is None:
            return None
        path = f"{folder}/{found}"
        self._folders[listed] = path
        return path


def _search(folder: str, name: str) -> str | None:
    try:
        alike = [one.name for one in Path(folder).iterdir() if _ESCAPED.sub(_LOST, one.name) == name]
    except OSError:
        return None
    return alike[0] if len(alike) == 1 else None


def is_unnamed(path: str) -> bool:
    """Whether this may be a listed path of which no true name was found."""
    return _LOST in path
