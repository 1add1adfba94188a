"""Gives a drill a folder of its own, and takes it away again: at its end, or after its death.

Beside each folder lies a lock that the living drill holds; a folder whose lock is free is rubbish.
"""

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from agent.errors import AgentError

FOLDER = "sandbox"
_LOCK = ".lock"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ENTRY_BYTES = 4096  # what an inode and its share of a folder cost, at most, on usual file systems
_MARGIN = 1.05
_MEMORY = frozenset({"tmpfs", "ramfs"})
_MEMORY_SHARE = 0.25  # what a drill may take from everything else that runs


@contextlib.contextmanager
def sandbox(state: Path, exec_id: str) -> Iterator[Path]:
    """A fresh, private folder for as long as the context lasts."""
    top = state / FOLDER
    top.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder, lock = top / exec_id, top / f"{exec_id}{_LOCK}"
    with _held(lock) as is_ours:
        if not is_ours:
            raise AgentError(f"another drill works in {folder}", hint="wait for it to end")
        try:
            remove(folder)
            folder.mkdir(mode=0o700)
            yield folder
        finally:
            remove(folder)
            lock.unlink(missing_ok=True)


def sweep(state: Path) -> tuple[str, ...]:
    """Remove what dead drills left behind; the names of their executions."""
    top, swept = state / FOLDER, []
    for found in sorted(top.iterdir()) if top.is_dir() else []:
        exec_id = found.name.removesuffix(_LOCK)
        folder, lock = top / exec_id, top / f"{exec_id}{_LOCK}"
        with _held(lock) as is_dead:
            if is_dead:
                remove(folder)
                lock.unlink(missing_ok=True)
                swept.append(exec_id)
    return tuple(dict.fromkeys(swept))


def lacking_bytes(folder: Path, size_bytes: int, entries: int) -> int:
    """How many bytes are missing on the folder's file system to hold that much; 0 when there is room.

    A file system that lives in memory has no more room than a share of what memory is free.
    """
    room = os.statvfs(folder)
    free = room.f_bavail * room.f_frsize
    if is_in_memory(folder):
        free = min(free, int(_free_memory() * _MEMORY_SHARE))
    needed = int(size_bytes * _MARGIN) + entries * _ENTRY_BYTES
    return max(0, needed - free)


def is_in_memory(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> bool:
    """Whether the folder's file system is one that fills memory instead of a disk (proc(5), mountinfo)."""
    device = folder.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        fields, _, more = line.partition(" - ")
        if fields.split()[2] == wanted:
            return more.split()[0] in _MEMORY
    return False


def _free_memory() -> int:
    """Bytes that could be had without swapping (proc(5), meminfo)."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def remove(folder: Path) -> None:
    """Remove a tree with everything in it, also where its own modes forbid it; nothing outside it is touched."""
    if folder.is_symlink() or not folder.exists():
        folder.unlink(missing_ok=True)
        return
    with contextlib.suppress(RecursionError):  # of thousands of folders in each other, on whatever host they were made
        shutil.rmtree(folder, ignore_errors=True)
    try:
        if folder.exists():
            folder.chmod(0o700)
            _empty(folder)
            folder.rmdir()
    except OSError as error:
        raise AgentError(
            f"the sandbox {folder} cannot be removed: {error.strerror}", hint=f"look what holds it: ls -la {folder}"
        ) from error


def _empty(top: Path) -> None:
    """Remove what is in a folder, step by step, however deep it goes and whatever modes its folders have."""
    here = os.open(top, _FOLDER)
    way: list[tuple[str, int]] = []  # the folders down to here, each with the inode of the one that it is in
    try:
        while True:
            inner = _emptied(here)
            if inner:
                way.append((inner, os.fstat(here).st_ino))
                os.chmod(inner, 0o700, dir_fd=here)  # a Path knows no folder to start from
                there = os.open(inner, _FOLDER, dir_fd=here)
            elif way:
                there = os.open("..", _FOLDER, dir_fd=here)
            else:
                return
            os.close(here)
            here = there
            if not inner:
                name, inode = way.pop()
                if os.fstat(here).st_ino != inode:
                    raise OSError(errno.EBUSY, "somebody moves folders in it")
                os.rmdir(name, dir_fd=here)  # as above
    finally:
        os.close(here)


def _emptied(handle: int) -> str:
    """Remove what is no folder; the name of the first folder that was met, with which one has to go on."""
    with os.scandir(handle) as found:
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                return entry.name
            os.unlink(entry.name, dir_fd=handle)  # as above
    return ""


@contextlib.contextmanager
def _held(lock: Path) -> Iterator[bool]:
    """Try to hold the lock; False when another process has it. It falls with its process, however that ends."""
    handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(handle)
