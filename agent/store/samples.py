"""Samples of metrics: 30 days as measured, 13 months by the hour, in about two bytes each.

What comes in is first a batch row, for all series at once, so that a flush is one write and a crash loses one flush.
`packing` makes less of it, and `packed` knows the bytes.
"""

import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, cast

from sqlalchemy import Table, insert, select
from sqlalchemy.dialects import sqlite

from agent.model.look import Measure, Result
from agent.store import packed
from agent.store.packed import HOUR_US, Columns, Hourly
from agent.store.tables import sample_batches, sample_days, sample_hours, series
from agent.store.tx import Reader, Tx, reading

DAY_US = 24 * HOUR_US
TENTH_US = 100_000
_MOST_OFFSET = 65535
MOST_INSTANCES = 20_000  # of one check, whose metrics are kept, ever: a host that invents names shall not fill the disk
_AT_ONCE = 500  # rows that one query names; SQLite's floor for bound values is 999

_ADD_BATCH = insert(sample_batches)
_ADD_SERIES = sqlite.insert(series).on_conflict_do_nothing()


class Name(NamedTuple):
    """What is measured: the check's key, the instance ("" when there is one thing), the metric."""

    key: str
    instance: str
    metric: str


class Sample(NamedTuple):
    """One measured value."""

    at_us: int
    value: float


Thing = str | tuple[str, str]  # what is measured: a key, or a key and the name of an instance


class Series(NamedTuple):
    """What is measured of one thing: the names of its metrics, and the number of each."""

    names: tuple[str, ...]
    numbers: tuple[int, ...]


_NO_SERIES = Series((), ())


class Catalogue:
    """Names ↔ numbers of series, as far as this process has met them."""

    def __init__(self) -> None:
        self._things: dict[Thing, Series] = {}
        self._shapes: dict[tuple[str, ...], tuple[str, ...]] = {}  # one copy of names that thousands of things share
        self._instances: dict[str, int] = {}  # how many of a check are known
        self._last = 0

    def of(self, thing: Thing) -> Series:
        """The series of one thing, as far as they have been met here."""
        return self._things.get(thing, _NO_SERIES)

    def may_grow(self, key: str) -> bool:
        """Whether one more instance of a check may have series."""
        return self._instances.get(key, 0) < MOST_INSTANCES

    def learn(self, tx: Tx, names: Sequence[Name]) -> list[int]:
        """The numbers of series; those that have none here get them, from the store or anew."""
        new = [name for name in names if self._number(name) is None]
        if new:
            tx.connection.execute(_ADD_SERIES, [name._asdict() for name in new])
        if new or not self._things:
            same = {name.key: name.key for name in new}  # the very texts that the policies hold already
            for row in tx.connection.execute(select(series).where(series.c.id > self._last).order_by(series.c.id)):
                self._add(Name(same.get(row.key, row.key), row.instance, row.metric), row.id)
        return [number for name in names if (number := self._number(name)) is not None]

    def _number(self, name: Name) -> int | None:
        names, numbers = self.of(_thing(name))
        return numbers[names.index(name.metric)] if name.metric in names else None

    def _add(self, name: Name, number: int) -> None:
        before = self.of(_thing(name))
        if name.instance and before is _NO_SERIES:
            self._instances[name.key] = self._instances.get(name.key, 0) + 1
        names = (*before.names, sys.intern(name.metric))  # as the probes' own words are: told apart at one look
        names = self._shapes.setdefault(names, names)
        self._things[_thing(name)] = Series(names, (*before.numbers, number))
        self._last = number


def _thing(name: Name) -> Thing:
    return (name.key, name.instance) if name.instance else name.key


class Batch(NamedTuple):
    """Samples of all series, as they come in: number of the series, tenths of a second since the epoch, value."""

    numbers: list[int]
    tenths: list[int]
    values: list[float]


class Gathering:
    """Every number in some results."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._batch = Batch([], [], [])
        self._others: list[tuple[Name, int, float]] = []  # maybe of series that are new

    def note(self, results: Iterable[Result]) -> None:
        """Take the numbers of these results."""
        series_of, (numbers, tenths, values) = self._catalogue.of, self._batch
        for result in results:  # ten thousand a minute
            tenth, look = result.ended_us // TENTH_US, result.look
            (names, own), metrics = series_of(result.key), look.metrics
            if (*metrics,) == names:
                numbers += own
                tenths += (tenth,) * len(own)
                values += metrics.values()  # type: ignore[arg-type]  # a text among them is found in `batch`
            else:
                self._name(Series(names, own), result.key, "", tenth, metrics)
            if look.instances:
                for instance, inner in look.instances.items():
                    self._name(series_of((result.key, instance)), result.key, instance, tenth, inner.metrics)

    def _name(self, known: Series, key: str, instance: str, tenth: int, metrics: Mapping[str, Measure]) -> None:
        if tuple(metrics) == known.names:
            numbers, tenths, values = self._batch
            numbers += known.numbers
            tenths += (tenth,) * len(metrics)
            values += metrics.values()  # type: ignore[arg-type]
        elif known.names or not instance or self._catalogue.may_grow(key):
            named = ((Name(key, instance, metric), tenth, value) for metric, value in metrics.items())
            self._others += [(name, tenth, value) for name, tenth, value in named if not isinstance(value, str)]

    def batch(self, tx: Tx) -> Batch:
        """All samples; a series that is new is given its number. What is a text for once is no sample."""
        if str in set(map(type, self._batch.values)):
            self._batch = _numbers_only(self._batch)
        numbers, tenths, values = self._batch
        for number, (_, tenth, value) in zip(
            self._catalogue.learn(tx, [name for name, _, _ in self._others]), self._others, strict=True
        ):
            numbers.append(number)
            tenths.append(tenth)
            values.append(value)
        return self._batch


def _numbers_only(batch: Batch) -> Batch:
    """Without what was a number until now, and is a text for once."""
    values = cast("list[Measure]", batch.values)
    sound = [place for place, value in enumerate(values) if not isinstance(value, str)]
    return Batch(
        [batch.numbers[place] for place in sound],
        [batch.tenths[place] for place in sound],
        [batch.values[place] for place in sound],
    )


def number_of(reader: Reader, name: Name) -> int | None:
    """The number of a series, None when nothing was ever measured under that name."""
    query = select(series.c.id).where(
        series.c.key == name.key, series.c.instance == name.instance, series.c.metric == name.metric
    )
    found = reading(reader).execute(query).scalar_one_or_none()
    return None if found is None else int(found)


def append(tx: Tx, batch: Batch) -> None:
    """Keep one batch of samples, at most an hour and a half apart, as it is: it is packed when its hour is over."""
    if not batch.numbers:
        return
    moments = set(batch.tenths)  # far fewer than samples
    base = min(moments)
    if max(moments) - base > _MOST_OFFSET:  # a clock that jumped: what does not fit is told as late as it allows
        offsets = array("H", [min(tenth - base, _MOST_OFFSET) for tenth in batch.tenths])
    else:
        offsets = array("H", [tenth - base for tenth in batch.tenths])
    body = packed.pack_batch(Columns(array("I", batch.numbers), offsets, array("f", batch.values)))
    tx.connection.execute(_ADD_BATCH, {"at_tenth": base, "size": len(batch.numbers), "body": body})


def read(reader: Reader, name: Name, since_us: int, until_us: int) -> list[Sample]:
    """The samples of a series in a span, as measured, oldest first."""
    number = number_of(reader, name)
    if number is None:
        return []
    hours = list(_rows(reader, sample_hours, number, range(since_us // HOUR_US, until_us // HOUR_US + 1)))
    found = [
        Sample(hour * HOUR_US + tenth * TENTH_US, value)
        for hour, body in hours
        for tenth, value in packed.unpack_hour(body)
    ]
    is_packed = {hour for hour, _ in hours}  # its batches stay until all series are
    for row in reading(reader).execute(select(sample_batches)):
        if row.at_tenth * TENTH_US // HOUR_US not in is_packed:
            columns = packed.unpack_batch(row.body, row.size)
            found += [
                Sample((row.at_tenth + offset) * TENTH_US, value)
                for one, offset, value in zip(*columns, strict=True)
                if one == number
            ]
    return sorted(sample for sample in found if since_us <= sample.at_us <= until_us)


def hourly(reader: Reader, name: Name, since_us: int, until_us: int) -> list[Hourly]:
    """Low, mean and high of each hour of a span, of the days that are over."""
    number = number_of(reader, name)
    if number is None:
        return []
    rows = _rows(reader, sample_days, number, range(since_us // DAY_US, until_us // DAY_US + 1))
    return [hour for day, body in rows for hour in packed.unpack_day(body, day) if since_us <= hour.at_us <= until_us]


def by_hour(reader: Reader, name: Name, since_us: int, until_us: int) -> list[Hourly]:
    """Low, mean and high of each hour of a span that is packed: the days that are over, and what there is since."""
    number = number_of(reader, name)
    if number is None:
        return []
    found = hourly(reader, name, since_us, until_us)
    rolled = (found[-1].at_us // DAY_US + 1) * DAY_US if found else since_us
    hours = _rows(reader, sample_hours, number, range(rolled // HOUR_US, until_us // HOUR_US + 1))
    return [*found, *(packed.summary(hour, body) for hour, body in hours)]


def _rows(reader: Reader, table: Table, number: int, places: range) -> Iterator[tuple[int, bytes]]:
    """The rows of one series at these hours or days, in order: each is sought by its key, the rows between belong to others."""
    place, body = table.primary_key.columns[0], table.c.body
    for begin in range(0, len(places), _AT_ONCE):
        some = places[begin : begin + _AT_ONCE]
        query = select(place, body).where(place.in_(some), table.c.series == number).order_by(place)
        for at, found in reading(reader).execute(query):
            yield int(at), found
