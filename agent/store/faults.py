"""SQLite's errors in our own words, each with what to do next."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from agent.errors import ConflictError, StoreError

# After these nothing that the database says can be trusted: one failed fsync(2) may have dropped pages for good,
# yet SQLite would take the next write as if nothing had happened.
FATAL = ("SQLITE_IOERR", "SQLITE_CORRUPT", "SQLITE_NOTADB")

_WORDS = {
    "SQLITE_BUSY": ("another process keeps the database locked", "try again; to see who holds it: fuser -v {path}"),
    "SQLITE_LOCKED": ("the database is locked", "try again; to see who holds it: fuser -v {path}"),
    "SQLITE_FULL": ("no space left for the database", "free space: df -h {folder}; nothing acknowledged is lost"),
    "SQLITE_CORRUPT": ("the database is damaged", "stop the agent, move {path}* aside, put a good copy in its place"),
    "SQLITE_NOTADB": (
        "this is not a database",
        "is `state` in config.yaml right? If it is, restore {path} from a copy",
    ),
    "SQLITE_IOERR": ("the disk failed under the database", "stop the agent; see: dmesg; check the disk of {folder}"),
    "SQLITE_READONLY": ("the database cannot be written", "run as its owner, or see: ls -la {folder}"),
    "SQLITE_CANTOPEN": ("the database cannot be opened", "run as its owner, or see: ls -la {folder}"),
    "SQLITE_PERM": ("the database cannot be opened", "run as its owner, or see: ls -la {folder}"),
}


def errorname(error: BaseException) -> str:
    """SQLite's name of an error, such as SQLITE_BUSY_SNAPSHOT; empty when it has none."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    return str(getattr(origin, "sqlite_errorname", ""))


def translate(error: Exception, path: Path) -> StoreError:
    """The error of ours that stands for one of SQLite's."""
    name = errorname(error)
    origin = error.orig if isinstance(error, DBAPIError) else error
    if name == "SQLITE_CONSTRAINT_TRIGGER":
        return StoreError(f"{path}: {origin}", hint="only a new line can correct an old one")
    if name.startswith("SQLITE_CONSTRAINT"):
        return ConflictError(f"the record exists already, or changed meanwhile ({origin})", hint="read it again")
    for known, (words, hint) in _WORDS.items():
        if name.startswith(known):
            return StoreError(
                f"{path}: {words} ({origin})",
                hint=hint.format(path=path, folder=path.parent),
            )
    return StoreError(f"{path}: {origin}", hint="see: watchkeeper doctor")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Whatever SQLite says inside leaves as a StoreError."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError, sqlite3.Error) as error:
        raise translate(error, path) from error
