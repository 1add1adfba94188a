"""Asks what was restored whether it works: SQLite its own databases, wherever they are."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from agent.backups.restic import sandbox
from agent.backups.restic.compare import printable
from agent.backups.restic.selection import Selection
from agent.clock import Deadline

_MAGIC = b"SQLite format 3\0"
_BESIDE = ("-wal", "-journal")
_TOLD = 5  # complaints of one database
_STEPS = 10_000  # of SQLite's machine between two looks at the clock
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def faults(chosen: Selection, box: Path, scratch: Path, deadline: Deadline) -> list[str]:
    """What SQLite finds wrong with the databases in the box; TimeoutError when the time is up."""
    found: list[str] = []
    for entry in chosen.entries():
        if entry.kind == "file" and _is_database(f"{box}{entry.path}"):
            found += [
                f"SQLite says: {line}: {printable(entry.path)}"
                for line in _ask(Path(f"{box}{entry.path}"), scratch, deadline)
            ]
    return found


def _is_database(path: str) -> bool:
    try:
        handle = os.open(path, _FLAGS)
    except OSError:
        return False
    try:
        return os.read(handle, len(_MAGIC)) == _MAGIC
    except OSError:
        return False
    finally:
        os.close(handle)


def _ask(path: Path, scratch: Path, deadline: Deadline) -> list[str]:
    """Ask in place, read-only; with a journal beside it, a copy, for SQLite first has to bring it in."""
    beside = [one for one in (path.with_name(path.name + end) for end in _BESIDE) if one.is_file()]
    if not beside:
        return list(_complaints(f"file:{quote(os.fsencode(path))}?mode=ro&immutable=1", deadline))
    size_bytes = sum(one.stat().st_size for one in (path, *beside))
    if sandbox.lacking_bytes(scratch, size_bytes, len(beside) + 1):
        return [f"no room for a copy of {size_bytes} bytes to look into"]
    folder = scratch / "database"
    folder.mkdir(mode=0o700)
    try:
        for one in (path, *beside):
            shutil.copyfile(one, folder / one.name, follow_symlinks=False)
        return list(_complaints(f"file:{quote(os.fsencode(folder / path.name))}?mode=rw", deadline))
    finally:
        sandbox.remove(folder)


def _complaints(uri: str, deadline: Deadline) -> Iterator[str]:
    try:
        connection = sqlite3.connect(uri, uri=True, timeout=1.0)
    except sqlite3.Error as error:
        yield str(error)
        return
    try:
        connection.set_progress_handler(deadline.is_over, _STEPS)
        for (line,) in connection.execute(f"PRAGMA integrity_check({_TOLD})"):
            if line != "ok":
                yield from str(line).splitlines()[:_TOLD]
    except sqlite3.Error as error:
        if deadline.is_over():
            raise TimeoutError from error
        yield str(error)
    finally:
        connection.close()
