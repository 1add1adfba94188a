"""The only seam for time: wall clock in UTC microseconds, a monotonic clock that counts suspend, and waiting."""

import dataclasses
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

MICROSECONDS = 1_000_000
NANOSECONDS = 1_000_000_000


class Clock(Protocol):
    """What the agent may know about time."""

    @property
    def boot_id(self) -> str:
        """The kernel's id of this boot; a boottime means nothing under another one."""

    def now(self) -> int:
        """Wall time, microseconds since the Unix epoch, UTC. For stamps and calendars, never for durations."""

    def boottime(self) -> int:
        """Nanoseconds since boot, suspend included (CLOCK_BOOTTIME, clock_gettime(2)). For every duration and deadline."""

    async def sleep_until(self, boottime_ns: int) -> None:
        """Return once `boottime()` has reached the given nanoseconds."""


class SystemClock:
    """The kernel's clocks."""

    def __init__(self) -> None:
        self._boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()

    @property
    def boot_id(self) -> str:
        """The kernel's id of this boot."""
        return self._boot_id

    def now(self) -> int:
        """Wall time in microseconds UTC."""
        return time.time_ns() // 1_000

    def boottime(self) -> int:
        """Nanoseconds since boot, suspend included."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    async def sleep_until(self, boottime_ns: int) -> None:
        """Sleep in slices: the event loop's own clock stands still while the machine is suspended."""
        import asyncio  # whoever waits so has it already; short jobs do not need it

        while (remaining := boottime_ns - self.boottime()) > 0:  # noqa: ASYNC110  time itself is awaited
            await asyncio.sleep(min(remaining / NANOSECONDS, 60.0))


@dataclasses.dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the boot clock by which something must be over."""

    clock: Clock
    at_ns: int

    @classmethod
    def after(cls, clock: Clock, seconds: float) -> "Deadline":
        """The deadline `seconds` from now."""
        return cls(clock, clock.boottime() + int(seconds * NANOSECONDS))

    def remaining_seconds(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, (self.at_ns - self.clock.boottime()) / NANOSECONDS)

    def is_over(self) -> bool:
        """Whether the time is up."""
        return self.clock.boottime() >= self.at_ns


def rfc3339(at_us: int | None) -> str | None:
    """Microseconds UTC as RFC 3339 text with `Z`, to the microsecond; None stays None."""
    if at_us is None:
        return None
    return datetime.fromtimestamp(at_us / MICROSECONDS, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
