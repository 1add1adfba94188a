"""The table of what looks left, on real SQLite, in a state folder of today and in one of an earlier version."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from agent.clock import SystemClock
from agent.errors import StoreError
from agent.store import dues, memories
from agent.store.engine import Store
from agent.store.memories import Row

CLOCK = SystemClock()
LOG = Row("shop/checks/log@here", "d1", "boot", 1, "[[1,2]]")
CPU = Row("shop/checks/cpu@here", "d2", "boot", 2, "[[0.5]]")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    store = Store.open(folder, CLOCK, migrate=True)
    yield store
    store.close()


def test_each_key_has_the_last_that_was_written_until_it_is_forgotten(store: Store) -> None:
    later = LOG._replace(digest="d3", boot_id="next", at_us=9, document="[[3,4]]")
    with store.write() as tx:
        memories.write(tx, [LOG, CPU])
    with store.write() as tx:
        memories.write(tx, [later])
        memories.write(tx, [])
    with store.read() as reader:
        assert memories.read(reader) == {LOG.key: later, CPU.key: CPU}
    with store.write() as tx:
        memories.forget(tx, [LOG.key, "never/there@none"])
        memories.forget(tx, [])
    with store.read() as reader:
        assert memories.read(reader) == {CPU.key: CPU}


def as_of_0001(folder: Path) -> None:
    """Take a state folder back to what the first version left."""
    raw = sqlite3.connect(folder / "watchkeeper.sqlite")
    raw.executescript(
        "DROP TABLE memories; ALTER TABLE proofs DROP COLUMN document; UPDATE alembic_version SET version_num = '0001';"
    )
    raw.close()


def test_the_state_of_an_earlier_version_gets_the_table_and_keeps_what_it_has(folder: Path) -> None:
    before = Store.open(folder, CLOCK, migrate=True)
    with before.write() as tx:
        dues.mark(tx, "backup:shop", 7)
    before.close()
    as_of_0001(folder)
    with pytest.raises(StoreError, match="older than this program"):
        Store.open(folder, CLOCK, migrate=False)
    after = Store.open(folder, CLOCK, migrate=True)
    with after.write() as tx:
        memories.write(tx, [LOG])
    with after.read() as reader:
        assert (dues.last_runs(reader), memories.read(reader)) == ({"backup:shop": 7}, {LOG.key: LOG})
        assert _oldest(reader) == 1, "yesterday's code works on it"
    after.close()


def _oldest(reader: Connection) -> int:
    return int(reader.execute(text("PRAGMA user_version")).scalar_one())
