"""The last look at each thing, for showing; one row per host, so that a host's tick is one write.

The inputs of decisions are in the states; what is here may be a few seconds old after a crash.
"""

import dataclasses
import functools
import zlib
from collections.abc import Collection, Container, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from pydantic_core import PydanticSerializationError, to_json
from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.sqlite import insert

from agent.model.check import host_of
from agent.model.look import Look, Measure, Result, Verdict
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


_SPREAD = 64  # rows over which the checks about no host are spread
_WORDS = MappingProxyType({verdict: str(verdict.value) for verdict in Verdict})  # a plain text is written faster
_CHUNK = 500  # names in one query; SQLite's floor for bound values is 999
_UPSERT = insert(looks)
_UPSERT = _UPSERT.on_conflict_do_update(index_elements=[looks.c.place], set_={"document": _UPSERT.excluded.document})
_FORGET = delete(looks).where(looks.c.place == bindparam("at_place"))


@functools.lru_cache(maxsize=200_000)
def place_of(key: str) -> str:
    """The row that a key is in: its host's, or one of a few for what is about no host."""
    return host_of(key) or f"@{zlib.crc32(key.encode()) % _SPREAD}"


class Shelf:
    """All latest looks of one process, as they are stored, and which rows are to be written. Belongs to the writer's thread."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, bytes]] = {}  # by place, then by key: its member of the row's JSON document
        self._dirty: set[str] = set()

    def note(self, result: Result) -> None:
        """Keep a result as the latest of its key."""
        place = place_of(result.key)
        self._rows.setdefault(place, {})[result.key] = _member(result)
        self._dirty.add(place)

    def write(self, tx: Tx, *, merge: bool) -> None:
        """Write what waits; with `merge`, other processes may have written since, and what is newer of theirs is kept.

        It waits on until `written` is called, once the transaction is durable.
        """
        for place, stored in _documents(tx, self._dirty) if merge else ():
            mine = self._rows[place]
            for key, row in stored.items():
                if key not in mine or row[0] > loads(_document([mine[key]]))[key][0]:
                    mine[key] = dumps({key: row}).encode()[1:-1]
        rows = [{"place": place, "document": _document(self._rows[place].values())} for place in self._dirty]
        if rows:
            tx.connection.execute(_UPSERT, rows)

    def written(self) -> None:
        """What waited is durable."""
        self._dirty.clear()

    def forget_others(self, keys: Container[str]) -> None:
        """Keep only these: no policy names the others any more."""
        for place, rows in list(self._rows.items()):
            self._rows[place] = {key: member for key, member in rows.items() if key in keys}


def save(tx: Tx, results: Iterable[Result]) -> None:
    """Keep these results as the latest of their keys, at once."""
    shelf = Shelf()
    for result in results:
        shelf.note(result)
    shelf.write(tx, merge=True)


def latest(reader: Reader, keys: Collection[str] | None = None) -> dict[str, LatestLook]:
    """The latest looks, of all keys or of some."""
    places = None if keys is None else {place_of(key) for key in keys}
    wanted = None if keys is None else set(keys)
    return {
        key: _look(key, row)
        for _, rows in _documents(reader, places)
        for key, row in rows.items()
        if wanted is None or key in wanted
    }


def forget(tx: Tx, keys: Collection[str]) -> None:
    """Drop the looks of keys that no policy names any more."""
    gone = set(keys)
    for place, rows in list(_documents(tx, {place_of(key) for key in keys})):
        left = {key: row for key, row in rows.items() if key not in gone}
        if left:
            tx.connection.execute(_UPSERT, {"place": place, "document": dumps(left)})
        else:
            tx.connection.execute(_FORGET, {"at_place": place})


def _documents(reader: Reader, places: Collection[str] | None) -> Iterable[tuple[str, dict[str, Any]]]:
    if places is None:
        for row in reading(reader).execute(select(looks)):
            yield row.place, loads(row.document)
        return
    names = sorted(places)
    for begin in range(0, len(names), _CHUNK):
        query = select(looks).where(looks.c.place.in_(names[begin : begin + _CHUNK]))
        for row in reading(reader).execute(query):
            yield row.place, loads(row.document)


def _member(result: Result) -> bytes:
    document = {result.key: _row(result)}
    try:
        return to_json(document, inf_nan_mode="strings")[1:-1]
    except (PydanticSerializationError, UnicodeEncodeError):  # half a character from a host, or a read-only mapping
        return dumps(_cleaned(document)).encode()[1:-1]


def _document(members: Iterable[bytes]) -> str:
    return (b"{%b}" % b",".join(members)).decode()


def _row(result: Result) -> tuple[object, ...]:
    look = result.look
    instances = {name: _instance(one) for name, one in look.instances.items()} if look.instances else {}
    return result.ended_us, result.begun_us, _WORDS[look.verdict], look.summary, look.metrics, instances


def _instance(look: Look) -> dict[str, Any]:
    return {"verdict": _WORDS[look.verdict], "summary": look.summary, "metrics": look.metrics}


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(str(name)): _cleaned(inner) for name, inner in value.items()}
    return [_cleaned(inner) for inner in value] if isinstance(value, list | tuple) else value


def _look(key: str, row: list[Any]) -> LatestLook:
    at_us, begun_us, verdict, summary, metrics, instances = row
    return LatestLook(
        key=key, at_us=at_us, begun_us=begun_us, verdict=Verdict(verdict), summary=summary, metrics=metrics,
        instances=instances,
    )  # fmt: skip
