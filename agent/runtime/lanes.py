"""The places for looks under way: so many at once, so many in one subnet; who proves slow waits apart from the others."""

import asyncio
import contextlib
import functools
import ipaddress
from collections.abc import AsyncIterator

from agent.clock import NANOSECONDS, Clock

AT_ONCE = 64  # looks at hosts that answer soon: at a second each, four thousand a minute
SUBNET_AT_ONCE = 32  # of these in one subnet: a firewall or a line between must bear them all
PATIENCE_SECONDS = 2.0  # a look that takes longer gives its place to the next, and starts in the slow lane next time
SLOW_AT_ONCE = 64  # looks that start in the slow lane: a dead host takes up to 20 s to be known as that
MOVED_AT_ONCE = 96  # looks that gave their place away and go on: each holds a thread, so beyond this they keep it


class Lanes:
    """Two lanes, each with its own places; nobody in the fast one waits for who was slow the last time."""

    def __init__(self, clock: Clock, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._clock = clock
        self._patience_seconds = patience_seconds
        self._fast = asyncio.Semaphore(AT_ONCE)
        self._slow = asyncio.Semaphore(SLOW_AT_ONCE)
        self._subnets: dict[tuple[str, bool], asyncio.Semaphore] = {}
        self._was_slow: set[str] = set()
        self._moved = 0  # looks that go on without a place

    @contextlib.asynccontextmanager
    async def place(self, name: str, address: str | None) -> AsyncIterator[None]:
        """Wait for a place for a look at something of this name and address; hold it while the block lasts."""
        is_slow = name in self._was_slow
        place = _Place([*self._subnet(address, is_slow=is_slow), self._slow if is_slow else self._fast])
        await place.take()
        begun_ns = self._clock.boottime()
        timer = None if is_slow else asyncio.get_running_loop().call_later(self._patience_seconds, self._move, place)
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()
            self._moved -= place.is_moved
            place.give_back()
            took_ns = self._clock.boottime() - begun_ns
            (self._was_slow.add if took_ns > self._patience_seconds * NANOSECONDS else self._was_slow.discard)(name)

    def _move(self, place: "_Place") -> None:
        """Let the next one in, although this look goes on."""
        if self._moved < MOVED_AT_ONCE:
            self._moved += 1
            place.is_moved = True
            place.give_back()

    def _subnet(self, address: str | None, *, is_slow: bool) -> list[asyncio.Semaphore]:
        subnet = subnet_of(address)
        if not subnet:
            return []
        return [self._subnets.setdefault((subnet, is_slow), asyncio.Semaphore(SUBNET_AT_ONCE))]


class _Place:
    """What one look holds: room in its subnet, then room in its lane. Given back once."""

    def __init__(self, rooms: list[asyncio.Semaphore]) -> None:
        self._rooms = rooms
        self._held: list[asyncio.Semaphore] = []
        self.is_moved = False

    async def take(self) -> None:
        """Wait for all of it."""
        try:
            for room in self._rooms:
                await room.acquire()
                self._held.append(room)
        except BaseException:
            self.give_back()
            raise

    def give_back(self) -> None:
        """Let others in."""
        held, self._held = self._held, []
        for room in held:
            room.release()


@functools.lru_cache(maxsize=10_000)
def subnet_of(address: str | None) -> str:
    """The /24 or /64 of an address; "" for names, and for what has none."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return ""
    return str(ipaddress.ip_network((parsed, 24 if parsed.version == 4 else 64), strict=False))
