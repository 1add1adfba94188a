"""Foresight: looks at file systems get the metric `full_in` before they are judged, where a bound asks for it."""

import dataclasses
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from agent.model.check import Check
from agent.model.host import Host
from agent.model.look import Look, Measure, Result
from agent.model.policy import PolicySet
from agent.practices import forecast
from agent.practices.forecast import HOUR_US, History, Hour, Point
from agent.runtime.book import Book
from agent.runtime.workers import Workers, guard
from agent.store import samples
from agent.store.engine import Store
from agent.store.packed import Hourly
from agent.store.samples import Name

METRIC = "full_in"
KINDS = frozenset({"disk", "inodes"})
_AGAIN_US = HOUR_US  # the past is kept by the hour
_APART_US = 20_000_000  # a point this often is enough for half an hour
_HOURS = 3  # kept here: packing them may take a while


class Looks(Protocol):
    """Who looks."""

    async def look(self, host: Host | None, checks: Sequence[Check]) -> list[Result]:
        """Everything that is due on one host."""


class Foresight:
    """A looker that knows the recent past of every file system whose filling is to be foreseen; the rest is in the store."""

    def __init__(self, looker: Looks, store: Store, book: Book, workers: Workers) -> None:
        self._looker = looker
        self._store = store
        self._book = book
        self._workers = workers
        self._adopted: PolicySet | None = None
        self._pasts: dict[str, dict[str, _Past]] = {}  # by check and file system; only of checks that ask

    async def look(self, host: Host | None, checks: Sequence[Check]) -> list[Result]:
        """What the looker sees; where bounds ask for a forecast, with one for each file system that fills."""
        self._adopt()
        results = await self._looker.look(host, checks)
        return [await self._foreseen(result) if result.key in self._pasts else result for result in results]

    def _adopt(self) -> None:
        policies = self._book.policies
        if policies is not self._adopted:
            self._adopted = policies
            asking = [key for key, check in policies.checks.items() if _asks(check)]
            self._pasts = {key: self._pasts.get(key, {}) for key in asking}

    async def _foreseen(self, result: Result) -> Result:
        known, now_us = self._pasts[result.key], result.ended_us
        measured = dict(_measured(result.look))
        for name in [name for name in known if name not in measured]:
            del known[name]
        for name, (free, used) in measured.items():
            if name not in known or known[name].is_ahead_of(now_us):
                known[name] = _Past()
            known[name].note(now_us, free, used)
        stale = {name: known[name] for name in measured if known[name].due_us <= now_us}
        if stale:
            reading = self._workers.look(self._read, result.key, tuple(stale), now_us)
            found = await guard(f"forecast {result.key}", reading, otherwise=_nothing)
            for name, past in stale.items():
                past.learn(found.get(name, ()), Point(now_us, measured[name][0]))
        told = {name: known[name].full_in(Point(now_us, free)) for name, (free, _) in measured.items()}
        return dataclasses.replace(result, look=_with(result.look, told))

    def _read(self, key: str, names: Sequence[str], now_us: int) -> dict[str, list[Hour]]:
        since_us = now_us - forecast.LOOK_BACK_US
        with self._store.read() as reader:
            both = {
                name: [
                    samples.by_hour(reader, Name(key, name, metric), since_us, now_us) for metric in ("free", "used")
                ]
                for name in names
            }
        return {name: list(_joined(free, used)) for name, (free, used) in both.items()}


class _Past:
    """The half hour before now, the last hours, and what was found out about the days before."""

    __slots__ = ("_frees", "_history", "_hours", "_times", "due_us")

    def __init__(self) -> None:
        self._times, self._frees = array("q"), array("d")
        self._hours: dict[int, tuple[Hour, int]] = {}  # with how many looks each is made of
        self._history = History()
        self.due_us = 0

    def is_ahead_of(self, now_us: int) -> bool:
        """Whether it was seen by a clock that has been set back since: then it tells nothing, and would never end."""
        return bool(self._times) and self._times[-1] > now_us

    def note(self, at_us: int, free: float, used: float) -> None:
        start_us = at_us // HOUR_US * HOUR_US
        hour, count = self._hours.pop(start_us, (Hour(start_us, free, 0.0, free, 0.0), 0))
        mean, share = ((old * count + new) / (count + 1) for old, new in ((hour.mean, free), (hour.used, used)))
        whole = Hour(start_us, min(hour.low, free), mean, max(hour.high, free), share)
        self._hours[start_us] = whole, count + 1
        while len(self._hours) > _HOURS:
            del self._hours[next(iter(self._hours))]
        if self._times and at_us - self._times[-1] < _APART_US:
            return
        keep = next((place for place, when in enumerate(self._times) if when >= at_us - forecast.RECENT_US), None)
        if keep != 0:
            kept = slice(len(self._times) if keep is None else keep, None)
            self._times, self._frees = self._times[kept], self._frees[kept]
        self._times.append(at_us)
        self._frees.append(free)

    def learn(self, packed: Sequence[Hour], now: Point) -> None:
        hours = {hour.at_us: hour for hour in packed} | {start: hour for start, (hour, _) in self._hours.items()}
        self._history = forecast.history([hours[start] for start in sorted(hours)], now.at_us, now.free)
        self.due_us = now.at_us + _AGAIN_US

    def full_in(self, now: Point) -> float | None:
        recent = [Point(at_us, free) for at_us, free in zip(self._times, self._frees, strict=True)]
        return forecast.full_in(self._history, recent, now)


def _nothing(_error: Exception) -> Mapping[str, Sequence[Hour]]:
    return {}


def _asks(check: Check) -> bool:
    if check.kind not in KINDS:
        return False
    bounds = (*check.rules.warn, *check.rules.crit)
    return any(name == METRIC or any(one.other == METRIC for one in alternatives) for name, alternatives in bounds)


def _measured(look: Look) -> Iterator[tuple[str, tuple[float, float]]]:
    for name, inner in look.instances.items():
        free, used = inner.metrics.get("free"), inner.metrics.get("used")
        if isinstance(free, float) and isinstance(used, float):
            yield name, (free, used)


def _joined(free: Sequence[Hourly], used: Sequence[Hourly]) -> Iterator[Hour]:
    shares = {hour.at_us: hour.mean for hour in used}
    for hour in free:
        if hour.at_us in shares:
            yield Hour(hour.at_us, hour.low, hour.mean, hour.high, shares[hour.at_us])


def _with(look: Look, told: Mapping[str, float | None]) -> Look:
    instances = dict(look.instances)
    said: dict[str, str] = {}
    for name, seconds in told.items():
        if seconds is not None:
            before = instances[name]
            metrics: dict[str, Measure] = {**before.metrics, METRIC: round(seconds, 1)}
            said[before.summary] = f"{before.summary}, full in {_spelled(seconds)}"
            instances[name] = dataclasses.replace(before, metrics=metrics, summary=said[before.summary])
    return (
        dataclasses.replace(look, instances=instances, summary=said.get(look.summary, look.summary)) if said else look
    )


def _spelled(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 60:.0f} min"
