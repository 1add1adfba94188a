"""Changes a mirror by one name at a time, from folder to folder, so that no link in it leads anywhere."""

import contextlib
import os
import shutil
import stat
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Self

from agent.backups.mirror.listing import Item

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_TYPES = {
    "file": stat.S_ISREG, "dir": stat.S_ISDIR, "symlink": stat.S_ISLNK, "fifo": stat.S_ISFIFO, "dev": stat.S_ISBLK,
    "chardev": stat.S_ISCHR,
}  # fmt: skip


class Tree:
    """One folder with everything below it, by the paths of the target. A missing folder on the way is an OSError."""

    def __init__(self, top: Path) -> None:
        self._top = os.open(top, _FOLDER)
        self._open: list[tuple[str, int]] = []  # the folders down to the last one asked for

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._leave(0)
        os.close(self._top)

    def parent(self, path: str) -> tuple[int, str]:
        """The open folder that holds an entry, and the entry's name in it."""
        *folders, name = path.split("/")[1:]
        depth = 0
        while depth < min(len(folders), len(self._open)) and self._open[depth][0] == folders[depth]:
            depth += 1
        self._leave(depth)
        for folder in folders[depth:]:
            above = self._open[-1][1] if self._open else self._top
            self._open.append((folder, os.open(folder, _FOLDER, dir_fd=above)))
        return (self._open[-1][1] if self._open else self._top), name or "."

    def _leave(self, depth: int) -> None:
        for _, handle in self._open[depth:]:
            os.close(handle)
        del self._open[depth:]

    def look(self, path: str) -> os.stat_result | None:
        """The entry as it stands; None when it is not there."""
        try:
            folder, name = self.parent(path)
            return os.stat(name, dir_fd=folder, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            return None  # ELOOP: a link where a folder should be

    def remove(self, path: str) -> None:
        """Remove an entry with everything in it; nothing when it is not there."""
        seen = self.look(path)
        if seen is None:
            return
        folder, name = self.parent(path)
        if stat.S_ISDIR(seen.st_mode):
            self._leave(len(path.split("/")) - 2)
            shutil.rmtree(name, dir_fd=folder)
        else:
            os.unlink(name, dir_fd=folder)  # a Path knows no folder to start from

    def make_folder(self, path: str) -> None:
        """See to it that a real folder is there."""
        seen = self.look(path)
        if seen is not None and not stat.S_ISDIR(seen.st_mode):
            self.remove(path)
            seen = None
        if seen is None:
            folder, name = self.parent(path)
            os.mkdir(name, 0o700, dir_fd=folder)  # as above

    def link_into(self, path: str, other: "Tree") -> None:
        """Give a file a second name, in another tree, whose folder is made."""
        at = 0
        while (at := path.find("/", at + 1)) > 0:
            other.make_folder(path[:at])
        source, name = self.parent(path)
        target, _ = other.parent(path)
        os.link(name, name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)

    def close_folders(self) -> None:
        """Forget which folders are open: some of them may be replaced."""
        self._leave(0)


def is_as_listed(seen: os.stat_result | None, item: Item, *, at_any_time: bool = False) -> bool:
    """Whether an entry that was fetched is the one that the list tells of; owners only where we may set them."""
    if seen is None or item.kind not in _TYPES or not _TYPES[item.kind](seen.st_mode):
        return False
    is_root = os.geteuid() == 0
    return (
        (item.kind != "file" or seen.st_size == item.size)
        and (item.kind == "symlink" or stat.S_IMODE(seen.st_mode) == item.mode)
        and (not is_root or (seen.st_uid, seen.st_gid) == (item.uid, item.gid))
        and (at_any_time or seen.st_mtime_ns == item.mtime_ns)
    )


def settle(
    staged: Tree, mirror: Tree, batch: Iterable[Item], known: Mapping[str, Item], busy: Container[str] = ()
) -> tuple[str, ...]:
    """Move what was fetched into the mirror, folders first; the paths that are not as listed, which stay as they are.

    `known` has every folder of the target: those whose content changes here get their times back. Those that are `busy`
    may have another time by now.
    """
    torn: list[str] = []
    folders: dict[str, Item] = {}
    fetched: set[str] = set()
    for item in batch:
        seen = staged.look(item.path)
        if not is_as_listed(seen, item, at_any_time=item.path in busy):
            torn.append(item.path)
            if item.kind == "dir":
                mirror.make_folder(item.path)
            continue
        if item.kind == "dir":
            mirror.make_folder(item.path)
            folders[item.path] = item
            fetched.add(item.path)
        else:
            _replace(staged, mirror, item.path)
        if (above := known.get(item.path.rpartition("/")[0] or "/")) is not None:
            folders.setdefault(above.path, above)
    for path in sorted(folders, reverse=True):
        _dress(staged if path in fetched else None, mirror, folders[path])
    return tuple(torn)


def _replace(staged: Tree, mirror: Tree, path: str) -> None:
    old = mirror.look(path)
    if old is not None and stat.S_ISDIR(old.st_mode):
        mirror.remove(path)
    source, name = staged.parent(path)
    target, _ = mirror.parent(path)
    os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)  # as above


def _dress(staged: Tree | None, mirror: Tree, item: Item) -> None:
    """Give a folder of the mirror what belongs to it; its attributes come from the fetched one, if it was fetched."""
    with contextlib.ExitStack() as stack:
        handle = _opened(mirror, item.path, stack)
        if staged is not None:
            _copy_attributes(_opened(staged, item.path, stack), handle)
        if os.geteuid() == 0:
            os.fchown(handle, item.uid, item.gid)
        if stat.S_IMODE(os.fstat(handle).st_mode) != item.mode:
            os.fchmod(handle, item.mode)
        os.utime(handle, ns=(item.mtime_ns, item.mtime_ns))


def touch_folders(mirror: Tree, folders: Iterable[Item]) -> None:
    """Give folders their times back, after something was removed from them."""
    for item in folders:
        with contextlib.ExitStack() as stack, contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.utime(_opened(mirror, item.path, stack), ns=(item.mtime_ns, item.mtime_ns))


def _opened(tree: Tree, path: str, stack: contextlib.ExitStack) -> int:
    folder, name = tree.parent(path)
    handle = os.open(name, _FOLDER, dir_fd=folder)
    stack.callback(os.close, handle)
    return handle


def _copy_attributes(source: int, target: int) -> None:
    wanted = {name: os.getxattr(source, name) for name in os.listxattr(source)}
    for name in os.listxattr(target):
        if name not in wanted:
            os.removexattr(target, name)
    for name, value in wanted.items():
        os.setxattr(target, name, value)
