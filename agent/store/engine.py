"""The door to the database: opening and checking it, snapshots to read from, short transactions to write in."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool, StaticPool

from agent.clock import Clock
from agent.errors import StoreError
from agent.store import folder as state_folder
from agent.store import migrations, schema
from agent.store.faults import FATAL, errorname, translate, translated
from agent.store.tx import Failpoint, Tx

BUSY_SECONDS = 30.0  # a sibling's transaction lasts milliseconds; a backup tool copying the file, seconds


def _nothing(_point: str) -> None:
    """The failpoint of everyday life."""


class Store:
    """One process's access to the database; safe to use from several threads."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        failpoint: Failpoint = _nothing,
        busy_seconds: float = BUSY_SECONDS,
    ) -> None:
        self.path = path
        self._clock = clock
        self._failpoint = failpoint
        self._lock = threading.Lock()
        self._writing_thread: int | None = None
        self._broken = ""
        self._seen_version = 0
        self._commits = 0
        connect = _connector(path, busy_seconds)
        self._readers = _engine(connect, begin="BEGIN", query_only=True)
        self._writers = _engine(connect, begin="BEGIN IMMEDIATE", query_only=False)
        self._writer = self._writers.connect()

    @classmethod
    def open(
        cls,
        folder: Path,
        clock: Clock,
        *,
        migrate: bool,
        failpoint: Failpoint = _nothing,
        busy_seconds: float = BUSY_SECONDS,
    ) -> "Store":
        """The store in `folder`, checked. With `migrate`, made or brought to today's schema and read through first.

        StoreError when the database is missing, damaged, of a newer program, or not migrated yet.
        """
        path = state_folder.database(folder, create=migrate)
        with translated(path):
            store = cls(path, clock, failpoint=failpoint, busy_seconds=busy_seconds)
            try:
                store._check(migrate=migrate)
                if migrate:
                    store.quick_check()
            except BaseException:
                store.close()
                raise
        return store

    def _check(self, *, migrate: bool) -> None:
        verdict = self._standing()
        if verdict is schema.Standing.BEHIND and migrate:
            self._keep_log()
            with self.write() as tx:
                migrations.upgrade(tx.connection)
            verdict = self._standing()
        schema.require_current(verdict, self.path)
        self._keep_log()

    def _standing(self) -> schema.Standing:
        with self.read() as connection:
            return schema.standing(connection)

    def _keep_log(self) -> None:
        """Write-ahead logging is a property of the file; a restored copy may have lost it."""
        mode = self._raw().execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StoreError(
                f"{self.path}: this file system cannot share memory between processes (journal mode {mode})",
                hint=f"put the state on a local disk: `state` in config.yaml; see: findmnt -T {self.path.parent}",
            )

    def quick_check(self) -> None:
        """StoreError unless SQLite finds the file whole; reads all of it."""
        with self.read() as connection:
            schema.quick_check(connection, self.path)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A snapshot: everything read inside belongs to one moment, and nothing can be written."""
        with translated(self.path), self._readers.connect() as connection:
            yield connection

    @contextmanager
    def write(self, *, is_news: bool = True) -> Iterator[Tx]:
        """A transaction, durable once the block has ended without an error; keep it short.

        What is no news, such as what was merely seen, leaves `version` alone. Transactions of this process wait for each other here, those of other processes in SQLite.
        """
        if self._writing_thread == threading.get_ident():
            raise RuntimeError("a transaction inside a transaction: hand the open one down instead")
        with self._lock:
            self._refuse_if_broken()
            self._writing_thread = threading.get_ident()
            try:
                with self._writer.begin():
                    yield Tx(self._writer, self._clock, self._failpoint)
                    self._failpoint("before-commit")
                self._commits += is_news
                self._failpoint("after-commit")
            except (DBAPIError, sqlite3.Error) as error:
                if errorname(error).startswith(FATAL):
                    self._broken = str(error)
                raise translate(error, self.path) from error
            finally:
                self._writing_thread = None

    def _refuse_if_broken(self) -> None:
        if self._broken:
            raise StoreError(
                f"{self.path}: nothing more is written after an error of the disk or the file ({self._broken})",
                hint=f"see dmesg, mend the disk of {self.path.parent}, then restart the agent",
            )

    def data_version(self) -> int:
        """A number that changes when another process (or another Store) has committed; own commits leave it alone.

        Never waits: while a transaction of ours is open, it is the last number known.
        """
        if self._lock.acquire(blocking=False):
            try:
                with translated(self.path):
                    cursor = self._raw().execute("PRAGMA data_version")
                    self._seen_version = int(cursor.fetchone()[0])
            finally:
                self._lock.release()
        return self._seen_version

    def version(self) -> tuple[int, int]:
        """A sign that changes with every commit that is news, or another's: while it stands, nothing needs to be read."""
        return self._commits, self.data_version()

    def _raw(self) -> sqlite3.Connection:
        raw = self._writer.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        return raw

    def close(self) -> None:
        """Let go of every connection."""
        with self._lock:
            self._writer.close()
            self._writers.dispose()
            self._readers.dispose()


def _connector(path: Path, busy_seconds: float) -> Callable[[], sqlite3.Connection]:
    def connect() -> sqlite3.Connection:
        # isolation_level None: the module begins nothing by itself; our `begin` event does, explicitly.
        connection = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
        for pragma in (
            "page_size = 8192",  # of a database that is being made: a host's row of latest looks takes 1 to 2 kB
            "synchronous = FULL",
            "foreign_keys = ON",
            "cell_size_check = ON",
            "trusted_schema = OFF",
            "journal_size_limit = 16777216",  # the log's file shrinks again after a burst
        ):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    return connect


def _engine(connect: Callable[[], sqlite3.Connection], *, begin: str, query_only: bool) -> Engine:
    if query_only:
        engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool, pool_size=4, max_overflow=12)
    else:
        engine = create_engine("sqlite://", creator=connect, poolclass=StaticPool)

    @event.listens_for(engine, "connect")
    def _(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(f"PRAGMA query_only = {'ON' if query_only else 'OFF'}")

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
