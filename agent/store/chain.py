"""The journal's chain of hashes: how a line is sealed, and the offline proof that none was changed.

Needs nothing but the standard library, so that the proof does not depend on the code that wrote the lines.
"""

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from agent.errors import StoreError
from agent.model.journal import GENESIS
from agent.store.canonical import dumps
from agent.store.folder import DATABASE_NAME

TRIGGERS = {
    "journal_no_update": """CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal
        BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
    "journal_no_delete": """CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal
        BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
    "journal_in_order": """CREATE TRIGGER journal_in_order BEFORE INSERT ON journal
        WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM journal)
        BEGIN SELECT RAISE(ABORT, 'the journal only grows at its end'); END""",
}


class Head(NamedTuple):
    """The last line: its number and hash. Kept elsewhere, it proves that the end was not cut off or all rewritten."""

    seq: int
    hash: str


class Verification(NamedTuple):
    """What an offline check of the journal found. `first_bad_seq` is None when no single row is to blame."""

    ok: bool
    rows: int
    first_bad_seq: int | None
    why: str
    head_hash: str


def seal(prev_hash: str, columns: Mapping[str, Any]) -> str:
    """The hash of a line: SHA-256 over the hash before it and all its other columns as canonical JSON."""
    return hashlib.sha256((prev_hash + dumps(dict(columns))).encode("ascii")).hexdigest()


def verify(place: Path, *, expected: Head | None = None) -> Verification:
    """Read the whole journal of a database file (or of the state folder holding it) and name the first bad row.

    A chain alone cannot show that lines were cut off at its end or that all of it was written anew: hand in a head
    noted earlier, elsewhere, as `expected`.
    """
    path = place / DATABASE_NAME if place.is_dir() else place
    if not path.is_file():
        raise StoreError(f"{path}: there is no database", hint="see `state` in config.yaml")
    try:
        with closing(_open_read_only(path)) as connection:
            connection.execute("BEGIN")  # one snapshot, whatever a running agent appends meanwhile
            return _missing_trigger(connection) or _walk(connection, expected)
    except sqlite3.DatabaseError as error:
        return Verification(ok=False, rows=0, first_bad_seq=None, why=f"the database is damaged: {error}", head_hash="")


def _open_read_only(path: Path) -> sqlite3.Connection:
    address = path.absolute().as_uri() + "?mode=ro"
    connection = sqlite3.connect(address, uri=True, isolation_level=None, timeout=30.0)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        connection.close()
        if getattr(error, "sqlite_errorname", "") not in {
            "SQLITE_CANTOPEN",
            "SQLITE_READONLY_DIRECTORY",
            "SQLITE_READONLY_CANTINIT",
        }:
            raise
        # On a medium that cannot be written SQLite cannot make its side files, and nobody else writes there either.
        return sqlite3.connect(address + "&immutable=1", uri=True, isolation_level=None)
    return connection


def _missing_trigger(connection: sqlite3.Connection) -> Verification | None:
    found = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
    for name, text in TRIGGERS.items():
        if " ".join(str(found.get(name, "")).split()) != " ".join(text.split()):
            why = f"the trigger {name}, which protects the journal, is {'changed' if name in found else 'missing'}"
            return Verification(ok=False, rows=0, first_bad_seq=None, why=why, head_hash="")
    return None


def _walk(connection: sqlite3.Connection, expected: Head | None) -> Verification:
    rows, head = 0, GENESIS
    for columns in _columns(connection):
        seq, prev_hash, stored = columns["seq"], columns.pop("prev_hash"), columns.pop("hash")
        fault = _fault(rows + 1, head, seq, prev_hash) or _broken_seal(stored, seal(prev_hash, columns))
        if not fault and expected is not None and expected.seq == seq and expected.hash != stored:
            fault = "it is not the line whose hash was noted elsewhere"
        if fault:
            return Verification(ok=False, rows=rows, first_bad_seq=min(seq, rows + 1), why=fault, head_hash=head)
        rows, head = seq, stored
    if expected is not None and rows < expected.seq:
        why = f"the journal ends at {rows}, but line {expected.seq} was noted elsewhere: its end is cut off"
        return Verification(ok=False, rows=rows, first_bad_seq=rows + 1, why=why, head_hash=head)
    return Verification(ok=True, rows=rows, first_bad_seq=None, why="", head_hash=head)


def _columns(connection: sqlite3.Connection) -> Iterator[dict[str, Any]]:
    cursor = connection.execute("SELECT * FROM journal ORDER BY seq")
    names = [description[0] for description in cursor.description]
    for row in cursor:
        yield dict(zip(names, row, strict=True))


def _fault(wanted_seq: int, head: str, seq: int, prev_hash: str) -> str:
    if seq != wanted_seq:
        return f"line {wanted_seq} is missing: {seq} follows"
    if prev_hash != head:
        return "it does not follow the line before it: a line was inserted, moved or rewritten"
    return ""


def _broken_seal(stored: str, computed: str) -> str:
    return "" if stored == computed else "its text is not what was written: the hash differs"
