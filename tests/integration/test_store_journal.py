"""The journal on real SQLite: it only grows, and the offline proof names the first bad row of every tampering."""

import dataclasses
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.errors import StoreError
from agent.model.journal import GENESIS, Entry
from agent.store import journal
from agent.store.chain import TRIGGERS, Head, seal, verify
from agent.store.engine import Store
from agent.store.folder import DATABASE_NAME

CLOCK = SystemClock()
ROWS = 6
ENTRY = Entry(
    actor="agent",
    on_behalf_of="somebody",
    kind="incident",
    object_type="incident",
    object_id="INC0000001",
    revision=3,
    why="three in a row",
    body={"host": "web1", "é": [1, None]},
    policy_generation=7,
    exec_id="EXE0000009",
)

COPY = (
    "INSERT INTO journal SELECT 3, recorded_at_us, mono_ns, boot_id, actor, on_behalf_of, kind, object_type, object_id,"
    " revision, 'forged', body, body_version, policy_generation, exec_id, prev_hash, hash FROM journal WHERE seq = 2"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state folder with a journal of some lines, closed."""
    store = Store.open(tmp_path, CLOCK, migrate=True)
    write(store, ROWS)
    store.close()
    return tmp_path


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    opened = Store.open(folder, CLOCK, migrate=False)
    yield opened
    opened.close()


def write(store: Store, rows: int) -> None:
    for number in range(rows):
        with store.write() as tx:
            journal.append(tx, dataclasses.replace(ENTRY, object_id=f"INC{number % 2}"))


def test_a_line_comes_back_as_it_was_written(store: Store) -> None:
    before = CLOCK.now()
    with store.write() as tx:
        line = journal.append(tx, ENTRY)
    with store.read() as connection:
        assert journal.lines(connection, after=ROWS) == [line]
        assert journal.head(connection) == Head(line.seq, line.hash)
    assert line.entry == ENTRY
    assert line.seq == ROWS + 1
    assert line.boot_id == CLOCK.boot_id
    assert before <= line.recorded_at_us <= CLOCK.now()


def test_lines_are_numbered_from_one_and_chained_from_genesis(store: Store) -> None:
    with store.read() as connection:
        lines = journal.lines(connection)
    assert [line.seq for line in lines] == list(range(1, ROWS + 1))
    assert [line.prev_hash for line in lines] == [GENESIS, *(line.hash for line in lines[:-1])]


def test_lines_can_be_read_by_record_and_in_pages(store: Store) -> None:
    with store.read() as connection:
        assert [line.seq for line in journal.lines(connection, object_id="INC1")] == [2, 4, 6]
        assert [line.seq for line in journal.lines(connection, object_id="INC1", after=2, limit=1)] == [4]
        assert journal.lines(connection, after=ROWS) == []


def test_an_empty_journal_has_the_genesis_head(tmp_path: Path) -> None:
    store = Store.open(tmp_path, CLOCK, migrate=True)
    with store.read() as connection:
        assert journal.head(connection) == Head(0, GENESIS)
    store.close()
    assert verify(tmp_path) == (True, 0, None, "", GENESIS)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE journal SET why = 'nothing happened' WHERE seq = 2",
        "DELETE FROM journal WHERE seq = 6",
        "DELETE FROM journal",
        "INSERT OR REPLACE INTO journal SELECT * FROM journal WHERE seq = 2",
        COPY.replace("SELECT 3", "SELECT 9"),
    ],
)
def test_the_database_itself_refuses_to_change_a_line(folder: Path, change: str) -> None:
    connection = sqlite3.connect(folder / DATABASE_NAME, isolation_level=None)
    with pytest.raises(sqlite3.IntegrityError, match=r"the journal (is append-only|only grows at its end)"):
        connection.execute(change)
    connection.close()
    assert verify(folder).ok


def test_through_the_store_the_refusal_has_a_hint(store: Store) -> None:
    with pytest.raises(StoreError, match="append-only") as caught, store.write() as tx:
        tx.connection.exec_driver_sql("DELETE FROM journal")
    assert caught.value.hint


# the offline proof


def test_an_untouched_journal_is_proven(folder: Path) -> None:
    found = verify(folder)
    assert (found.ok, found.rows, found.first_bad_seq) == (True, ROWS, None)
    assert verify(folder / DATABASE_NAME, expected=Head(ROWS, found.head_hash)) == found


def test_the_proof_sees_lines_that_are_still_in_the_write_ahead_log(store: Store, folder: Path) -> None:
    write(store, 3)
    assert verify(folder).rows == ROWS + 3


def test_the_proof_reads_a_folder_that_cannot_be_written(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    program = "import sys, pathlib, agent.store.chain as c; print(c.verify(pathlib.Path(sys.argv[1])).why or 'proven')"
    powerless = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    folder.chmod(0o500)
    try:
        argv = [*powerless, sys.executable, "-c", program, str(folder)]
        done = subprocess.run(argv, check=False, capture_output=True, text=True)
    finally:
        folder.chmod(0o700)
    assert (done.stdout, done.stderr) == ("proven\n", "")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def tamper(folder: Path, *statements: str, restore: bool = True) -> None:
    """Change the file as somebody would who owns it: without the triggers, which are put back afterwards."""
    connection = sqlite3.connect(folder / DATABASE_NAME, isolation_level=None)
    for name in TRIGGERS:
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        connection.execute(statement)
    for text in TRIGGERS.values() if restore else ():
        connection.execute(text)
    connection.close()


COLUMNS = {
    "recorded_at_us": "recorded_at_us + 1",
    "mono_ns": "mono_ns + 1",
    "boot_id": "'x'",
    "actor": "'x'",
    "on_behalf_of": "''",
    "kind": "'x'",
    "object_type": "'x'",
    "object_id": "'x'",
    "revision": "revision + 1",
    "why": "'x'",
    "body": "body || ' '",
    "body_version": "2",
    "policy_generation": "8",
    "exec_id": "''",
    "prev_hash": "hash",
    "hash": "prev_hash",
}


@pytest.mark.parametrize("column", COLUMNS)
def test_a_change_of_any_column_is_found(folder: Path, column: str) -> None:
    tamper(folder, f"UPDATE journal SET {column} = {COLUMNS[column]} WHERE seq = 3")  # noqa: S608 - the test's own words
    found = verify(folder)
    assert (found.ok, found.first_bad_seq, found.rows) == (False, 3, 2)
    assert found.why


FORGE = "UPDATE journal SET why = 'forged', prev_hash = '{}', hash = '{}' WHERE seq = {}"
RENUMBER = "UPDATE journal SET seq = {1} WHERE seq = {0}"
SWAP = (RENUMBER.format(3, -1), RENUMBER.format(4, 3), RENUMBER.format(-1, 4))
SHIFT = tuple(RENUMBER.format(seq, seq + 1) for seq in range(ROWS, 2, -1))


@pytest.mark.parametrize(
    ("statements", "first_bad", "words"),
    [
        (("DELETE FROM journal WHERE seq = 3",), 3, "missing"),
        (("DELETE FROM journal WHERE seq = 1",), 1, "missing"),
        (("DELETE FROM journal WHERE seq = 3", *(RENUMBER.format(n, n - 1) for n in (4, 5, 6))),
         3, "inserted, moved or rewritten"),
        ((*SHIFT, COPY), 3, "inserted, moved or rewritten"),
        (SWAP, 3, "inserted, moved or rewritten"),
    ],
    ids=["deleted middle", "deleted first", "deleted and closed up", "inserted", "swapped"],
)  # fmt: skip
def test_a_missing_added_or_moved_row_is_named(
    folder: Path, statements: tuple[str, ...], first_bad: int, words: str
) -> None:
    tamper(folder, *statements)
    found = verify(folder)
    assert (found.ok, found.first_bad_seq) == (False, first_bad)
    assert words in found.why


def test_missing_triggers_are_found(folder: Path) -> None:
    tamper(folder, restore=False)
    found = verify(folder)
    assert (found.ok, found.first_bad_seq) == (False, None)
    assert "missing" in found.why


def test_a_trigger_that_does_something_else_is_found(folder: Path) -> None:
    tamper(folder, *(text.replace("RAISE(ABORT,", "length(") for text in TRIGGERS.values()), restore=False)
    assert "changed" in verify(folder).why


def forge_all(folder: Path) -> None:
    """Write a whole new history, sealed as it should be."""
    connection = sqlite3.connect(folder / DATABASE_NAME, isolation_level=None)
    connection.row_factory = sqlite3.Row
    rows = [dict(row) for row in connection.execute("SELECT * FROM journal ORDER BY seq")]
    connection.close()
    statements, head = [], GENESIS
    for row in rows:
        columns = {name: value for name, value in row.items() if name not in {"prev_hash", "hash"}} | {"why": "forged"}
        before, head = head, seal(head, columns)
        statements.append(FORGE.format(before, head, row["seq"]))
    tamper(folder, *statements)


def cut_end(folder: Path) -> None:
    tamper(folder, "DELETE FROM journal WHERE seq > 4")


@pytest.mark.parametrize(("forge", "first_bad"), [(forge_all, ROWS), (cut_end, 5)])
def test_a_cut_end_and_a_new_history_are_found_by_a_head_kept_elsewhere_and_only_by_it(
    folder: Path, forge: Callable[[Path], None], first_bad: int
) -> None:
    noted = Head(ROWS, verify(folder).head_hash)
    forge(folder)
    assert verify(folder).ok, "a chain alone cannot show this"
    found = verify(folder, expected=noted)
    assert (found.ok, found.first_bad_seq) == (False, first_bad)
    assert "noted elsewhere" in found.why


def test_lines_written_after_the_noted_head_are_no_fault(store: Store, folder: Path) -> None:
    noted = Head(ROWS, verify(folder).head_hash)
    write(store, 2)
    assert verify(folder, expected=noted).ok


def test_a_damaged_file_is_a_finding(folder: Path) -> None:
    path = folder / DATABASE_NAME
    content = bytearray(path.read_bytes())
    content[100:4096] = b"\x07" * 3996
    path.write_bytes(content)
    found = verify(folder)
    assert not found.ok
    assert "damaged" in found.why


def test_a_missing_file_is_an_error_and_makes_none(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no database"):
        verify(tmp_path)
    assert list(tmp_path.iterdir()) == []
