"""The last look at each thing, for showing; the inputs of decisions are in the states."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.sqlite import insert

from agent.model.look import Measure, Verdict
from agent.store.canonical import clean, dumps, loads
from agent.store.tables import looks
from agent.store.tx import Reader, Tx, reading


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class LatestLook:
    """What the last look at a key gave; `instances` maps each instance's name to its plain JSON document."""

    key: str
    at_us: int
    begun_us: int
    verdict: Verdict
    summary: str
    metrics: Mapping[str, Measure] = dataclasses.field(default_factory=dict)
    instances: Mapping[str, Any] = dataclasses.field(default_factory=dict)


_CHUNK = 500  # names in one query; SQLite's floor for bound values is 999
_UPSERT = insert(looks)
_UPSERT = _UPSERT.on_conflict_do_update(
    index_elements=[looks.c.key],
    set_={name: _UPSERT.excluded[name] for name in looks.c.keys() if name != "key"},  # noqa: SIM118 - not a dict
)
_FORGET = delete(looks).where(looks.c.key == bindparam("at_key"))


def save(tx: Tx, rows: Sequence[LatestLook]) -> None:
    """Keep these looks as the latest of their keys."""
    if rows:
        tx.connection.execute(_UPSERT, [_row(look) for look in rows])


def latest(reader: Reader, keys: Collection[str] | None = None) -> dict[str, LatestLook]:
    """The latest looks, of all keys or of some."""
    if keys is None:
        return {row["key"]: _look(row) for row in reading(reader).execute(select(looks)).mappings()}
    found: dict[str, LatestLook] = {}
    names = list(keys)
    for begin in range(0, len(names), _CHUNK):
        query = select(looks).where(looks.c.key.in_(names[begin : begin + _CHUNK]))
        found.update((row["key"], _look(row)) for row in reading(reader).execute(query).mappings())
    return found


def forget(tx: Tx, keys: Collection[str]) -> None:
    """Drop the looks of keys that no policy names any more."""
    if keys:
        tx.connection.execute(_FORGET, [{"at_key": key} for key in keys])


def _row(look: LatestLook) -> dict[str, Any]:
    return {
        "key": look.key,
        "at_us": look.at_us,
        "begun_us": look.begun_us,
        "verdict": str(look.verdict),
        "summary": clean(look.summary),
        "metrics": dumps(look.metrics),
        "instances": dumps(look.instances),
    }


def _look(row: Mapping[Any, Any]) -> LatestLook:
    return LatestLook(
        key=row["key"],
        at_us=row["at_us"],
        begun_us=row["begun_us"],
        verdict=Verdict(row["verdict"]),
        summary=row["summary"],
        metrics=loads(row["metrics"]),
        instances=loads(row["instances"]),
    )
