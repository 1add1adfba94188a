"""The state folder: made private to its owner, and refused when it plainly is not ours alone."""

import os
import stat
from pathlib import Path

from agent.errors import StoreError

DATABASE_NAME = "watchkeeper.sqlite"
LOCK_NAME = "daemon.lock"
_OURS = frozenset({DATABASE_NAME, LOCK_NAME})


def make_private(folder: Path) -> None:
    """Make the folder, for its owner alone; StoreError when it cannot be made or others can write to it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        others = stat.S_IMODE(folder.stat().st_mode) & 0o077
        names = {entry.name for entry in folder.iterdir()} if others else set()
        if others and (not names or names & _OURS):
            folder.chmod(0o700)
        elif others & 0o022:
            raise StoreError(f"{folder}: others can write to this folder", hint=f"chmod 700 {folder}")
    except OSError as error:
        raise unusable(folder, error) from error


def database(folder: Path, *, create: bool) -> Path:
    """The path of the folder's database; with `create` both are made when missing. StoreError when there is none."""
    path = folder / DATABASE_NAME
    if create:
        make_private(folder)
    try:
        if path.exists():
            return path
        if not create:
            raise StoreError(f"{path}: there is no database yet", hint="it is made by: watchkeeper run")
        # Never opened this way once it exists: closing any descriptor of it would drop the locks that SQLite holds
        # on it for this process (POSIX locks, fcntl(2)).
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    except FileExistsError:
        return path  # another process was quicker
    except OSError as error:
        raise unusable(path, error) from error
    return path


def unusable(path: Path, error: OSError) -> StoreError:
    """The error for a file or folder that the system does not let us use."""
    return StoreError(f"{path}: {error.strerror}", hint=f"run as its owner; see: ls -ld {path} {path.parent}")
