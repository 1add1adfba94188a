"""Recoverability in numbers: how often saving succeeds, how old the newest point ever was, how long a restore takes, at which cost.

Values in, values out; what is not known is None, never 0. Sequences of points and proofs come with the newest first.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from itertools import pairwise

from agent.model.backup import Backup
from agent.model.proof import Point, Proof

MICROSECONDS = 1_000_000
DAY_US = 86_400 * MICROSECONDS
SPAN_US = 30 * DAY_US  # what a rate, a worst case and a growth are told about
_BARS = "▁▂▃▄▅▆▇█"
_NOTHING = "▁"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One run of a backup that ended: whether it succeeded, and what it took. `cpu_seconds` None: not measured."""

    began_us: int
    ended_us: int
    ok: bool
    cpu_seconds: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """A value at a moment."""

    at_us: int
    seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What a policy took over a span of time: runs, seconds of waiting and of CPU, bytes added to its repository."""

    runs: int
    wall_seconds: float
    cpu_seconds: float | None
    added_bytes: int


def success_rate(trials: Iterable[Trial], since_us: int) -> float | None:
    """The share of runs that succeeded; what was left out or never began is no run. None when there was none."""
    ended = [one.ok for one in trials if one.ended_us >= since_us]
    return sum(ended) / len(ended) if ended else None


def rpo_series(points: Sequence[Point], since_us: int, now_us: int) -> tuple[Measured, ...]:
    """How much work a loss would have cost, at its worst, before each point, and now: the ages that the newest point reached.

    A point dated before its predecessor, by a clock that was set, made nothing older.
    """
    times = sorted(point.at_us for point in points)
    ages = [Measured(at_us=later, seconds=(later - sooner) / MICROSECONDS) for sooner, later in pairwise(times)]
    if times:
        ages.append(Measured(at_us=now_us, seconds=max(0.0, (now_us - times[-1]) / MICROSECONDS)))
    return tuple(one for one in ages if one.at_us >= since_us)


def rto_series(proofs: Sequence[Proof], since_us: int) -> tuple[Measured, ...]:
    """How long each restore took that was proven, from the order to the proof, the oldest first."""
    passed = [one for one in reversed(proofs) if one.passed and one.at_us >= since_us]
    return tuple(Measured(at_us=one.at_us, seconds=one.seconds or one.restore_seconds) for one in passed)


def worst(series: Iterable[Measured]) -> float | None:
    """The longest of them, in seconds."""
    return max((one.seconds for one in series), default=None)


def growth(points: Sequence[Point], since_us: int, now_us: int) -> float | None:
    """Bytes added per day, of which retention gives some back; None with less than a day to tell from.

    The first point of each backup is left out: it is the whole, not what is new.
    """
    firsts = {min(of_key, key=lambda point: point.at_us).exec_id for of_key in _by_key(points)}
    begins = [point.at_us for point in points if point.exec_id in firsts]
    if not begins:
        return None
    from_us = max(since_us, min(begins))
    if now_us - from_us < DAY_US:
        return None
    added = sum(point.added_bytes for point in points if point.at_us >= from_us and point.exec_id not in firsts)
    return added * DAY_US / (now_us - from_us)


def _by_key(points: Iterable[Point]) -> list[list[Point]]:
    found: dict[str, list[Point]] = {}
    for point in points:
        found.setdefault(point.key, []).append(point)
    return list(found.values())


def full_in(free_bytes: int | None, growth_per_day: float | None) -> float | None:
    """Within how many seconds a repository fills its disk if nothing is ever removed; None for not at all, or unknown."""
    if free_bytes is None or growth_per_day is None or growth_per_day <= 0:
        return None
    return free_bytes / growth_per_day * 86_400


def cost(trials: Iterable[Trial], points: Iterable[Point], since_us: int) -> Cost:
    """What a backup took since a moment."""
    ran = [one for one in trials if one.ended_us >= since_us]
    known = [one.cpu_seconds for one in ran if one.cpu_seconds is not None]
    return Cost(
        runs=len(ran),
        wall_seconds=sum((one.ended_us - one.began_us) / MICROSECONDS for one in ran),
        cpu_seconds=sum(known) if known else None,
        added_bytes=sum(point.added_bytes for point in points if point.at_us >= since_us),
    )


def uncovered(hosts: Iterable[str], backups: Iterable[Backup]) -> tuple[str, ...]:
    """The hosts of which nothing is saved by any policy."""
    return tuple(sorted(set(hosts) - {backup.host for backup in backups}))


def trend(points: Sequence[Point], width: int = 8) -> str:
    """The sizes of the last points as bars, the oldest first: as high as they are between the smallest and the largest."""
    sizes = [point.size_bytes for point in reversed(points[:width])]
    if not sizes:
        return ""
    low, high = min(sizes), max(sizes)
    if low == high:
        return _NOTHING * len(sizes)
    return "".join(_BARS[round((size - low) / (high - low) * (len(_BARS) - 1))] for size in sizes)
