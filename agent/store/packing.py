"""Makes less of samples that are over: hours become one packed row of each series, days its hourly low, mean and high.

A thousand hosts leave more than a million samples an hour, and half a million rows a day. So it goes in pieces: each is one
short transaction, others may write in between, and one that is cut off begins the hour or the day anew and changes nothing
by it. The hour's batches, and the day's lack of its mark, stay until the last piece.
"""

import itertools
import sys
from array import array
from typing import NamedTuple

from sqlalchemy import ColumnElement, Table, delete, func, select
from sqlalchemy.dialects import sqlite

from agent.store import packed
from agent.store.packed import HOUR_US, Hourly
from agent.store.samples import DAY_US, TENTH_US
from agent.store.tables import sample_batches, sample_days, sample_hours, series
from agent.store.tx import Reader, Tx, reading

KEEP_FULL_US = 30 * DAY_US
KEEP_HOURLY_US = 396 * DAY_US  # thirteen months
_HOUR_TENTHS = HOUR_US // TENTH_US
_PARTS = 16  # in which the series of an hour are packed
# A part is of every sixteenth block of 256 numbers: rows that stand together are written together, and their pages get full.
_CHOSEN = [bytes(block % _PARTS == part for block in range(256)) for part in range(_PARTS)]
_BLOCKS = slice(1 if sys.byteorder == "little" else 2, None, 4)  # of numbers of four bytes, the second lowest
_SERIES_AT_ONCE = 128  # of which a day is rolled up
_MARK = 0  # the number of no series: this day is rolled up
_ADD_HOUR = sqlite.insert(sample_hours).on_conflict_do_nothing()
_ADD_DAY = sqlite.insert(sample_days).on_conflict_do_nothing()


class Progress(NamedTuple):
    """What the last piece was of (an hour or a day since the epoch, by their table's name), and with what the next begins."""

    table: str
    place: int
    following: int


def piece(tx: Tx, now_us: int, before: Progress | None) -> Progress | None:
    """Do the next piece of work, given the one before; None when nothing is left to be done."""
    if (hour := _hour_that_is_over(tx, now_us)) is not None:
        return _pack(tx, hour, _begin(before, sample_hours, hour))
    if (day := _day_that_is_over(tx, now_us)) is not None:
        return _roll_up(tx, day, _begin(before, sample_days, day))
    limits = {sample_hours: (now_us - KEEP_FULL_US) // HOUR_US, sample_days: (now_us - KEEP_HOURLY_US) // DAY_US}
    for table, limit in limits.items():
        if (oldest := _oldest(tx, table)) is not None and oldest < limit:
            tx.connection.execute(delete(table).where(_place(table) == oldest))
            return Progress(table.name, oldest, 0)
    return None


def _begin(before: Progress | None, table: Table, place: int) -> int:
    return before.following if before is not None and before[:2] == (table.name, place) else 0


def _place(table: Table) -> ColumnElement[int]:
    return table.primary_key.columns[0]


def _oldest(reader: Reader, table: Table) -> int | None:
    found: int | None = reading(reader).execute(select(func.min(_place(table)))).scalar_one()
    return found


def _hour_that_is_over(reader: Reader, now_us: int) -> int | None:
    """The oldest hour of which there are batches, if it is over."""
    tenth: int | None = reading(reader).execute(select(func.min(sample_batches.c.at_tenth))).scalar_one()
    hour = None if tenth is None else tenth // _HOUR_TENTHS
    return hour if hour is not None and hour < now_us // HOUR_US else None


def _in_hour(hour: int) -> ColumnElement[bool]:
    start = hour * _HOUR_TENTHS
    return (sample_batches.c.at_tenth >= start) & (sample_batches.c.at_tenth < start + _HOUR_TENTHS)


def _pack(tx: Tx, hour: int, part: int) -> Progress:
    rows = [
        {"series": number, "hour": hour, "body": packed.pack_hour(list(zip(tenths, values, strict=True)))}
        for number, (tenths, values) in sorted(_gathered(tx, hour, part).items())
    ]
    if rows:
        tx.connection.execute(_ADD_HOUR, rows)
    if part + 1 == _PARTS:
        tx.connection.execute(delete(sample_batches).where(_in_hour(hour)))
    return Progress(sample_hours.name, hour, part + 1)


def _gathered(reader: Reader, hour: int, part: int) -> "dict[int, tuple[array[int], array[float]]]":
    """One part of the series in batches that began in an hour: tenths since it began, and values, eight bytes a sample."""
    start = hour * _HOUR_TENTHS
    found: dict[int, tuple[array[int], array[float]]] = {}
    query = select(sample_batches).where(_in_hour(hour)).order_by(sample_batches.c.at_tenth)
    for row in reading(reader).execute(query):
        numbers, offsets, values = packed.unpack_batch(row.body, row.size)
        chosen, later = numbers.tobytes()[_BLOCKS].translate(_CHOSEN[part]), row.at_tenth - start
        for place in itertools.compress(range(row.size), chosen):
            if (number := numbers[place]) not in found:
                found[number] = array("I"), array("f")
            known = found[number]
            known[0].append(later + offsets[place])
            known[1].append(values[place])
    return found


def _day_that_is_over(reader: Reader, now_us: int) -> int | None:
    """The oldest day that is over, of which there are hours, and which is not marked."""
    oldest = _oldest(reader, sample_hours)
    days = range(0) if oldest is None else range(oldest // 24, now_us // DAY_US)
    return next((day for day in days if not _is_marked(reader, day) and _has_hours(reader, day)), None)


def _is_marked(reader: Reader, day: int) -> bool:
    mark = select(sample_days.c.day).where(sample_days.c.day == day, sample_days.c.series == _MARK)
    return reading(reader).execute(mark).first() is not None


def _has_hours(reader: Reader, day: int) -> bool:
    hours = select(sample_hours.c.hour).where(sample_hours.c.hour.between(day * 24, day * 24 + 23))
    return reading(reader).execute(hours.limit(1)).first() is not None


def _roll_up(tx: Tx, day: int, first: int) -> Progress:
    some = sample_hours.c.series.between(first, first + _SERIES_AT_ONCE - 1)
    rows: dict[int, list[Hourly]] = {}
    for hour in range(day * 24, day * 24 + 24):
        for row in tx.connection.execute(select(sample_hours).where(sample_hours.c.hour == hour, some)):
            rows.setdefault(row.series, []).append(packed.summary(hour, row.body))
    made = [{"series": number, "day": day, "body": packed.pack_day(hours)} for number, hours in rows.items()]
    if first + _SERIES_AT_ONCE > (tx.connection.execute(select(func.max(series.c.id))).scalar_one() or 0):
        made.append({"series": _MARK, "day": day, "body": b""})
    if made:
        tx.connection.execute(_ADD_DAY, made)
    return Progress(sample_days.name, day, first + _SERIES_AT_ONCE)
