"""Proves a copy of an SQLite database: its structure, its foreign keys, and what it answers."""

import sqlite3
from pathlib import Path
from urllib.parse import quote

from agent.backups.streaming import throwaway
from agent.clock import Deadline

_MAGIC = b"SQLite format 3\0"
_TOLD = 5
_STEPS = 10_000  # of SQLite's machine between two looks at the clock


def verify(dump: Path, query: str, deadline: Deadline) -> list[str]:
    """What is wrong with it; TimeoutError when the time is up."""
    with dump.open("rb") as stream:
        if stream.read(len(_MAGIC)) != _MAGIC:
            return ["it is no SQLite database"]
    try:
        connection = sqlite3.connect(f"file:{quote(str(dump))}?mode=ro&immutable=1", uri=True, timeout=1.0)
    except sqlite3.Error as error:
        return [f"SQLite says: {error}"]
    try:
        connection.set_progress_handler(deadline.is_over, _STEPS)
        return _faults(connection, query)
    except (sqlite3.Error, sqlite3.Warning) as error:
        if deadline.is_over():
            raise TimeoutError from error
        return [f"SQLite says: {error}"]
    finally:
        connection.close()


def _faults(connection: sqlite3.Connection, query: str) -> list[str]:
    found = [
        f"SQLite says: {part}"
        for (line,) in connection.execute(f"PRAGMA integrity_check({_TOLD})")
        if line != "ok"
        for part in str(line).splitlines()
    ]
    if found:
        return found[:_TOLD]
    lost = connection.execute("PRAGMA foreign_key_check").fetchmany(_TOLD)
    found = [
        f"SQLite says: a row of {table} refers to one of {parent} that is not there" for table, _, parent, _ in lost
    ]
    tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]
    found += [] if tables else ["the dump holds no table"]
    if query:
        row = connection.execute(query).fetchone()
        doubt = throwaway.no([str(row[0])] if row else [])
        found += [doubt] if doubt else []
    return found
