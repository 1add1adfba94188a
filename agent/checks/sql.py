"""check: sql — what does a database answer?

One SELECT, as PostgreSQL (postgresql://), MySQL and MariaDB (mysql://) and SQLite (sqlite:///a/file) take it. It runs in
a transaction that only reads, with the check's timeout as its own; an answer of more than 1,000 rows or 2 MB is refused.
Without `by` the answer is one number, the value. With it there is an instance for each row, named by that column, whose
value is the column called `value`, or else the only other one. Numbers, true and false (1 and 0) and intervals (seconds)
are values. Critical when the database cannot be reached, has no connection to spare, or does not answer in time; unknown
when it does not let us in, does not like the query, or the answer is no number.
"""

import asyncio
import functools
import re
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import Field, field_validator

from agent.checks import Target, check, databases
from agent.checks.databases import QueryError, Question, Table
from agent.checks.reaching import trusting
from agent.checks.reading import one_line, told
from agent.checks.relaying import relayed
from agent.checks.values import several, valued
from agent.clock import Deadline
from agent.closed import ClosedModel, Flag, SecretRef, Text
from agent.errors import InputError, OutputLimitError, TransportError
from agent.model.check import RunFrom
from agent.model.look import Look, Unit, Verdict

_FORM = "write it like postgresql://reader@db.example.org/shop, mysql://… or sqlite:///srv/app.db"
_PORTS = {"postgresql": 5432, "postgres": 5432, "mysql": 3306, "mariadb": 3306, "sqlite": 0}
_READS = re.compile(r"\s*(select|with)\b", re.IGNORECASE)


def _parts(url: str) -> SplitResult:
    split = urlsplit(url)
    if split.scheme not in _PORTS:
        raise ValueError(f"{one_line(split.scheme or url, 40)!r} is no kind of database: {_FORM}")
    if split.scheme == "sqlite" and (split.netloc or not split.path.startswith("/")):
        raise ValueError(f"a file is due, from the root: {_FORM}")
    if split.query or split.fragment:
        raise ValueError(f"nothing goes behind the database's name: {_FORM}")
    _ = split.port  # raises ValueError itself when it is no port
    return split


class SqlOptions(ClosedModel):
    """Whom to ask, and what."""

    url: Text | SecretRef = Field(
        description="The database: postgresql://USER@HOST:PORT/NAME, mysql://… or sqlite:///FILE; or {secret: name}. "
        "Without HOST it is the check's host"
    )
    query: Text = Field(description="One SELECT")
    by: Text | None = Field(
        default=None, description="Column that names the instances; left out: the answer is one value"
    )
    password: SecretRef | Text | None = Field(default=None, repr=False, description="Password of the user")
    tls: Flag = Field(default=False, description="Only over TLS, with a certificate that is trusted and names the host")
    ca: Text | None = Field(default=None, description="File of the authorities to trust (PEM); left out: the system's")

    @field_validator("url")
    @classmethod
    def _is_url(cls, url: str | SecretRef) -> str | SecretRef:
        if isinstance(url, str) and _parts(url).password is not None:
            raise ValueError("a password does not stand here: write password: {secret: …}")
        return url

    @field_validator("query")
    @classmethod
    def _only_reads(cls, query: str) -> str:
        if _READS.match(query) is None:
            raise ValueError("one SELECT is due (it may begin with WITH)")
        return query


@check("sql")
class Sql:
    """One query."""

    OPTIONS: ClassVar = SqlOptions
    SHORT: ClassVar = None
    METRICS: ClassVar[Mapping[str, Unit]] = {"value": Unit.NUMBER}
    RUN_FROM: ClassVar = RunFrom.AGENT
    INSTANCES: ClassVar = True

    @staticmethod
    async def reach(target: Target, options: SqlOptions, deadline: Deadline) -> Look:
        """Connect, ask, leave; over by the deadline."""
        patience = deadline.remaining_seconds()
        try:
            async with asyncio.timeout(patience):
                table = await _asked(target, options, deadline)
            return _read(table, options.by)
        except (QueryError, OutputLimitError) as error:
            return told(Verdict.UNKNOWN, str(error))
        except TransportError as error:
            return told(Verdict.CRITICAL, str(error))
        except TimeoutError:
            return told(Verdict.CRITICAL, f"no answer within {round(patience, 1):g} s")


async def _asked(target: Target, options: SqlOptions, deadline: Deadline) -> Table:
    try:
        url = _parts(_secret(target, options.url))
    except ValueError as error:
        raise InputError(f"sql: the secret url: {error}") from None
    if url.scheme == "sqlite":
        asked = Question(query=options.query)
        return await asyncio.to_thread(databases.sqlite, unquote(url.path), asked, deadline)
    host = url.hostname or target.address
    if host is None:
        raise InputError("sql: this check is about no host", hint="name one in its url: postgresql://USER@HOST/NAME")
    given = unquote(url.password) if url.password is not None else None
    asked = Question(
        query=options.query,
        host=host,
        user=unquote(url.username or ""),
        password=given if options.password is None else _secret(target, options.password),
        database=unquote(url.path[1:]),
        context=trusting(options.ca, protocols=()) if options.tls else None,
    )
    ask = databases.postgresql if url.scheme.startswith("postgres") else databases.mysql
    return await relayed(host, url.port or _PORTS[url.scheme], functools.partial(ask, asked=asked, deadline=deadline))


def _secret(target: Target, value: str | SecretRef) -> str:
    if isinstance(value, str):
        return value
    assert target.secrets is not None, "the runtime gives it"
    return target.secrets.resolve(value)


def _read(table: Table, by: str | None) -> Look:
    if by is None:
        if len(table.rows) != 1 or len(table.columns) != 1:
            size = f"{len(table.rows)} rows of {len(table.columns)} columns"
            raise QueryError(f"one row of one column is due, not {size}; by: COLUMN makes instances")
        return valued(table.rows[0][0])
    if by not in table.columns:
        raise QueryError(f"the answer has no column {by}: {', '.join(table.columns)}")
    others = [name for name in table.columns if name != by]
    if "value" not in others and len(others) != 1:
        raise QueryError(f"which is the value? call a column value: {', '.join(others) or 'there is no other column'}")
    place, named = table.columns.index("value" if "value" in others else others[0]), table.columns.index(by)
    return several(((str(row[named]), row[place]) for row in table.rows), "row", "rows")
