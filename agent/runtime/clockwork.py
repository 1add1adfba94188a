"""One clockwork for all that a daemon does again and again; who has nothing to do costs no task and no turn."""

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Sequence

from agent.clock import NANOSECONDS, Clock
from agent.runtime.heartbeat import Heartbeat
from agent.runtime.workers import guard, guarded

logger = logging.getLogger(__name__)
LENIENT_SECONDS = 30.0  # so much longer than planned a turn may take before the agent says that it hangs


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Duty:
    """What is to be done every so many seconds. `turn` does at once what takes no time, and returns what is to be awaited.

    `idle_seconds` is how long it rests after a turn in which there was nothing to do, if that is longer.
    `lenient_seconds` is how long a turn may take before it is called hanging: longer than whatever it waits for.
    """

    name: str
    seconds: float
    turn: Callable[[], Awaitable[object] | None]
    idle_seconds: float = 0.0
    lenient_seconds: float = LENIENT_SECONDS


class Clockwork:
    """Turns every duty when it is due, each beside the others; one that is still under way is not begun again."""

    def __init__(self, clock: Clock, heartbeat: Heartbeat, duties: Sequence[Duty]) -> None:
        self._clock = clock
        self._heartbeat = heartbeat
        self._due: dict[Duty, int] = dict.fromkeys(duties, 0)
        self._under_way: dict[Duty, asyncio.Task[None]] = {}
        for duty in duties:
            heartbeat.expect(duty.name, within_seconds=duty.lenient_seconds + 4 * duty.seconds)

    async def keep(self) -> None:
        """Turn the duties until cancelled."""
        while True:
            await self._clock.sleep_until(self.beat())

    def beat(self) -> int:
        """Begin what is due now; when the next is due, on the boot clock, ns. What is under way by then waits for others."""
        now_ns = self._clock.boottime()
        for duty, due_ns in self._due.items():
            if now_ns >= due_ns and duty not in self._under_way:
                is_busy = self._begin(duty)
                every_ns = int((duty.seconds if is_busy else max(duty.seconds, duty.idle_seconds)) * NANOSECONDS)
                self._due[duty] = (now_ns // every_ns + 1) * every_ns
        free = [due_ns for duty, due_ns in self._due.items() if duty not in self._under_way]
        return min(free, default=now_ns + NANOSECONDS)

    async def finish(self, seconds: float) -> None:
        """Wait for the turns under way, so long and no longer: half a delivery would be sent again."""
        if self._under_way:
            await asyncio.wait(self._under_way.values(), timeout=seconds)

    def _begin(self, duty: Duty) -> bool:
        """Whether there is something to do."""
        rest = guarded(f"duty {duty.name}", duty.turn, otherwise=lambda _: None)
        if rest is None:
            self._heartbeat.stamp(duty.name)
        else:
            task = asyncio.get_running_loop().create_task(self._await(duty, rest))
            self._under_way[duty] = task
        return rest is not None

    async def _await(self, duty: Duty, rest: Awaitable[object]) -> None:
        await guard(f"duty {duty.name}", rest, otherwise=lambda _: None)
        self._heartbeat.stamp(duty.name)
        del self._under_way[duty]
