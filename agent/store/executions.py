"""Executions: the record of changes, written before the first packet, changed by compare-and-swap."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement, Select, bindparam, select
from sqlalchemy.exc import IntegrityError

from agent.errors import ConflictError
from agent.model.execution import OPEN_STATES, Execution, ExecutionKind, ExecutionState
from agent.store.canonical import clean, dumps, loads
from agent.store.ids import is_ulid
from agent.store.tables import executions, journal
from agent.store.tx import Reader, Tx, reading

_FIELDS = tuple(field.name for field in dataclasses.fields(Execution))
_NUMBER = re.compile(r"([A-Za-z]+)0*([0-9]{1,12})\Z")
_INSERT = sqlalchemy.insert(executions)
_UPDATE = (
    sqlalchemy.update(executions)
    .where(executions.c.id == bindparam("at_id"), executions.c.revision == bindparam("expected"))
    .values({name: bindparam(name) for name in _FIELDS if name != "id"})
)
_FREE = sqlalchemy.update(executions).where(executions.c.id == bindparam("at_id")).values(idempotency_key=None)
# Newest first in the order of filing, whatever the clock said; an index has its rows in this order: nothing is sorted.
_FILED: ColumnElement[int] = sqlalchemy.literal_column("executions.rowid")
_NEWEST = select(executions).order_by(_FILED.desc())
# In the very words of their index, or SQLite does not use it and reads all that ever ran.
_UNSETTLED = sqlalchemy.text("state IN ('intent', 'dispatched', 'uncertain')")
_OLDEST = select(executions).where(_UNSETTLED).order_by(_FILED)
_TRIED = _NEWEST.where(
    executions.c.correlation_id == bindparam("at_cause"),
    executions.c.kind == bindparam("of_kind"),
    executions.c.state.not_in(sorted({*OPEN_STATES, ExecutionState.CANCELLED})),
).limit(bindparam("most"))
_CAME_TO = _NEWEST.where(
    executions.c.correlation_id == bindparam("at_cause"),
    executions.c.kind == bindparam("of_kind"),
    executions.c.intent_at_us >= bindparam("since_us"),
    sqlalchemy.func.json_extract(executions.c.detail, "$.outcome") == bindparam("outcome"),
).limit(bindparam("most"))
# A prepare that went well is no end: its backup is to come.
_LAST_TRIES = select(executions).where(
    sqlalchemy.text("""executions.rowid IN (
        SELECT (
            SELECT rowid FROM executions AS one
            WHERE one.correlation_id = wanted.value AND one.kind IN ('backup', 'prepare') AND one.ended_at_us IS NOT NULL
            AND NOT (one.kind = 'prepare' AND one.state = 'succeeded') ORDER BY rowid DESC LIMIT 1
        ) FROM json_each(:of_keys) AS wanted)""")
)
_ENDED_BEFORE = (
    select(executions.c.id)
    .where(sqlalchemy.text("executions.id IN (SELECT value FROM json_each(:of_ids))"))
    .where(executions.c.state.not_in(sorted({*OPEN_STATES, ExecutionState.UNCERTAIN})))
    .where(executions.c.ended_at_us < bindparam("before_us"))
    .limit(bindparam("most"))
)
_WRITTEN_ABOUT = (
    select(sqlalchemy.func.coalesce(executions.c.correlation_id, journal.c.object_id))
    .select_from(journal.outerjoin(executions, executions.c.id == journal.c.exec_id))
    .where(journal.c.seq > bindparam("after"), (journal.c.exec_id != "") | (journal.c.object_type == "repository"))
    .distinct()
)


def idempotency_key(execution: Execution) -> str | None:
    """What makes a remedy's attempt unique: filed once, whoever files it. None for work that may be repeated."""
    if execution.kind is not ExecutionKind.REMEDY:
        return None
    parts = (execution.correlation_id, execution.episode, execution.item, execution.attempt, execution.host)
    return hashlib.sha256(dumps(parts).encode("ascii")).hexdigest()


def insert(tx: Tx, execution: Execution) -> None:
    """File an intent; ConflictError when this very attempt has been filed before."""
    try:
        tx.connection.execute(_INSERT, {**_row(execution), "idempotency_key": idempotency_key(execution)})
    except IntegrityError as error:
        why = f"{execution.item}: attempt {execution.attempt} of episode {execution.episode} has been filed before"
        raise ConflictError(why, hint="it is not run again; see: watchkeeper incident list") from error


def update(tx: Tx, execution: Execution) -> None:
    """Store the next revision of an execution; ConflictError when the stored one is not the revision before it."""
    values = {**_row(execution), "at_id": execution.id, "expected": execution.revision - 1}
    if execution.state is ExecutionState.CANCELLED:  # it never began: the same attempt may be filed again
        tx.connection.execute(_FREE, {"at_id": execution.id})
    if tx.connection.execute(_UPDATE, values).rowcount != 1:
        why = f"{execution.number}: somebody changed it first (expected revision {execution.revision - 1})"
        raise ConflictError(why, hint="read it again")


def get(reader: Reader, id_or_number: str) -> Execution | None:
    """One execution by its id or its number (zeros may be left out)."""
    if is_ulid(id_or_number.upper()):
        found = _all(reader, select(executions).where(executions.c.id == id_or_number.upper()))
    elif match := _NUMBER.match(id_or_number):
        number = f"{match[1].upper()}{int(match[2]):07d}"
        found = _all(reader, select(executions).where(executions.c.number == number))
    else:
        found = []
    return found[0] if found else None


def open_ones(reader: Reader) -> list[Execution]:
    """Those whose end is not recorded (intent, dispatched), the oldest first."""
    return _all(reader, _OLDEST.where(executions.c.state.in_(sorted(OPEN_STATES))))


def uncertain(reader: Reader) -> list[Execution]:
    """Those of which nobody can say how they ended, the oldest first."""
    return _all(reader, _OLDEST.where(executions.c.state == str(ExecutionState.UNCERTAIN)))


def listing(  # noqa: PLR0913 - each is one column to narrow by
    reader: Reader,
    *,
    kind: ExecutionKind | None = None,
    correlation_id: str | None = None,
    since_us: int | None = None,
    host: str | None = None,
    item: str | None = None,
    limit: int | None = None,
) -> list[Execution]:
    """Executions, the newest first."""
    query = _NEWEST.limit(limit)
    if since_us is not None:
        query = query.where(executions.c.intent_at_us >= since_us)
    for column, wanted in (("kind", kind), ("correlation_id", correlation_id), ("host", host), ("item", item)):
        if wanted is not None:
            query = query.where(executions.c[column] == str(wanted))
    return _all(reader, query)


def tried(reader: Reader, kind: ExecutionKind, correlation_id: str, limit: int) -> list[Execution]:
    """Those that began and came to an end, the newest first."""
    given = {"at_cause": correlation_id, "of_kind": str(kind), "most": limit}
    return _all(reader, _TRIED, given)


def came_to(
    reader: Reader, kind: ExecutionKind, correlation_id: str, outcome: str, *, since_us: int, limit: int
) -> list[Execution]:
    """Those that ended with an outcome, the newest first; others are not even read."""
    given = {"at_cause": correlation_id, "of_kind": str(kind), "outcome": outcome, "since_us": since_us, "most": limit}
    return _all(reader, _CAME_TO, given)


def last_tries(reader: Reader, keys: Collection[str]) -> dict[str, Execution]:
    """How each of these backups ended when it was tried last, by key."""
    if not keys:
        return {}
    return {one.correlation_id: one for one in _all(reader, _LAST_TRIES, {"of_keys": json.dumps(sorted(keys))})}


def ended_before(reader: Reader, of_ids: Collection[str], before_us: int, *, limit: int) -> list[str]:
    """Which of these came to an end before a moment, and to one that is known."""
    given = {"of_ids": json.dumps(list(of_ids)), "before_us": before_us, "most": limit}
    return [row.id for row in reading(reader).execute(_ENDED_BEFORE, given)]


def written_about(reader: Reader, after: int) -> list[str]:
    """Whose executions the journal tells of after a line, and which repositories themselves."""
    return [str(row[0]) for row in reading(reader).execute(_WRITTEN_ABOUT, {"after": after})]


def begun_since(reader: Reader, kinds: Collection[ExecutionKind], since_us: int) -> list[Execution]:
    """What was begun of these kinds since a moment, the newest first; thousands of others are not even read."""
    mine = executions.c.kind.in_(sorted(kinds))
    return _all(reader, _NEWEST.where(executions.c.intent_at_us >= since_us, mine))


def _all(reader: Reader, query: Select[Any], given: Mapping[str, Any] | None = None) -> list[Execution]:
    return [_execution(row) for row in reading(reader).execute(query, given or {}).mappings()]


def _row(execution: Execution) -> dict[str, Any]:
    row = {name: getattr(execution, name) for name in _FIELDS}
    row["args"] = dumps(execution.args)
    row["detail"] = dumps(execution.detail)
    return {name: clean(str(value)) if isinstance(value, str) else value for name, value in row.items()}


def _execution(row: Mapping[Any, Any]) -> Execution:
    values = {name: row[name] for name in _FIELDS}
    values.update(
        kind=ExecutionKind(row["kind"]),
        state=ExecutionState(row["state"]),
        args=loads(row["args"]),
        detail=loads(row["detail"]),
        verified=None if row["verified"] is None else bool(row["verified"]),
    )
    return Execution(**values)
