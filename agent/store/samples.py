"""Samples of metrics: 30 days as measured, 13 months by the hour, in about two bytes each.

What comes in is first a batch row, for all series at once, so that a flush is one write and a crash loses one flush.
An hour later batches become one packed row per series and hour; a day later these become hourly low, mean and high.
Values are kept to one part in 8,192 (12 bits of mantissa, rounded), times to a tenth of a second.
"""

import itertools
import struct
import sys
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, cast

from sqlalchemy import ColumnElement, delete, insert, select
from sqlalchemy.dialects import sqlite

from agent.model.look import Measure, Result
from agent.store.tables import sample_batches, sample_days, sample_hours, series
from agent.store.tx import Reader, Tx, reading

MICROSECONDS = 1_000_000
HOUR_US = 3600 * MICROSECONDS
DAY_US = 24 * HOUR_US
KEEP_FULL_US = 30 * DAY_US
KEEP_HOURLY_US = 396 * DAY_US  # thirteen months
TENTH_US = 100_000
_MOST_OFFSET = 65535
_EACH = 10  # bytes of a sample in a batch: number, offset, value
_LOST = 11  # of the 23 bits of a float32's mantissa, so many are rounded away
MOST_INSTANCES = 20_000  # of one check, whose metrics are kept, ever: a host that invents names shall not fill the disk
_HALF = 1 << _LOST - 1
_PARTS = 4  # in which the series of an hour are packed
_HEAD = struct.Struct("<HHHI")  # first tenth of the hour, step in tenths (0: offsets follow), samples, first value

_ADD_BATCH = insert(sample_batches)
_ADD_SERIES = sqlite.insert(series).on_conflict_do_nothing()
_ADD_HOUR = sqlite.insert(sample_hours).on_conflict_do_nothing()
_ADD_DAY = sqlite.insert(sample_days).on_conflict_do_nothing()


class Name(NamedTuple):
    """What is measured: the check's key, the instance ("" when there is one thing), the metric."""

    key: str
    instance: str
    metric: str


class Sample(NamedTuple):
    """One measured value."""

    at_us: int
    value: float


class Hourly(NamedTuple):
    """What is left of an hour after a month."""

    at_us: int
    low: float
    mean: float
    high: float


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
                values += cast("Iterable[float]", metrics.values())
            else:
                self._name(Series(names, own), result.key, "", tenth, metrics)
            for instance, inner in look.instances.items() if look.instances else ():
                self._name(series_of((result.key, instance)), result.key, instance, tenth, inner.metrics)

    def _name(self, known: Series, key: str, instance: str, tenth: int, metrics: Mapping[str, Measure]) -> None:
        if tuple(metrics) == known.names:
            numbers, tenths, values = self._batch
            numbers += known.numbers
            tenths += (tenth,) * len(metrics)
            values += cast("Iterable[float]", metrics.values())
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
    base = min(batch.tenths)
    if max(batch.tenths) - base > _MOST_OFFSET:  # a clock that jumped: what does not fit is told as late as it allows
        offsets = array("H", [min(tenth - base, _MOST_OFFSET) for tenth in batch.tenths])
    else:
        offsets = array("H", [tenth - base for tenth in batch.tenths])
    body = array("I", batch.numbers).tobytes() + offsets.tobytes() + array("f", batch.values).tobytes()
    tx.connection.execute(_ADD_BATCH, {"at_tenth": base, "size": len(batch.numbers), "body": body})


def pack(tx: Tx, now_us: int) -> int:
    """Turn the batches of hours that are over into packed rows; how many samples were packed.

    One part of the series after the other: an hour of a thousand hosts is more than a million samples.
    """
    hour_end = now_us // HOUR_US * HOUR_US
    done = 0
    while (first := _oldest_batch(tx)) is not None and first < hour_end:
        hour = first // HOUR_US
        for part in range(_PARTS):
            found = _hour(tx, hour, part)
            done += sum(len(tenths) for tenths, _ in found.values())
            rows = [
                {"series": number, "hour": hour, "body": pack_hour(list(zip(tenths, values, strict=True)))}
                for number, (tenths, values) in found.items()
            ]
            if rows:
                tx.connection.execute(_ADD_HOUR, rows)
        tx.connection.execute(delete(sample_batches).where(_in_hour(hour)))
    return done


def _oldest_batch(reader: Reader) -> int | None:
    query = select(sample_batches.c.at_tenth).order_by(sample_batches.c.at_tenth).limit(1)
    tenth = reading(reader).execute(query).scalar_one_or_none()
    return None if tenth is None else int(tenth) * TENTH_US


def _in_hour(hour: int) -> ColumnElement[bool]:
    start = hour * HOUR_US // TENTH_US
    return (sample_batches.c.at_tenth >= start) & (sample_batches.c.at_tenth < start + HOUR_US // TENTH_US)


def _hour(reader: Reader, hour: int, part: int) -> "dict[int, tuple[array[int], array[float]]]":
    """One part of the series in batches that began in an hour: tenths since it began, and values, eight bytes a sample."""
    start = hour * HOUR_US // TENTH_US
    found: dict[int, tuple[array[int], array[float]]] = {}
    for row in reading(reader).execute(
        select(sample_batches).where(_in_hour(hour)).order_by(sample_batches.c.at_tenth)
    ):
        for number, tenth, value in _unpacked(row.body, row.size, row.at_tenth - start):
            if number % _PARTS == part:
                if number not in found:
                    found[number] = array("I"), array("f")
                tenths, values = found[number]
                tenths.append(tenth)
                values.append(value)
    return found


def _unpacked(body: bytes, count: int, base: int) -> Iterator[tuple[int, int, float]]:
    raw = body if len(body) == _EACH * count else zlib.decompress(body)  # an earlier version deflated them
    numbers, offsets, values = array("I"), array("H"), array("f")
    numbers.frombytes(raw[: 4 * count])
    offsets.frombytes(raw[4 * count : 6 * count])
    values.frombytes(raw[6 * count :])
    for number, offset, value in zip(numbers, offsets, values, strict=True):
        yield number, base + offset, value


def pack_hour(samples: Sequence[tuple[int, float]]) -> bytes:
    """The samples of one series in one hour, as (tenths since the hour began, value).

    Times are a first one and a step, or offsets; values are the changes of the rounded bit patterns, zigzag, all in as
    many bits as the largest needs: noise takes no table, and a value that stands still takes nothing.
    """
    ordered = sorted(samples)
    times = [tenth for tenth, _ in ordered]
    steps = {later - earlier for earlier, later in itertools.pairwise(times)}
    step = steps.pop() if len(steps) == 1 else 0
    words = array("I")
    words.frombytes(array("f", [value for _, value in ordered]).tobytes())
    rounded = [(word + _HALF if word & 0x7F800000 < 0x7F000000 else word) >> _LOST for word in words]
    changes = [_zigzag(after - before) for before, after in itertools.pairwise(rounded)]
    head = _HEAD.pack(times[0], step, len(times), rounded[0])
    offsets = b"" if step else _bits([tenth - times[0] for tenth in times])
    return head + offsets + _bits(changes)


def unpack_hour(body: bytes) -> list[tuple[int, float]]:
    """What `pack_hour` packed."""
    first, step, count, word = _HEAD.unpack_from(body)
    place = _HEAD.size
    if step:
        times = [first + step * number for number in range(count)]
    else:
        offsets, place = _unbits(body, place, count)
        times = [first + offset for offset in offsets]
    changes, place = _unbits(body, place, count - 1)
    words = array("I", [word << _LOST])
    for change in changes:
        word += (change >> 1) ^ -(change & 1)
        words.append(word << _LOST)
    values = array("f")
    values.frombytes(words.tobytes())
    return list(zip(times, values, strict=True))


def _zigzag(change: int) -> int:
    return change << 1 if change >= 0 else (-change << 1) - 1


def _bits(numbers: Sequence[int]) -> bytes:
    """Numbers of zero and above, all in as many bits as the largest needs; that width is the first byte."""
    width = max(numbers, default=0).bit_length()
    whole = 0
    for number in reversed(numbers):
        whole = whole << width | number
    return bytes([width]) + whole.to_bytes((width * len(numbers) + 7) // 8, "little")


def _unbits(body: bytes, place: int, count: int) -> tuple[list[int], int]:
    width = body[place]
    end = place + 1 + (width * count + 7) // 8
    whole = int.from_bytes(body[place + 1 : end], "little")
    mask = (1 << width) - 1
    return [whole >> width * number & mask for number in range(count)], end


def _planes(raw: bytes, width: int) -> bytes:
    """All first bytes, all second bytes …: like stands by like, and deflates better."""
    return b"".join(raw[place::width] for place in range(width))


def _joined(planes: bytes, width: int) -> bytes:
    count = len(planes) // width
    raw = bytearray(len(planes))
    for place in range(width):
        raw[place::width] = planes[place * count : (place + 1) * count]
    return bytes(raw)


def _deflated(raw: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(raw) + packer.flush()


def roll_up(tx: Tx, now_us: int) -> int:
    """Make hourly low, mean and high of every day that is over, and drop what is older than is kept; days made."""
    last_day = now_us // DAY_US - 1
    made = 0
    for day in _days_without(tx, last_day):
        rows: dict[int, list[tuple[int, float, float, float]]] = {}
        query = select(sample_hours).where(sample_hours.c.hour >= day * 24, sample_hours.c.hour < (day + 1) * 24)
        for row in tx.connection.execute(query):
            values = [value for _, value in unpack_hour(row.body)]
            summary = (row.hour - day * 24, min(values), sum(values) / len(values), max(values))
            rows.setdefault(row.series, []).append(summary)
        if rows:
            tx.connection.execute(
                _ADD_DAY, [{"series": number, "day": day, "body": _pack_day(hours)} for number, hours in rows.items()]
            )
            made += 1
    tx.connection.execute(delete(sample_hours).where(sample_hours.c.hour < (now_us - KEEP_FULL_US) // HOUR_US))
    tx.connection.execute(delete(sample_days).where(sample_days.c.day < (now_us - KEEP_HOURLY_US) // DAY_US))
    return made


def _days_without(reader: Reader, last_day: int) -> list[int]:
    connection = reading(reader)
    days = {hour // 24 for (hour,) in connection.execute(select(sample_hours.c.hour).distinct())}
    made = {day for (day,) in connection.execute(select(sample_days.c.day).distinct())}
    return sorted(day for day in days - made if day <= last_day)


def _pack_day(hours: Sequence[tuple[int, float, float, float]]) -> bytes:
    ordered = sorted(hours)
    columns = array("f", [value for column in (1, 2, 3) for value in (row[column] for row in ordered)])
    return _deflated(bytes([len(ordered), *(row[0] for row in ordered)]) + _planes(columns.tobytes(), 4))


def _unpack_day(body: bytes, day: int) -> Iterator[Hourly]:
    raw = zlib.decompress(body, -15)
    count = raw[0]
    columns = array("f")
    columns.frombytes(_joined(raw[1 + count :], 4))
    for place, hour in enumerate(raw[1 : 1 + count]):
        low, mean, high = columns[place], columns[count + place], columns[2 * count + place]
        yield Hourly((day * 24 + hour) * HOUR_US, low, mean, high)


def read(reader: Reader, name: Name, since_us: int, until_us: int) -> list[Sample]:
    """The samples of a series in a span, as measured, oldest first."""
    number = number_of(reader, name)
    if number is None:
        return []
    query = select(sample_hours).where(
        sample_hours.c.series == number,
        sample_hours.c.hour.in_(range(since_us // HOUR_US, until_us // HOUR_US + 1)),
    )
    found = [
        Sample(row.hour * HOUR_US + tenth * TENTH_US, value)
        for row in reading(reader).execute(query)
        for tenth, value in unpack_hour(row.body)
    ]
    for row in reading(reader).execute(select(sample_batches)):
        found += [
            Sample(tenth * TENTH_US, value)
            for series_number, tenth, value in _unpacked(row.body, row.size, row.at_tenth)
            if series_number == number
        ]
    return sorted(sample for sample in found if since_us <= sample.at_us <= until_us)


def hourly(reader: Reader, name: Name, since_us: int, until_us: int) -> list[Hourly]:
    """Low, mean and high of each hour of a span, of the days that are over."""
    number = number_of(reader, name)
    query = select(sample_days).where(
        sample_days.c.series == number, sample_days.c.day >= since_us // DAY_US, sample_days.c.day <= until_us // DAY_US
    )
    rows = reading(reader).execute(query) if number is not None else ()
    return [hour for row in rows for hour in _unpack_day(row.body, row.day) if since_us <= hour.at_us <= until_us]


def by_hour(reader: Reader, name: Name, since_us: int, until_us: int) -> list[Hourly]:
    """Low, mean and high of each hour of a span that is packed: the days that are over, and what there is since."""
    found = sorted(hourly(reader, name, since_us, until_us))
    number = number_of(reader, name)
    rolled = (found[-1].at_us // DAY_US + 1) * DAY_US if found else since_us
    query = (
        select(sample_hours)
        .where(sample_hours.c.series == number, sample_hours.c.hour.between(rolled // HOUR_US, until_us // HOUR_US))
        .order_by(sample_hours.c.hour)
    )
    for row in reading(reader).execute(query) if number is not None else ():
        values = [value for _, value in unpack_hour(row.body)]
        found.append(Hourly(row.hour * HOUR_US, min(values), sum(values) / len(values), max(values)))
    return found
