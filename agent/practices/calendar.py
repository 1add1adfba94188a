"""The calendar: when something is next due by an interval or a rule, and whether a window is open now."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from agent.model.cadence import At, Cadence, Every
from agent.model.window import Window, WindowKind

MICROSECONDS = 1_000_000
_SHORT_SECONDS = 3600.0  # longer intervals are aligned to the clock
AHEAD_SECONDS = 60.0  # two processes may differ by a little
_SEARCH_DAYS = 366 * 5  # a rule that does not come up in five years never does


def next_due(cadence: Cadence, after_us: int) -> int | None:
    """The first moment after `after_us` (µs UTC) at which any of the rules is due; None when none ever is."""
    moments = [moment for rule in cadence if (moment := _next(rule, after_us)) is not None]
    return min(moments, default=None)


def following(every: Cadence, last_us: int) -> int | None:
    """When it is due after its last run: a short interval counts from that run, all else from the clock."""
    moments = [
        last_us + int(rule.seconds * MICROSECONDS)
        if isinstance(rule, Every) and rule.seconds <= _SHORT_SECONDS
        else _next(rule, last_us)
        for rule in every
    ]
    return min((moment for moment in moments if moment is not None), default=None)


def _next(rule: Every | At, after_us: int) -> int | None:
    if isinstance(rule, Every):
        step = int(rule.seconds * MICROSECONDS)
        return (after_us // step + 1) * step
    if rule.rule == "cron":
        return _next_cron(rule, after_us)
    return _next_hour(rule, after_us) if rule.hour is None else _next_at(rule, rule.hour, after_us)


def _next_cron(rule: At, after_us: int) -> int | None:
    from cronsim import CronSim

    start = datetime.fromtimestamp(after_us / MICROSECONDS, ZoneInfo(rule.zone))
    moment = next(CronSim(rule.cron, start), None)
    return None if moment is None else _micros(moment)


def _next_hour(rule: At, after_us: int) -> int:
    """Every hour that passes, those of a night in which clocks change included."""
    zone = ZoneInfo(rule.zone)
    moment = datetime.fromtimestamp(after_us // MICROSECONDS, UTC).replace(second=0) + timedelta(minutes=1)
    while (minute := moment.astimezone(zone).minute) != rule.minute:  # again where an offset changes by half an hour
        moment += timedelta(minutes=(rule.minute - minute) % 60)
    return _micros(moment)


def _next_at(rule: At, hour: int, after_us: int) -> int | None:
    zone = ZoneInfo(rule.zone)
    local = datetime.fromtimestamp(after_us / MICROSECONDS, zone)
    day = local.date()
    for _ in range(_SEARCH_DAYS):
        if _falls_on(rule, day):
            moment = _micros(_existing(datetime.combine(day, time(hour, rule.minute)), zone))
            if moment > after_us:
                return moment
        day += timedelta(days=1)
    return None


def _falls_on(rule: At, day: date) -> bool:
    if rule.monthday is not None:
        return day.day == rule.monthday
    if rule.weekdays and day.weekday() not in rule.weekdays:
        return False
    if rule.nth is None:
        return True
    if rule.nth == -1:
        return (day + timedelta(days=7)).month != day.month
    return (day.day - 1) // 7 + 1 == rule.nth


def _existing(naive: datetime, zone: ZoneInfo) -> datetime:
    """Local time to a moment: in a gap of summer time its end, in a fold its first passing."""
    while (moment := naive.replace(tzinfo=zone)).astimezone(UTC).astimezone(zone).replace(tzinfo=None) != naive:
        naive += timedelta(minutes=1)
    return moment


def _micros(moment: datetime) -> int:
    return int(moment.timestamp()) * MICROSECONDS


def is_open(window: Window, now_us: int) -> bool:
    """Whether a window is open now: its single span, or one that its rule began."""
    if window.start_us is not None:
        return window.start_us <= now_us < (window.end_us or now_us)
    begun = next_due(window.every, now_us - int(window.duration_seconds * MICROSECONDS))
    return begun is not None and begun <= now_us


def is_ahead(at_us: int, now_us: int) -> bool:
    """Whether something that has happened is dated so far ahead that the clock must have been set back since."""
    return at_us > now_us + int(AHEAD_SECONDS * MICROSECONDS)


def next_opening(window: Window, now_us: int) -> int | None:
    """When a window that is closed now opens next (µs UTC); None when it never does again."""
    if window.start_us is not None:
        return window.start_us if now_us < window.start_us else None
    return next_due(window.every, now_us)


def silence(windows: Iterable[Window], service: str, host: str | None, now_us: int) -> str:
    """The id of the first open window that silences this service's checks on this host, or ""."""
    for window in _about(windows, WindowKind.SILENCE, service, host):
        if is_open(window, now_us):
            return window.item
    return ""


def _about(windows: Iterable[Window], kind: WindowKind, service: str, host: str | None) -> Iterator[Window]:
    """The windows of this kind over that service on that host."""
    for window in windows:
        if window.kind is kind and window.service in {service, ""} and (not window.hosts or host in window.hosts):
            yield window


def change_window(windows: Iterable[Window], service: str, host: str, since_us: int, until_us: int) -> str:
    """The id of the first window for changes of this service on this host that was open within a span, or ""."""
    for window in _about(windows, WindowKind.CHANGE, service, host):
        if was_open(window, since_us, until_us):
            return window.item
    return ""


def was_open(window: Window, since_us: int, until_us: int) -> bool:
    """Whether a window was open at any moment of a span, both ends included."""
    if window.start_us is not None:
        return window.start_us <= until_us and since_us < (window.end_us or window.start_us)
    begun = next_due(window.every, since_us - int(window.duration_seconds * MICROSECONDS))
    return begun is not None and begun <= until_us


def upcoming(cadence: Cadence, after_us: int, until_us: int | None, limit: int = 100) -> tuple[int, ...]:
    """The moments within a span (None: without an end), at most `limit` of them."""
    found: list[int] = []
    moment = next_due(cadence, after_us)
    while moment is not None and (until_us is None or moment <= until_us) and len(found) < limit:
        found.append(moment)
        moment = next_due(cadence, moment)
    return tuple(found)


def shortest_seconds(cadence: Cadence, now_us: int) -> float:
    """How long at most one has to wait between two moments of the next ten: the beat of a check."""
    if all(isinstance(rule, Every) for rule in cadence):
        return min(rule.seconds for rule in cadence if isinstance(rule, Every))
    moments = upcoming(cadence, now_us, None, limit=10)
    gaps = [(later - earlier) / MICROSECONDS for earlier, later in pairwise(moments)]
    return max(gaps, default=86400.0)


def splay_seconds(key: str, most_seconds: float) -> float:
    """A key's own share of a splay: always the same, spread evenly over the keys."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64 * most_seconds
