"""Switches that survive restarts, such as the kill switch: on or off, by whom, why."""

import dataclasses

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.sqlite import insert

from agent.store.canonical import clean
from agent.store.tables import switches
from agent.store.tx import Reader, Tx, reading


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Switch:
    """One switch. One that nobody has touched is off, `by` nobody, since 0."""

    name: str
    is_on: bool = False
    by: str = ""
    why: str = ""
    at_us: int = 0


_UPSERT = insert(switches)
_UPSERT = _UPSERT.on_conflict_do_update(
    index_elements=[switches.c.name],
    set_={name: _UPSERT.excluded[name] for name in ("is_on", "by", "why", "at_us")},
)
_GET = select(switches).where(switches.c.name == bindparam("at_name"))


def turn(tx: Tx, name: str, *, on: bool, by: str, why: str) -> Switch:
    """Turn a switch on or off and return it as it is now."""
    switch = Switch(name=name, is_on=on, by=clean(by), why=clean(why), at_us=tx.clock.now())
    tx.connection.execute(_UPSERT, {**dataclasses.asdict(switch), "is_on": int(on)})
    return switch


def get(reader: Reader, name: str) -> Switch:
    """A switch as it is now."""
    row = reading(reader).execute(_GET, {"at_name": name}).mappings().one_or_none()
    return Switch(name=name) if row is None else Switch(**{**row, "is_on": bool(row["is_on"])})
