"""One clockwork for all that a daemon does again and again; who has nothing to do costs no task and no turn."""

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Sequence

from agent.clock import NANOSECONDS, Clock
from agent.runtime.heartbeat import Heartbeat
from agent.runtime.workers import guard, guarded

logger = logging.getLogger(__name__)
BEAT_SECONDS = 0.25  # the slots of checks lie on whole multiples of it; every duty comes up on one of them
LENIENT_SECONDS = 30.0  # so much longer than planned a turn may take before the agent says that it hangs


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Duty:
    """What is to be done every so many seconds. `turn` does at once what takes no time, and returns what is to be awaited.

    `lenient_seconds` is how long a turn may take before it is called hanging: longer than whatever it waits for.
    """

    name: str
    seconds: float
    turn: Callable[[], Awaitable[object] | None]
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
        beat_ns = int(BEAT_SECONDS * NANOSECONDS)
        while True:
            self.beat()
            await self._clock.sleep_until((self._clock.boottime() // beat_ns + 1) * beat_ns)

    def beat(self) -> None:
        """Begin what is due now."""
        now_ns = self._clock.boottime()
        for duty, due_ns in self._due.items():
            if now_ns >= due_ns and duty not in self._under_way:
                every_ns = int(duty.seconds * NANOSECONDS)
                self._due[duty] = (now_ns // every_ns + 1) * every_ns
                self._begin(duty)

    async def finish(self, seconds: float) -> None:
        """Wait for the turns under way, so long and no longer: half a delivery would be sent again."""
        if self._under_way:
            await asyncio.wait(self._under_way.values(), timeout=seconds)

    def _begin(self, duty: Duty) -> None:
        rest = guarded(f"duty {duty.name}", duty.turn, otherwise=lambda _: None)
        if rest is None:
            self._heartbeat.stamp(duty.name)
        else:
            task = asyncio.get_running_loop().create_task(self._await(duty, rest))
            self._under_way[duty] = task

    async def _await(self, duty: Duty, rest: Awaitable[object]) -> None:
        await guard(f"duty {duty.name}", rest, otherwise=lambda _: None)
        self._heartbeat.stamp(duty.name)
        del self._under_way[duty]
