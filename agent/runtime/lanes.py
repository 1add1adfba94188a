"""The places for looks under way: so many at once, so many in one subnet; who proves slow waits apart from the others."""

import asyncio
import functools
import ipaddress
from collections.abc import Sequence

from agent.clock import NANOSECONDS, Clock
from agent.transports.beats import quarters

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

    def place(self, name: str, address: str | None) -> "Place":
        """A place for a look at something of this name and address: `async with` waits for it, and holds it."""
        is_slow = name in self._was_slow
        rooms = (*self._subnet(address, is_slow=is_slow), self._slow if is_slow else self._fast)
        return Place(self, name, rooms, None if is_slow else self._patience_seconds)

    def now(self) -> int:
        """When a look begins or ends, ns."""
        return self._clock.boottime()

    def may_move(self) -> bool:
        """Whether one more look may go on without its place, which is counted then."""
        is_allowed = self._moved < MOVED_AT_ONCE
        self._moved += is_allowed
        return is_allowed

    def left(self, name: str, took_ns: int, *, is_moved: bool) -> None:
        """A look is over: in which lane the next at the same thing starts."""
        self._moved -= is_moved
        (self._was_slow.add if took_ns > self._patience_seconds * NANOSECONDS else self._was_slow.discard)(name)

    def _subnet(self, address: str | None, *, is_slow: bool) -> list[asyncio.Semaphore]:
        subnet = subnet_of(address)
        if not subnet:
            return []
        return [self._subnets.setdefault((subnet, is_slow), asyncio.Semaphore(SUBNET_AT_ONCE))]


class Place:
    """What one look holds: room in its subnet, then room in its lane. Given back once, early by who is not patient enough."""

    __slots__ = ("_beat", "_begun_ns", "_held", "_is_moved", "_lanes", "_name", "_patience_seconds", "_rooms")

    def __init__(
        self, lanes: Lanes, name: str, rooms: Sequence[asyncio.Semaphore], patience_seconds: float | None
    ) -> None:
        self._lanes, self._name, self._rooms, self._patience_seconds = lanes, name, rooms, patience_seconds
        self._held: list[asyncio.Semaphore] = []
        self._is_moved = False

    async def __aenter__(self) -> None:
        try:
            for room in self._rooms:
                await room.acquire()
                self._held.append(room)
        except BaseException:
            self._give_back()
            raise
        self._begun_ns = self._lanes.now()
        self._beat = None if self._patience_seconds is None else quarters().put(self, self._patience_seconds)

    async def __aexit__(self, *_: object) -> None:
        if self._beat is not None:
            quarters().take(self, self._beat)
        self._give_back()
        self._lanes.left(self._name, self._lanes.now() - self._begun_ns, is_moved=self._is_moved)

    def wake(self) -> None:
        """It takes long: let the next one in, although this look goes on."""
        if self._held and self._lanes.may_move():
            self._is_moved = True
            self._give_back()

    def _give_back(self) -> None:
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
