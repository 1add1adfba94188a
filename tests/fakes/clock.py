"""A clock that moves when told to: the fault is a wall clock that jumps, which a test cannot do to the machine."""

import dataclasses

from agent.clock import NANOSECONDS


@dataclasses.dataclass
class ToldClock:
    """Wall and boot clock of a machine that was up for a day."""

    now_us: int = 1_764_000_000_000_000
    boottime_ns: int = 86_400 * NANOSECONDS
    boot_id: str = "0d4b7b0e-0000-4000-8000-000000000000"

    def now(self) -> int:
        """Wall time."""
        return self.now_us

    def boottime(self) -> int:
        """Time since boot."""
        return self.boottime_ns

    async def sleep_until(self, boottime_ns: int) -> None:
        """Time passes at once."""
        self.pass_seconds(max(0.0, (boottime_ns - self.boottime_ns) / NANOSECONDS))

    def pass_seconds(self, seconds: float) -> None:
        """Time passes on both clocks."""
        self.boottime_ns += int(seconds * NANOSECONDS)
        self.now_us += int(seconds * 1_000_000)

    def step_seconds(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.now_us += int(seconds * 1_000_000)
