"""One question to a database: PostgreSQL and MariaDB or MySQL over a socket, SQLite in its file; always read-only."""

import contextlib
import dataclasses
import re
import socket
import sqlite3
import ssl
import struct
from collections.abc import Iterable, Iterator
from typing import Any

from agent.checks.reaching import translate
from agent.checks.reading import one_line
from agent.checks.relaying import MOST_BYTES
from agent.clock import Deadline
from agent.errors import AgentError, TransportError

MOST_ROWS = 1_000
_DOWN = frozenset({"53300", "57P01", "57P02", "57P03", "1040", "1053", "1203"})  # full, going down, not up yet
_LATE = frozenset({"57014", "1969", "3024"})  # the statement was cancelled: its time was up
_CLEAR, _SASL, _SASL_GOES_ON = 3, 10, 11  # what PostgreSQL asks for
_ROUNDS = re.compile(rb",i=([0-9]+)")
_MOST_DIGITS = 6  # of the rounds, 4,096 by default: a thread that hashes for hours cannot be ended
# What drivers make of an answer that is none: they trust their servers.
_NONSENSE = (struct.error, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, EOFError, MemoryError,
             RuntimeError)  # fmt: skip


class QueryError(AgentError):
    """The database understood, and will not: the check is wrong, or may not."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What to ask, as whom; `context` is None without TLS."""

    query: str
    host: str = ""
    user: str = ""
    password: str | None = dataclasses.field(default=None, repr=False)
    database: str = ""
    context: ssl.SSLContext | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """What came back: the names of the columns, and the rows."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def postgresql(line: socket.socket, asked: Question, deadline: Deadline) -> Table:
    """Ask PostgreSQL (protocol 3.0); one statement alone, as the extended protocol has it."""
    from pg8000.core import CoreConnection  # type: ignore[import-untyped]  # it ships no types
    from pg8000.exceptions import DatabaseError, InterfaceError  # type: ignore[import-untyped]  # nor here
    from scramp import ScramException  # type: ignore[import-untyped]  # nor here

    class Careful(CoreConnection):  # type: ignore[misc]  # it ships no types
        """Gives the password away to nobody who listens in, and does no server's sums for it."""

        _is_asked = False

        def handle_AUTHENTICATION_REQUEST(self, data: bytes, context: Any) -> None:  # noqa: N802  # the driver's name
            kind = int.from_bytes(data[:4], "big")
            if kind == _CLEAR and asked.context is None:
                raise InterfaceError("it asks for the password in clear: set tls: true")
            if kind == _SASL and self._is_asked:
                raise InterfaceError("it asks for the password twice")
            self._is_asked = self._is_asked or kind == _SASL
            rounds = _ROUNDS.search(data) if kind == _SASL_GOES_ON else None
            if rounds is not None and len(rounds[1]) > _MOST_DIGITS:
                raise InterfaceError("it wants the password hashed a million times or more")
            super().handle_AUTHENTICATION_REQUEST(data, context)

        def close(self) -> None:
            with contextlib.suppress(InterfaceError):  # a goodbye that nobody hears hides no other error
                super().close()

    with _told("PostgreSQL", asked.host, DatabaseError, InterfaceError, ScramException):
        connection = Careful(
            asked.user, host=asked.host, database=asked.database or None, password=asked.password, sock=line,
            ssl_context=asked.context or False, application_name="watchkeeper",
        )  # fmt: skip
        with _left(connection):
            connection.execute_simple("BEGIN READ ONLY")
            connection.execute_simple(f"SET LOCAL statement_timeout = {_milliseconds(deadline)}")
            found = connection.execute_unnamed(asked.query)
            columns = tuple(str(column["name"]) for column in found.columns or ())
            return Table(columns=columns, rows=_bounded(found.rows or ()))


def mysql(line: socket.socket, asked: Question, deadline: Deadline) -> Table:
    """Ask MySQL or MariaDB; several statements at once are not agreed upon with the server."""
    import pymysql  # type: ignore[import-untyped]  # it ships no types
    from pymysql.connections import Connection  # type: ignore[import-untyped]  # nor here

    class Careful(Connection):  # type: ignore[misc]  # it ships no types
        """Encrypts the password for no key that comes over the same line: anybody could have made it."""

        @property
        def server_public_key(self) -> None:
            raise pymysql.OperationalError(0, "it asks for the whole password, under a key of its own: set tls: true")

        @server_public_key.setter
        def server_public_key(self, key: object) -> None:
            """The driver sets it at first, and when one came."""

    class Refusing:
        """In place of the ways to authenticate that give the password away."""

        def __init__(self, _connection: object) -> None:
            raise pymysql.OperationalError(0, "it asks for the password in clear: set tls: true")

    clear = {} if asked.context is not None else {b"mysql_clear_password": Refusing, b"dialog": Refusing}
    with _told("MySQL", asked.host, pymysql.MySQLError):
        connection: Any = Careful(
            host=asked.host, user=asked.user, password=asked.password or "", database=asked.database or None,
            defer_connect=True, read_timeout=None, auth_plugin_map=clear, ssl=asked.context,
            ssl_disabled=asked.context is None, program_name="watchkeeper",
        )  # fmt: skip
        with _left(connection):
            connection.connect(line)
            with connection.cursor() as cursor:
                if "MariaDB" in connection.get_server_info():
                    cursor.execute(f"SET SESSION max_statement_time = {_milliseconds(deadline) / 1000}")
                else:
                    cursor.execute(f"SET SESSION max_execution_time = {_milliseconds(deadline)}")
                cursor.execute("START TRANSACTION READ ONLY")
                cursor.execute(asked.query)
                columns = tuple(str(column[0]) for column in cursor.description or ())
                return Table(columns=columns, rows=_bounded(cursor.fetchall()))


def sqlite(path: str, asked: Question, deadline: Deadline) -> Table:
    """Ask a file; it is opened for reading, and whatever is no SELECT is not permitted."""
    allowed = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
    quoted = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    try:
        connection = sqlite3.connect(f"file:{quoted}?mode=ro", uri=True, timeout=deadline.remaining_seconds())
    except sqlite3.Error as error:
        raise TransportError(f"{path}: {error}") from error
    try:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1_000_000)
        connection.set_authorizer(lambda what, *_: sqlite3.SQLITE_OK if what in allowed else sqlite3.SQLITE_DENY)
        connection.set_progress_handler(deadline.is_over, 10_000)
        cursor = connection.execute(asked.query)
        rows = _bounded(_counted(cursor))
        return Table(columns=tuple(str(column[0]) for column in cursor.description or ()), rows=rows)
    except (sqlite3.Error, sqlite3.Warning) as error:
        if deadline.is_over():
            raise TimeoutError from error
        words = f"{path}: {one_line(str(error))}"
        raise (TransportError if "unable to open" in words else QueryError)(words) from error
    finally:
        connection.close()


@contextlib.contextmanager
def _told(name: str, host: str, *errors: type[Exception]) -> Iterator[None]:
    """A driver's errors in our words: too late, not there, not willing; and what is no answer at all."""
    try:
        yield
    except errors as error:
        if isinstance(cause := getattr(error, "original_exception", None), OSError):  # as PyMySQL wraps it
            translate(cause, host)
        code, words = _said(error)
        if code in _LATE:
            raise TimeoutError from error
        if code in _DOWN or not code or (code.startswith("2") and len(code) == 4):  # 2000…: MySQL's client, of the line
            raise TransportError(words) from error
        raise QueryError(words) from error
    except OSError as error:
        translate(error, host)
    except _NONSENSE as error:
        raise TransportError(f"what answers does not speak {name} as it should") from error


@contextlib.contextmanager
def _left(connection: Any) -> Iterator[None]:
    """Say goodbye, if anybody is still there, and close."""
    try:
        yield
    finally:
        with contextlib.suppress(OSError, *_NONSENSE):
            connection.close()


def _said(error: Exception) -> tuple[str, str]:
    """The code of an error, "" when it has none, and its words."""
    match error.args:
        case ({"C": str(code), "M": str(words)},):  # PostgreSQL
            return code, one_line(words)
        case (int(number), words):  # MySQL; 0: before it said anything
            return str(number or ""), one_line(str(words))
    return "", one_line(str(error))


def _milliseconds(deadline: Deadline) -> int:
    return max(1, int(deadline.remaining_seconds() * 1000))


def _counted(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """One row more than there may be, and no more bytes than a server may send."""
    size = 0
    for number, row in enumerate(rows):
        size += sum(len(value) for value in row if isinstance(value, str | bytes))
        if size > MOST_BYTES:
            raise QueryError(f"more than {MOST_BYTES / 1e6:g} MB: let the query sum them up")
        yield row
        if number == MOST_ROWS:
            return


def _bounded(rows: Any) -> tuple[tuple[Any, ...], ...]:
    found = tuple(tuple(row) for row in rows)
    if len(found) > MOST_ROWS:
        raise QueryError(f"more than {MOST_ROWS:,} rows: let the query sum them up")
    return found
