"""When will it be full? A forecast from the troughs of free space, which a regular clean-up does not fool.

Slowly: the lowest free space of each of the past days, a line through them by Theil and Sen's median of slopes, and the
80 % interval of that slope by Sen (1968). Fast: the last half hour, when each of its three windows of ten minutes says
the same. What is told is the lower end of the interval: it will not be sooner, as far as the past can tell.
"""

import dataclasses
import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

MICROSECONDS = 1_000_000
HOUR_US = 3600 * MICROSECONDS
DAY_US = 24 * HOUR_US
LOOK_BACK_US = 30 * DAY_US
RECENT_US = HOUR_US // 2
_WINDOW_US = RECENT_US // 3
_NEAR_SECONDS = 4 * 3600.0  # what fills faster than this is seen by the fast path
_FARTHEST_SECONDS = 365 * 86400.0  # from a month nobody sees farther
_LEAST_DAYS = 5
_WEEK = 8  # days: one more than the slowest clean-up that people make a habit
_SURE = 1.2816  # standard deviations of a normal distribution with 80 % of it between them
_RESIZED = 0.03
_TOO_FULL = 0.98  # above, the size of the whole cannot be told from the share that is used
_RISE = 0.1  # of the range seen: less is noise
_FAINT = 0.02  # of the ups and downs of a day, or of half an hour: less is noise, too
_APART_US = DAY_US // 2  # rises that are closer are one clean-up


class Hour(NamedTuple):
    """One hour of free space, with the mean share that was used."""

    at_us: int
    low: float
    mean: float
    high: float
    used: float


class Point(NamedTuple):
    """Free space at a moment."""

    at_us: int
    free: float


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Trend:
    """A line through the troughs: their level at a moment and, per second, the steep end of how fast they sink."""

    at_us: int
    level: float
    slope: float
    steep: float
    peak: float  # of the days before: whoever is above has been cleaned up out of turn


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """What the past says: the trend, None when there is none, and the lowest that the last days have seen.

    Without a day of past, nothing can be below its floor.
    """

    trend: Trend | None = None
    floor: float = -math.inf


def history(hours: Sequence[Hour], now_us: int, free: float) -> History:
    """What the past month says; `hours` in their order, `free` as it is now."""
    same = _since_resized(hours)
    if not same or now_us - same[0].at_us < DAY_US:
        return History()
    known = _since_clean_up(same, now_us, free)
    before = [hour for hour in known if now_us - _WEEK * DAY_US <= hour.at_us < now_us - RECENT_US - HOUR_US]
    floor = min((hour.low for hour in before), default=-math.inf)
    trend = _trend(known, now_us, free) if _is_new_low(_days(same, now_us)) else None
    return History(trend=trend, floor=floor)


def full_in(past: History, recent: Sequence[Point], now: Point) -> float | None:
    """Seconds until nothing is free, at the earliest; None when it does not shrink, or too little is known."""
    told = [seconds for seconds in (_slowly(past.trend, now), _fast(past.floor, recent, now)) if seconds is not None]
    return min(told) if told and min(told) <= _FARTHEST_SECONDS else None


def _slowly(trend: Trend | None, now: Point) -> float | None:
    if trend is None:
        return None
    line = trend.level + trend.slope * (now.at_us - trend.at_us) / MICROSECONDS
    cleaned = max(0.0, now.free - trend.peak)
    return max(0.0, min(now.free, line + cleaned)) / -trend.steep


def _fast(floor: float, recent: Sequence[Point], now: Point) -> float | None:
    """Only below all that the last days have seen: what a regular clean-up gives back does not count as lost."""
    known = [point for point in recent if now.at_us - RECENT_US <= point.at_us <= now.at_us]
    if len(known) < 6 or now.free >= known[0].free or now.free > floor - _FAINT * (known[0].free - now.free):
        return None
    windows: tuple[list[Point], ...] = ([], [], [])
    for point in known:
        windows[min(2, (now.at_us - point.at_us) // _WINDOW_US)].append(point)
    for window in windows:
        slopes = _slopes(window)
        if not slopes or (slope := statistics.median(slopes)) >= 0 or now.free / -slope > _NEAR_SECONDS:
            return None
    steep, _ = _interval(_slopes(known), len(known))
    return max(0.0, now.free) / -steep


def _trend(hours: Sequence[Hour], now_us: int, free: float) -> Trend | None:
    days = _days(hours, now_us)
    troughs = [min(found, key=lambda hour: hour.low) for found in days.values()]
    if len(troughs) < _LEAST_DAYS:
        return None
    points = [Point(hour.at_us + HOUR_US // 2, hour.low) for hour in troughs]
    slopes = _slopes(points)
    steep, flat = _interval(slopes, len(points))
    if flat >= 0:
        return None
    slope = statistics.median(slopes)
    level = statistics.median(point.free + slope * (now_us - point.at_us) / MICROSECONDS for point in points)
    peak = max((hour.high for day in (1, 2, 3) for hour in days.get(day, ())), default=free)
    return Trend(at_us=now_us, level=level, slope=slope, steep=steep, peak=peak)


def _days(hours: Sequence[Hour], now_us: int) -> dict[int, list[Hour]]:
    """The hours of each day, counted back from now; a day of which too little was seen is left out."""
    days: dict[int, list[Hour]] = {}
    for hour in hours:
        if 0 <= now_us - hour.at_us < LOOK_BACK_US:
            days.setdefault((now_us - hour.at_us) // DAY_US, []).append(hour)
    enough = 0.95 * max((len(found) for found in days.values()), default=0)
    return {day: found for day, found in days.items() if len(found) >= enough}


def _is_new_low(days: Mapping[int, Sequence[Hour]]) -> bool:
    """Whether the last day went lower than the week before: free space that comes back is no loss.

    A clean-up out of turn does not count as its end: perhaps it is the first of many.
    """
    lows = {day: min(hour.low for hour in days[day]) for day in days if day < _WEEK}
    swings = [max(hour.high for hour in days[day]) - low for day, low in lows.items()]
    before = [low for day, low in lows.items() if day]
    return 0 in lows and bool(before) and lows[0] < min(before) - _FAINT * statistics.median(swings)


def _slopes(points: Sequence[Point]) -> list[float]:
    """The slopes between any two points, per second, the steepest fall first."""
    pairs = itertools.combinations(points, 2)
    return sorted(
        (late.free - early.free) * MICROSECONDS / (late.at_us - early.at_us)
        for early, late in pairs
        if late.at_us != early.at_us
    )


def _interval(slopes: Sequence[float], count: int) -> tuple[float, float]:
    """The ends of the interval in which the true slope is in 80 of 100 cases."""
    reach = _SURE * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low, high = math.floor((len(slopes) - reach) / 2), math.ceil((len(slopes) + reach) / 2)
    return slopes[max(0, low)], slopes[min(len(slopes) - 1, high)]


def _since_resized(hours: Sequence[Hour]) -> Sequence[Hour]:
    """The hours since the whole had another size."""
    sizes = [hour.mean / (1 - hour.used) if hour.used < _TOO_FULL else 0.0 for hour in hours]
    size = next((one for one in reversed(sizes) if one), 0.0)
    others = [place for place, one in enumerate(sizes) if one and abs(one - size) > _RESIZED * size]
    return hours[others[-1] + 1 :] if others else hours


def _since_clean_up(hours: Sequence[Hour], now_us: int, free: float) -> Sequence[Hour]:
    """The hours since free space rose as never before or after: somebody cleaned up, and the past is no guide."""
    points = [*(Point(hour.at_us, hour.low) for hour in hours), Point(now_us, free)]
    lows = [point.free for point in points]
    least = _RISE * (max(lows) - min(lows))
    rises = [
        (place, late.at_us, late.free - early.free)
        for place, (early, late) in enumerate(itertools.pairwise(points), 1)
        if late.free - early.free > least / 2
    ]
    alone = [
        place
        for place, at_us, rise in rises
        if rise > least
        and not any(abs(when_us - at_us) > _APART_US and other >= rise / 2 for _, when_us, other in rises)
    ]
    return hours[alone[-1] :] if alone else hours
