"""Lanes: the dead and the slow wait for one another, never the healthy for them; and no subnet is overrun."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import pytest

from agent.clock import SystemClock
from agent.runtime import lanes
from agent.runtime.lanes import Lanes, subnet_of

PATIENCE = 0.05


class World:
    """Looks that last until they are let go."""

    def __init__(self) -> None:
        self.lanes = Lanes(SystemClock(), patience_seconds=PATIENCE)
        self.begun: list[str] = []
        self.over = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    async def _look(self, name: str, address: str | None, ending: asyncio.Event | None) -> None:
        async with self.lanes.place(name, address):
            self.begun.append(name)
            if ending is not None:
                await ending.wait()

    def hang(self, names: Iterable[str], address: str | None = None) -> None:
        self.tasks += [asyncio.create_task(self._look(name, address, self.over)) for name in names]

    async def look(self, name: str, address: str | None = None) -> None:
        """A look that ends at once; TimeoutError when it finds no place."""
        async with asyncio.timeout(5):
            await self._look(name, address, None)

    async def until(self, count: int) -> None:
        """Return once so many looks have begun."""
        async with asyncio.timeout(5):
            while len(self.begun) < count:  # noqa: ASYNC110  a place may come from any of them
                await asyncio.sleep(0)

    async def end(self) -> None:
        self.over.set()
        await asyncio.gather(*self.tasks)


def played(story: Callable[[World], Awaitable[None]]) -> None:
    async def play() -> None:
        world = World()
        await story(world)
        await world.end()
        assert await lone(world), "every place was given back"

    asyncio.run(play())


async def lone(world: World) -> bool:
    """Whether as many looks as there are places can begin at once."""
    world.over = asyncio.Event()
    world.begun.clear()
    world.hang(f"late-{number}" for number in range(lanes.AT_ONCE))
    await world.until(lanes.AT_ONCE)
    await world.end()
    return True


def test_dead_hosts_give_their_places_to_the_healthy_after_a_while() -> None:
    async def story(world: World) -> None:
        world.hang(f"dead-{number}" for number in range(lanes.AT_ONCE + 10))
        await world.until(lanes.AT_ONCE)
        assert len(world.begun) == lanes.AT_ONCE, "no more at once"
        await world.look("healthy")
        assert len(world.begun) == lanes.AT_ONCE + 11

    played(story)


def test_who_was_slow_waits_in_a_lane_of_its_own_from_then_on_until_it_answers_in_time() -> None:
    async def story(world: World) -> None:
        dead = [f"dead-{number}" for number in range(lanes.SLOW_AT_ONCE + 10)]
        world.hang(dead)
        await world.until(len(dead))
        await asyncio.sleep(2 * PATIENCE)  # the last ones too have been waited for in vain
        await world.end()
        world.over, world.begun = asyncio.Event(), []
        world.hang(dead)  # all at once, and before the healthy
        await world.until(lanes.SLOW_AT_ONCE)
        for number in range(2 * lanes.AT_ONCE):
            await world.look(f"healthy-{number}")
        assert [name for name in world.begun if name.startswith("dead")] == dead[: lanes.SLOW_AT_ONCE]
        world.over.set()
        await world.until(len(dead) + 2 * lanes.AT_ONCE)

    played(story)


def test_no_more_looks_than_there_are_threads_go_on_without_a_place() -> None:
    async def story(world: World) -> None:
        most = lanes.AT_ONCE + lanes.MOVED_AT_ONCE
        world.hang(f"dead-{number}" for number in range(most + 10))
        await world.until(most)
        await asyncio.sleep(2 * PATIENCE)
        assert len(world.begun) == most

    played(story)


def test_a_subnet_takes_no_more_than_its_share_and_holds_up_no_other() -> None:
    async def story(world: World) -> None:
        world.lanes = Lanes(SystemClock(), patience_seconds=60)
        world.hang((f"near-{number}" for number in range(lanes.AT_ONCE)), "192.0.2.7")
        await world.until(lanes.SUBNET_AT_ONCE)
        await world.look("far", "198.51.100.7")
        await world.look("named", "db1.example.org")
        assert len(world.begun) == lanes.SUBNET_AT_ONCE + 2

    played(story)


def test_who_is_told_to_stop_while_it_waits_leaves_nothing_taken() -> None:
    async def story(world: World) -> None:
        world.lanes = Lanes(SystemClock(), patience_seconds=60)
        world.hang((f"one-{number}" for number in range(lanes.AT_ONCE + 5)), "192.0.2.7")
        await world.until(lanes.SUBNET_AT_ONCE)
        for task in world.tasks:
            task.cancel()
        await asyncio.gather(*world.tasks, return_exceptions=True)
        world.tasks.clear()

    played(story)


@pytest.mark.parametrize(
    ("address", "subnet"),
    [
        ("192.0.2.7", "192.0.2.0/24"), ("2001:db8::7", "2001:db8::/64"),
        ("db1.example.org", ""), ("", ""), (None, ""),
    ],
)  # fmt: skip
def test_a_subnet_is_what_one_line_or_firewall_usually_stands_before(address: str | None, subnet: str) -> None:
    assert subnet_of(address) == subnet
