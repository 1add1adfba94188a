"""Opens folders below a root one by one and never through a link, so that nobody can lead us elsewhere meanwhile."""

# ruff: noqa: PTH101 - descriptors of folders are the point
from __future__ import annotations

import os

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO put in its place must not hold us


class Way:
    """Folders below a root, opened one by one."""

    def __init__(self, root: str) -> None:
        self._open = [os.open(root, FOLDER)]
        self._names: list[str] = []

    def enter(self, path: str) -> int:
        """A descriptor of the folder; OSError where it is none, or a link leads there."""
        names = [name for name in path.split("/") if name]
        same = 0
        while same < min(len(names), len(self._names)) and names[same] == self._names[same]:
            same += 1
        while len(self._names) > same:
            self.leave()
        for name in names[same:]:
            self._open.append(os.open(name, FOLDER, dir_fd=self._open[-1]))
            self._names.append(name)
        return self._open[-1]

    def leave(self) -> None:
        """Close the innermost."""
        os.close(self._open.pop())
        self._names.pop()

    def close(self) -> None:
        """Close them all."""
        while self._open:
            os.close(self._open.pop())


def seen(folder: int, name: str) -> os.stat_result | None:
    """What is there under a name; None for nothing."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def opened(folder: int, name: str) -> int:
    """A descriptor to read from; OSError where a link is."""
    return os.open(name, FILE, dir_fd=folder)


def place(folder: int, name: str) -> str:
    """A name in that very folder as a path, for calls that take no descriptor of a folder."""
    return "/proc/self/fd/" + str(folder) + "/" + name


def change_mode(folder: int, name: str, mode: int) -> None:
    """Give what is there a mode; OSError where a link is by now."""
    handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.chmod("/proc/self/fd/" + str(handle), mode)
    finally:
        os.close(handle)


def above(path: str) -> list[str]:
    """The folders above a path, the outermost first."""
    names = path.strip("/").split("/")[:-1]
    return ["/" + "/".join(names[: count + 1]) for count in range(len(names))]


def make(path: str) -> None:
    """Make a folder of ours, and those above it that lack; OSError where a link leads there."""
    way = Way("/")
    for step in [*above(path), path]:
        parent, _, name = step.rpartition("/")
        try:
            os.mkdir(name, 0o700, dir_fd=way.enter(parent))
        except FileExistsError:
            way.enter(step)
    way.close()
