"""Incidents and their timelines; one open incident per cause, changed by compare-and-swap."""

import dataclasses
import re
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement, Select, bindparam, select
from sqlalchemy.exc import IntegrityError

from agent.errors import ConflictError
from agent.model.incident import Incident, IncidentState, TimelineEntry
from agent.model.look import Verdict
from agent.model.service import Importance, Priority, Urgency
from agent.store import tables
from agent.store.canonical import clean
from agent.store.ids import is_ulid
from agent.store.tables import incidents
from agent.store.tx import Reader, Tx, reading

OPEN = (IncidentState.OPEN, IncidentState.ACKNOWLEDGED)

_FIELDS = tuple(field.name for field in dataclasses.fields(Incident))
_NUMBER = re.compile(r"(?:INC)?0*([0-9]{1,12})\Z", re.IGNORECASE)
_INSERT = sqlalchemy.insert(incidents)
_UPDATE = (
    sqlalchemy.update(incidents)
    .where(incidents.c.id == bindparam("at_id"), incidents.c.revision == bindparam("expected"))
    .values({name: bindparam(name) for name in _FIELDS if name != "id"})
)
_FILED: ColumnElement[int] = sqlalchemy.literal_column("incidents.rowid")
_NEWEST = select(incidents).order_by(_FILED.desc())  # the order of filing, whatever the clock said
_OPEN_OF = select(incidents).where(incidents.c.cause == bindparam("at_cause"), incidents.c.state.in_(OPEN))
_LAST_OF = _NEWEST.where(incidents.c.cause == bindparam("at_cause")).limit(1)
# In the very words of the index of open ones, or SQLite does not use it and reads all that ever were.
_STANDS_OPEN = sqlalchemy.text("state IN ('open', 'acknowledged')")
_SORTED: ColumnElement[int] = sqlalchemy.literal_column("+incidents.rowid")  # by hand, or it reads them all in order
_NEWEST_OPEN = select(incidents).where(_STANDS_OPEN).order_by(_SORTED.desc())
_OPEN_OF_SERVICE = (
    select(incidents).where(_STANDS_OPEN, incidents.c.service == bindparam("at_service")).order_by(_SORTED)
)
_ADD_LINE = sqlalchemy.insert(tables.timeline)
_TIMELINE = (
    select(tables.timeline).where(tables.timeline.c.incident_id == bindparam("at_id")).order_by(tables.timeline.c.seq)
)


def insert(tx: Tx, incident: Incident) -> None:
    """File a new incident; ConflictError when its cause has an open one already."""
    try:
        tx.connection.execute(_INSERT, _row(incident))
    except IntegrityError as error:
        why = f"{incident.cause}: it has an open incident already, or {incident.number} is taken"
        raise ConflictError(why, hint="read it again") from error


def update(tx: Tx, incident: Incident) -> None:
    """Store the next revision of an incident; ConflictError when the stored one is not the revision before it."""
    values = {**_row(incident), "at_id": incident.id, "expected": incident.revision - 1}
    try:
        changed = tx.connection.execute(_UPDATE, values).rowcount
    except IntegrityError as error:
        why = f"{incident.cause}: it has another open incident"
        raise ConflictError(why, hint="read it again") from error
    if changed != 1:
        why = f"{incident.number}: somebody changed it first (expected revision {incident.revision - 1})"
        raise ConflictError(why, hint=f"read it again: watchkeeper incident show {incident.number}")


def open_of(reader: Reader, cause: str) -> Incident | None:
    """The open or acknowledged incident of a cause."""
    return _one(reader, _OPEN_OF, at_cause=cause)


def open_of_service(reader: Reader, service: str) -> list[Incident]:
    """The open or acknowledged incidents of a service, the oldest first."""
    return [_incident(row) for row in reading(reader).execute(_OPEN_OF_SERVICE, {"at_service": service}).mappings()]


def last_of(reader: Reader, cause: str) -> Incident | None:
    """The newest incident of a cause, in whatever state."""
    return _one(reader, _LAST_OF, at_cause=cause)


def by_number(reader: Reader, text: str) -> Incident | None:
    """The incident a person means by `INC0000042`, `inc42`, `42` or its id."""
    if is_ulid(text.upper()):
        return _one(reader, select(incidents).where(incidents.c.id == text.upper()))
    match = _NUMBER.match(text)
    if match is None:
        return None
    return _one(reader, select(incidents).where(incidents.c.number == f"INC{int(match[1]):07d}"))


def listing(
    reader: Reader,
    *,
    states: Collection[IncidentState] | None = None,
    service: str | None = None,
    limit: int | None = None,
) -> list[Incident]:
    """Incidents, the newest first."""
    are_open = states is not None and set(states) <= set(OPEN)
    query = (_NEWEST_OPEN if are_open else _NEWEST).limit(limit)
    if states is not None:
        query = query.where(incidents.c.state.in_([str(state) for state in states]))
    if service is not None:
        query = query.where(incidents.c.service == service)
    return [_incident(row) for row in reading(reader).execute(query).mappings()]


def since(reader: Reader, at_us: int) -> list[Incident]:
    """Those that are open, and those that were opened or resolved since a moment; the newest first."""
    matters = (incidents.c.opened_at_us >= at_us) | (incidents.c.resolved_at_us >= at_us)
    query = _NEWEST.where(incidents.c.state.in_(OPEN) | matters)
    return [_incident(row) for row in reading(reader).execute(query).mappings()]


def add_line(tx: Tx, entry: TimelineEntry) -> None:
    """Add one line to an incident's timeline."""
    tx.connection.execute(
        _ADD_LINE,
        {
            "incident_id": entry.incident_id,
            "at_us": entry.at_us,
            "actor": clean(entry.actor),
            "verb": entry.verb,
            "text": clean(entry.text),
        },
    )


def timeline(reader: Reader, incident_id: str) -> list[TimelineEntry]:
    """An incident's timeline, in the order written."""
    rows = reading(reader).execute(_TIMELINE, {"at_id": incident_id})
    return [
        TimelineEntry(incident_id=incident_id, at_us=row.at_us, actor=row.actor, verb=row.verb, text=row.text)
        for row in rows
    ]


def _one(reader: Reader, query: Select[Any], **values: str) -> Incident | None:
    row = reading(reader).execute(query, values).mappings().one_or_none()
    return None if row is None else _incident(row)


def _row(incident: Incident) -> dict[str, Any]:
    row = {name: getattr(incident, name) for name in _FIELDS}
    return {name: clean(str(value)) if isinstance(value, str) else value for name, value in row.items()}


def _incident(row: Mapping[Any, Any]) -> Incident:
    values = {name: row[name] for name in _FIELDS}
    values.update(
        state=IncidentState(row["state"]),
        severity=Verdict(row["severity"]),
        impact=Importance(row["impact"]),
        urgency=Urgency(row["urgency"]),
        priority=Priority(row["priority"]),
    )
    return Incident(**values)
