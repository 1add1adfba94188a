"""What is due when: buckets of interval and slot, ticked by the library `schedule` on the boot clock.

The library's own clock is the wall's, one raising job starves the others, and its next run drifts; hence the subclass:
due = slot + k x interval on the boot clock, jobs only name a bucket, and nothing is run twice to catch up.
"""

import hashlib
import heapq
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import schedule

from agent.clock import NANOSECONDS, Clock
from agent.model.cadence import Every
from agent.model.check import Check
from agent.practices import calendar
from agent.runtime.agenda import Agenda

LONG_SECONDS = 3600.0  # above, intervals are aligned to the wall clock and computed like the calendar
SLOTS = 120  # so many phases an interval has at the most
SLOT_SECONDS = 0.5  # and none is shorter: each at which something is due wakes the agent up
Batches = list[tuple[str | None, list[Check]]]
ByHost = dict[str | None, dict[str, Check]]
STEP_US = 2_000_000  # a wall clock that differs by more from the boot clock than before has been set


class Ticker(schedule.Scheduler):
    """`schedule` with jobs that are due by the boot clock.

    The library asks every job at every tick; here they are a heap, and only those that are due are touched.
    """

    jobs: list["Beat"]  # type: ignore[assignment]  # the library's own list, of our own jobs

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def run_pending(self) -> None:
        """Run the jobs whose moment has come, the earliest first."""
        now_ns = self.clock.boottime()
        while self.jobs and self.jobs[0].due_ns <= now_ns:
            job = heapq.heappop(self.jobs)
            try:
                self._run_job(job)
            finally:
                heapq.heappush(self.jobs, job)

    def bucket(self, seconds: float, phase_seconds: float, work: Callable[[], None]) -> "Beat":
        """A job every `seconds`, at `phase_seconds` into each interval."""
        beat = Beat(seconds, phase_seconds, self)
        beat.do(work)
        heapq.heapify(self.jobs)
        return beat

    def cancel_job(self, job: schedule.Job) -> None:
        """Take a job out."""
        super().cancel_job(job)
        heapq.heapify(self.jobs)


class Beat(schedule.Job):
    """A job whose due time is slot + k x interval, in nanoseconds of the boot clock."""

    def __init__(self, seconds: float, phase_seconds: float, ticker: Ticker) -> None:
        super().__init__(1, ticker)
        self.unit = "seconds"
        self.period = timedelta(seconds=seconds)
        self._ticker = ticker
        self._step_ns = int(seconds * NANOSECONDS)
        self._phase_ns = int(phase_seconds * NANOSECONDS) % self._step_ns
        self.due_ns = 0

    def __lt__(self, other: Any) -> bool:
        """The library runs the earliest first."""
        return bool(self.due_ns < other.due_ns)

    @property
    def should_run(self) -> bool:
        """Whether its moment has come."""
        return self._ticker.clock.boottime() >= self.due_ns

    def run(self) -> Any:
        """Its next moment is set before it runs, so that one that raises comes again in its turn and starves nobody."""
        self._schedule_next_run()
        return self.job_func() if self.job_func else None

    def _schedule_next_run(self) -> None:
        now_ns = self._ticker.clock.boottime()
        steps = (now_ns - self._phase_ns) // self._step_ns + 1
        self.due_ns = self._phase_ns + steps * self._step_ns


def phase(host: str | None, seconds: float) -> float:
    """A host's place in an interval: always the same, so that a restart moves nothing and hosts spread."""
    slots = max(1, min(SLOTS, int(seconds / SLOT_SECONDS)))
    slot = int.from_bytes(hashlib.sha256((host or "").encode()).digest()[:8]) % slots
    return slot * seconds / slots


class Scheduler:
    """Knows for every check when it is due; `take` gives what has come due, each check once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ticker = Ticker(clock)
        self._due: ByHost = {}
        self._members: dict[tuple[float, float], ByHost] = {}
        self._beats: dict[tuple[float, float], Beat] = {}
        self._places: dict[str, tuple[float, float]] = {}
        self._calendar = Agenda()
        self._retrying: set[str] = set()
        self._ahead_us = self._wall_ahead_us()
        self._checks: dict[str, Check] = {}

    def adopt(self, checks: Iterable[Check], *, soon: Iterable[str] = ()) -> None:
        """Take a set of checks; those that stay as they were are not moved, those in `soon` are due at once."""
        wanted = {check.key: check for check in checks}
        for key in [key for key in self._checks if key not in wanted]:
            self._leave(key)
            gone = self._checks.pop(key)
            self._due.get(gone.host, {}).pop(key, None)
            self._retrying.discard(key)
        for key, check in wanted.items():
            known = self._checks.get(key)
            self._checks[key] = check
            if known is None or known.every != check.every:
                self._retrying.discard(key)
                self._leave(key)
                self._place(check)
            elif known is not check:
                self._refer_to(check)
        for key in soon:
            self.now(key)

    def hurry(self, key: str, *, retrying: bool) -> None:
        """Let a check join the bucket of its retry interval, or return to its own."""
        if not retrying and key not in self._retrying:
            return  # as nearly always: it is in its own
        check = self._checks.get(key)
        if check is None:
            return
        interval = _interval(check)
        if retrying and (interval is None or check.retry_every_seconds < interval):
            self._retrying.add(key)
            self._join(key, check.retry_every_seconds, phase(check.host, check.retry_every_seconds))
        else:
            self._retrying.discard(key)
            self._place(check)

    def now(self, key: str) -> None:
        """Make a check due at once."""
        if (check := self._checks.get(key)) is not None:
            self._due.setdefault(check.host, {})[key] = check

    def take(self) -> Batches:
        """What has come due since the last time, each check once; one unit of polling is one host."""
        self._ticker.run_pending()
        now_us = self._clock.now()
        for key in tuple(self._calendar.take(now_us)):
            self.now(key)
            self._plan(self._checks[key], now_us)
        if self._was_set():
            for key in self._calendar.moments():
                self._plan(self._checks[key], now_us)
        taken, self._due = self._due, {}
        return [(host, list(checks.values())) for host, checks in taken.items() if checks]

    def places(self) -> dict[str, tuple[float, float]]:
        """Where each check stands that runs in slots: its interval and its phase, in seconds."""
        return dict(self._places)

    def size(self) -> int:
        """How many checks are kept."""
        return len(self._checks)

    def _wall_ahead_us(self) -> int:
        return self._clock.now() - self._clock.boottime() // 1_000

    def _was_set(self) -> bool:
        """Whether the wall clock was set since the last time: then what the calendar planned means nothing."""
        ahead_us = self._wall_ahead_us()
        if abs(ahead_us - self._ahead_us) <= STEP_US:
            return False
        self._ahead_us = ahead_us
        return True

    def _place(self, check: Check) -> None:
        interval = _interval(check)
        if interval is None and check.key not in self._calendar:  # what is planned stands until it was taken
            self._leave(check.key)
            self._plan(check, self._clock.now())
        elif interval is not None:
            self._join(check.key, interval, phase(check.host, interval))

    def _plan(self, check: Check, now_us: int) -> None:
        following = calendar.next_due(check.every, now_us)
        self._calendar.drop(check.key)
        if following is not None:
            self._calendar.put(check.key, following)

    def _join(self, key: str, seconds: float, phase_seconds: float) -> None:
        place = (seconds, phase_seconds)
        if self._places.get(key) == place:
            return
        self._leave(key)
        self._calendar.drop(key)
        self._places[key] = place
        if place not in self._beats:
            self._members[place] = {}
            self._beats[place] = self._ticker.bucket(seconds, phase_seconds, lambda: self._come(place))
        check = self._checks[key]
        self._members[place].setdefault(check.host, {})[key] = check

    def _leave(self, key: str) -> None:
        self._calendar.drop(key)
        place = self._places.pop(key, None)
        if place is None:
            return
        host = self._checks[key].host
        del self._members[place][host][key]
        if not self._members[place][host]:
            del self._members[place][host]
        if not self._members[place]:
            self._ticker.cancel_job(self._beats.pop(place))
            del self._members[place]

    def _refer_to(self, check: Check) -> None:
        """It stands where it stood, but was edited otherwise."""
        if (place := self._places.get(check.key)) is not None:
            self._members[place][check.host][check.key] = check
        if check.key in self._due.get(check.host, {}):
            self._due[check.host][check.key] = check

    def _come(self, place: tuple[float, float]) -> None:
        for host, checks in self._members.get(place, {}).items():
            self._due.setdefault(host, {}).update(checks)


def _interval(check: Check) -> float | None:
    """The one interval of a check that runs in slots; None when the calendar decides."""
    if len(check.every) == 1 and isinstance(rule := check.every[0], Every) and rule.seconds <= LONG_SECONDS:
        return rule.seconds
    return None


def batches(checks: Iterable[Check]) -> Batches:
    """Checks by host."""
    found: dict[str | None, list[Check]] = {}
    for check in checks:
        found.setdefault(check.host, []).append(check)
    return sorted(found.items(), key=lambda pair: pair[0] or "")
