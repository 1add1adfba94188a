"""Every error of SQLite leaves the room as ours, with something to do next."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError, OperationalError

from agent.errors import ConflictError, StoreError
from agent.store import faults

PATH = Path("/state/watchkeeper.sqlite")
CODES = sorted(
    name
    for name in dir(sqlite3)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_CORRUPT", "SQLITE_CANTOPEN",
                        "SQLITE_READONLY", "SQLITE_CONSTRAINT", "SQLITE_FULL", "SQLITE_NOTADB", "SQLITE_PERM",
                        "SQLITE_ERROR", "SQLITE_TOOBIG", "SQLITE_MISMATCH", "SQLITE_NOMEM", "SQLITE_SCHEMA"))
)  # fmt: skip


def error(name: str, words: str = "as SQLite says it") -> sqlite3.Error:
    made = sqlite3.OperationalError(words)
    made.sqlite_errorname = name
    return made


@pytest.mark.parametrize("name", CODES)
def test_every_error_names_the_file_or_the_record_and_has_a_hint(name: str) -> None:
    found = faults.translate(error(name), PATH)
    assert found.hint
    assert "as SQLite says it" in str(found)
    assert isinstance(found, ConflictError) or str(PATH) in str(found)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("SQLITE_BUSY_SNAPSHOT", "locked"),
        ("SQLITE_FULL", "no space"),
        ("SQLITE_CORRUPT_VTAB", "damaged"),
        ("SQLITE_IOERR_FSYNC", "disk failed"),
        ("SQLITE_READONLY_DIRECTORY", "cannot be written"),
        ("SQLITE_CANTOPEN_ISDIR", "cannot be opened"),
        ("SQLITE_NOTADB", "not a database"),
    ],
)
def test_the_common_ones_are_said_in_plain_words(name: str, words: str) -> None:
    assert words in str(faults.translate(error(name), PATH))


def test_a_lost_race_is_a_conflict_and_a_refused_trigger_is_not() -> None:
    assert isinstance(faults.translate(error("SQLITE_CONSTRAINT_UNIQUE"), PATH), ConflictError)
    assert not isinstance(faults.translate(error("SQLITE_CONSTRAINT_TRIGGER"), PATH), ConflictError)


def test_an_error_that_sqlalchemy_wrapped_is_known_by_its_core() -> None:
    wrapped = OperationalError("SELECT 1", {}, error("SQLITE_BUSY"))
    with pytest.raises(StoreError, match="locked") as caught, faults.translated(PATH):
        raise wrapped
    assert isinstance(caught.value.__cause__, DBAPIError)


def test_what_is_not_sqlites_passes() -> None:
    with pytest.raises(ZeroDivisionError), faults.translated(PATH):
        raise ZeroDivisionError
