"""The door to the database, on real SQLite: opening, refusing, reading, writing, and what goes wrong with disks."""

import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, inspect, text

from agent.clock import SystemClock
from agent.errors import ConflictError, StoreError
from agent.store import counters, dues, migrations, switches, tables
from agent.store.engine import Store
from agent.store.folder import DATABASE_NAME

CLOCK = SystemClock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    opened = Store.open(folder, CLOCK, migrate=True, busy_seconds=0.05)
    yield opened
    opened.close()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def outside(folder: Path) -> sqlite3.Connection:
    """Another program on the same file."""
    return sqlite3.connect(folder / DATABASE_NAME, isolation_level=None, timeout=0.05)


def mark(store: Store, key: str) -> None:
    with store.write() as tx:
        dues.mark(tx, key, 1)


# opening


def test_the_folder_and_the_database_are_their_owners_alone(store: Store, folder: Path) -> None:
    mark(store, "a")
    assert mode(folder) == 0o700
    assert {mode(path) for path in folder.iterdir()} == {0o600}


def test_an_empty_folder_that_others_can_read_is_closed_to_them(folder: Path) -> None:
    folder.mkdir(mode=0o755)
    Store.open(folder, CLOCK, migrate=True).close()
    assert mode(folder) == 0o700


def test_a_folder_with_other_things_in_it_that_others_can_write_to_is_refused(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "notes.txt").touch()
    with pytest.raises(StoreError, match="others can write") as caught:
        Store.open(folder, CLOCK, migrate=True)
    assert "chmod 700" in caught.value.hint
    assert mode(folder) == 0o777


def test_only_the_daemon_makes_a_database(folder: Path) -> None:
    with pytest.raises(StoreError, match="no database yet") as caught:
        Store.open(folder, CLOCK, migrate=False)
    assert "watchkeeper run" in caught.value.hint
    assert not folder.exists()


def test_a_database_without_a_schema_is_refused_until_it_is_migrated(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder / DATABASE_NAME).touch(mode=0o600)
    with pytest.raises(StoreError, match="missing or older"):
        Store.open(folder, CLOCK, migrate=False)
    Store.open(folder, CLOCK, migrate=True).close()
    Store.open(folder, CLOCK, migrate=False).close()


def test_another_programs_database_is_refused_and_left_as_it_was(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    with outside(folder) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    before = (folder / DATABASE_NAME).read_bytes()
    with pytest.raises(StoreError, match="another program's database"):
        Store.open(folder, CLOCK, migrate=True)
    assert (folder / DATABASE_NAME).read_bytes() == before


def test_a_file_that_is_no_database_is_refused(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder / DATABASE_NAME).write_text("Dear diary, " * 1_000, encoding="utf-8")
    with pytest.raises(StoreError, match="not a database"):
        Store.open(folder, CLOCK, migrate=True)


def test_a_damaged_database_is_refused_by_the_daemon(folder: Path) -> None:
    Store.open(folder, CLOCK, migrate=True).close()
    path = folder / DATABASE_NAME
    content = bytearray(path.read_bytes())
    for page in range(5, len(content) // 4096):
        content[page * 4096 : page * 4096 + 200] = b"\x07" * 200
    path.write_bytes(content)
    with pytest.raises(StoreError, match="damaged"):
        Store.open(folder, CLOCK, migrate=True)


@pytest.mark.parametrize(("oldest_program", "works"), [(1, True), (9999, False)])
def test_a_later_schema_says_whether_this_program_may_still_use_it(
    folder: Path, oldest_program: int, works: bool
) -> None:
    Store.open(folder, CLOCK, migrate=True).close()
    with outside(folder) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute(f"PRAGMA user_version = {oldest_program}")
    connection.close()
    if works:
        Store.open(folder, CLOCK, migrate=True).close()
    else:
        with pytest.raises(StoreError, match="later version") as caught:
            Store.open(folder, CLOCK, migrate=True)
        assert "upgrade" in caught.value.hint


def test_a_copy_that_lost_its_write_ahead_log_gets_it_back(folder: Path) -> None:
    Store.open(folder, CLOCK, migrate=True).close()
    with outside(folder) as connection:
        assert connection.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
    connection.close()
    Store.open(folder, CLOCK, migrate=False).close()
    with outside(folder) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


@pytest.mark.parametrize(("pragma", "value"), [("synchronous", 2), ("foreign_keys", 1), ("journal_mode", "wal")])
def test_nothing_acknowledged_is_lost_with_the_power(store: Store, pragma: str, value: object) -> None:
    with store.write() as tx:
        assert tx.connection.execute(text(f"PRAGMA {pragma}")).scalar_one() == value


# the schema


def test_the_tables_of_the_code_are_those_that_the_revisions_make(store: Store) -> None:
    with store.read() as connection:
        inspector = inspect(connection)
        made = {
            name: (
                [(column["name"], str(column["type"])) for column in inspector.get_columns(name)],
                inspector.get_pk_constraint(name)["constrained_columns"],
                {column["name"] for column in inspector.get_columns(name) if column["nullable"]},
            )
            for name in inspector.get_table_names()
            if name != "alembic_version"
        }
    known = {
        table.name: (
            [(column.name, str(column.type).replace("FLOAT", "REAL")) for column in table.columns],
            [column.name for column in table.primary_key],
            # SQLite calls a rowid nullable, though it never is
            {column.name for column in table.columns if column.nullable or (column.primary_key and _is_rowid(column))},
        )
        for table in tables.metadata.sorted_tables
    }
    assert known == made


def _is_rowid(column: Column[object]) -> bool:
    return str(column.type) == "INTEGER" and len(column.table.primary_key) == 1


def test_the_code_knows_the_newest_revision() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [tables.HEAD]


def test_the_file_bears_our_mark(store: Store) -> None:
    with store.read() as connection:
        assert connection.execute(text("PRAGMA application_id")).scalar_one() == tables.APPLICATION_ID


# reading and writing


def test_an_error_inside_a_transaction_undoes_all_of_it(store: Store) -> None:
    def half() -> None:
        with store.write() as tx:
            dues.mark(tx, "a", 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    with store.read() as connection:
        assert dues.last_runs(connection) == {}


def test_a_snapshot_stays_what_it_was_while_others_write(store: Store) -> None:
    with store.read() as before:
        assert dues.last_runs(before) == {}
        mark(store, "a")
        assert dues.last_runs(before) == {}
    with store.read() as after:
        assert dues.last_runs(after) == {"a": 1}


def test_a_snapshot_cannot_be_written_to(store: Store) -> None:
    with pytest.raises(StoreError, match="cannot be written"), store.read() as connection:
        connection.execute(text("DELETE FROM dues"))


def test_a_transaction_inside_a_transaction_is_a_mistake_not_a_deadlock(store: Store) -> None:
    with store.write(), pytest.raises(RuntimeError, match="hand the open one down"), store.write():
        pass
    mark(store, "a")


def test_threads_take_turns(store: Store) -> None:
    numbers: list[str] = []

    def draw() -> None:
        for _ in range(10):
            with store.write() as tx:
                numbers.append(counters.next_number(tx, "INC"))

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers == [f"INC{number:07d}" for number in range(1, 41)]


def test_the_version_tells_of_others_commits_and_not_of_our_own(store: Store, folder: Path) -> None:
    other = Store.open(folder, CLOCK, migrate=False)
    before = store.data_version()
    mark(store, "ours")
    assert store.data_version() == before
    mark(other, "theirs")
    after = store.data_version()
    assert after != before
    mark(other, "theirs again")
    mark(store, "ours again")
    assert store.data_version() != after
    other.close()


def test_the_version_never_waits_for_a_transaction(store: Store) -> None:
    before = store.data_version()
    with store.write():
        assert store.data_version() == before


def test_failpoints_are_passed_in_order(folder: Path) -> None:
    seen: list[str] = []
    store = Store.open(folder, CLOCK, migrate=True, failpoint=seen.append)
    seen.clear()
    with store.write() as tx:
        switches.turn(tx, "a", on=True, by="me", why="")
        seen.append("written")
    store.close()
    assert seen == ["written", "before-commit", "after-commit"]


# what goes wrong


def test_a_database_locked_by_another_program_is_said_so(store: Store, folder: Path) -> None:
    with outside(folder) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked") as caught:
            mark(store, "a")
        assert "fuser" in caught.value.hint
        other.execute("ROLLBACK")
    other.close()
    mark(store, "a")


def test_a_full_disk_loses_nothing_acknowledged_and_is_over_when_there_is_space(store: Store) -> None:
    raw = store._raw()
    pages = raw.execute("PRAGMA page_count").fetchone()[0]
    raw.execute(f"PRAGMA max_page_count = {pages + 2}")
    kept: list[str] = []

    def fill() -> None:
        for number in range(1_000):
            key = f"{number:04d}" * 500
            mark(store, key)
            kept.append(key)

    with pytest.raises(StoreError, match="no space left") as caught:
        fill()
    assert "df -h" in caught.value.hint
    raw.execute("PRAGMA max_page_count = 1000000")
    mark(store, "after")
    with store.read() as connection:
        assert set(dues.last_runs(connection)) == {*kept, "after"}


@pytest.mark.parametrize("name", ["SQLITE_IOERR_FSYNC", "SQLITE_CORRUPT"])
def test_after_an_error_of_the_disk_nothing_more_is_acknowledged(folder: Path, name: str) -> None:
    """SQLite itself goes on after a failed fsync as if nothing had happened."""
    fault = sqlite3.OperationalError("disk I/O error")
    fault.sqlite_errorname = name
    failing: list[str] = []

    def failpoint(point: str) -> None:
        if point in failing:
            raise fault

    store = Store.open(folder, CLOCK, migrate=True, failpoint=failpoint)
    mark(store, "before")
    failing.append("before-commit")
    with pytest.raises(StoreError):
        mark(store, "during")
    failing.clear()
    with pytest.raises(StoreError, match="nothing more is written") as caught:
        mark(store, "after")
    assert "restart" in caught.value.hint
    with store.read() as connection:
        assert dues.last_runs(connection) == {"before": 1}
    store.close()


def test_an_unforeseen_clash_is_a_conflict(store: Store) -> None:
    with pytest.raises(ConflictError), store.write() as tx:
        tx.connection.execute(text("INSERT INTO dues VALUES ('a', 1), ('a', 2)"))
