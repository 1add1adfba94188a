"""The last look at each thing, for showing; one row per host, so that a host's tick is one write.

The inputs of decisions are in the states; what is here may be a few seconds old after a crash.
"""

import dataclasses
import functools
import zlib
from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import orjson
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
_NO_NUMBER = b"null"  # what NaN and infinity become; or a word of a host's, which costs a little time
_CHUNK = 500  # names in one query; SQLite's floor for bound values is 999
_UPSERT = insert(looks)
_UPSERT = _UPSERT.on_conflict_do_update(index_elements=[looks.c.place], set_={"document": _UPSERT.excluded.document})
_FORGET = delete(looks).where(looks.c.place == bindparam("at_place"))


@functools.lru_cache(maxsize=200_000)
def place_of(key: str) -> str:
    """The row that a key is in: its host's, or one of a few for what is about no host."""
    return host_of(key) or f"@{zlib.crc32(key.encode()) % _SPREAD}"


def by_place(results: Iterable[Result]) -> Iterable[tuple[str, Sequence[Result]]]:
    """The results of each place, in the order they came."""
    found: defaultdict[str, list[Result]] = defaultdict(list)
    end, same = _NOWHERE, list[Result]()
    for result in results:
        if not result.key.endswith(end):  # for looks at one host come together
            place = place_of(result.key)
            end, same = f"@{host_of(result.key) or _NOWHERE}", found[place]
        same.append(result)
    return found.items()


_NOWHERE = "@"  # no host's name
Group = tuple[str, ...]  # keys of one place that are looked at together


class Shelf:
    """All latest looks of one process, as they are stored, and which rows are to be written. Belongs to the writer's thread.

    What is looked at together is encoded together: its members of the row's JSON document are one text.
    """

    def __init__(self) -> None:
        self._rows: dict[str, dict[Group, bytes]] = {}  # by place
        self._dirty: set[str] = set()

    def note(self, place: str, results: Iterable[Result]) -> None:
        """Keep these, all of one place, as the latest of their keys.

        Along the groups that there are; of one that was met in part, the others are a group of their own from now on.
        """
        self._dirty.add(place)
        row, noted = self._rows.setdefault(place, {}), {result.key: result for result in results}
        if (group := tuple(noted)) in row:
            row[group] = _members(noted)
            return
        for group in tuple(row):
            met = {key: noted.pop(key) for key in group if key in noted}
            if met:
                _leave(row, group, met)
                row[tuple(met)] = _members(met)
        if noted:
            row[tuple(noted)] = _members(noted)

    def write(self, tx: Tx, *, merge: bool) -> None:
        """Write what waits; with `merge`, other processes may have written since, and what is newer of theirs is kept.

        It waits on until `written` is called, once the transaction is durable.
        """
        for place, stored in _documents(tx, self._dirty) if merge else ():
            mine = loads(_document(self._rows[place].values()))
            newer = {key: row for key, row in stored.items() if key not in mine or row[0] > mine[key][0]}
            if newer:
                for group in tuple(self._rows[place]):
                    _leave(self._rows[place], group, newer)
                self._rows[place][tuple(newer)] = _encoded(newer)
        rows = [{"place": place, "document": _document(self._rows[place].values())} for place in self._dirty]
        if rows:
            tx.connection.execute(_UPSERT, rows)

    def written(self) -> None:
        """What waited is durable."""
        self._dirty.clear()

    def forget_others(self, keys: Container[str]) -> None:
        """Keep only these: no policy names the others any more."""
        for row in self._rows.values():
            for group in tuple(row):
                _leave(row, group, {key for key in group if key not in keys})


def _leave(row: dict[Group, bytes], group: Group, keys: Container[str]) -> None:
    """Of a group, these keys are not there any more."""
    left = tuple(key for key in group if key not in keys)
    if len(left) < len(group):
        text = row.pop(group)
        if left:
            known = loads(_document([text]))
            row[left] = _encoded({key: known[key] for key in left})


def save(tx: Tx, results: Iterable[Result]) -> None:
    """Keep these results as the latest of their keys, at once."""
    shelf = Shelf()
    for place, some in by_place(results):
        shelf.note(place, some)
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


def _members(noted: Mapping[str, Result]) -> bytes:
    document = {
        key: (
            result.ended_us, result.begun_us, _WORDS[(look := result.look).verdict], look.summary, look.metrics,
            {name: _instance(one) for name, one in look.instances.items()} if look.instances else {},
        )
        for key, result in noted.items()
    }  # fmt: skip
    try:
        text = orjson.dumps(document, default=dict)  # of a read-only mapping
    except TypeError:  # half a character from a host, or a number beyond 64 bits
        return _encoded(_cleaned(document))
    return _encoded(document) if _NO_NUMBER in text else text[1:-1]


def _encoded(rows: Mapping[str, Any]) -> bytes:
    return dumps(rows).encode()[1:-1]


def _document(members: Iterable[bytes]) -> str:
    return (b"{%b}" % b",".join(members)).decode()


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
