"""Reloading beside all else: an inventory that is slow or broken, a store that is full for a moment."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.app import Builder
from agent.clock import SystemClock
from agent.errors import StoreError
from agent.runtime.agent import Agent
from agent.runtime.orders import Orders
from agent.runtime.reload import CAUSE
from agent.runtime.rota import NEW_PER_TURN, Rota
from agent.store import incidents
from tests.fakes.clock import ToldClock

POLICY = "version: 1\nservice: shop\nhosts: here\nchecks:\n  one: {command: {command: 'true'}}\n"
MORE = POLICY + "  two: {command: {command: 'true'}}\n"


class Home:
    """A configuration with a program as its inventory, and the agents that are started there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, ToldClock(boot_id=SystemClock().boot_id)
        self.full = 0
        self.started: list[Agent] = []
        self.write(
            "config.yaml", "{version: 1, name: w, owner: o, teams: {o: {members: []}}, inventory: inventory/hosts}"
        )
        self.write("policies/shop.yaml", POLICY)
        self.inventory(f"touch {folder}/asked; while test -e {folder}/slow; do sleep 0.05; done")

    def write(self, name: str, text: str, mode: int = 0o600) -> None:
        path = self.folder / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def inventory(self, first: str) -> None:
        answer = '{"all": {"hosts": ["here"]}, "_meta": {"hostvars": {"here": {"ansible_connection": "local"}}}}'
        self.write("inventory/hosts", f"#!/bin/sh\n{first}\necho '{answer}'\n", 0o700)

    def agent(self) -> Agent:
        home = self

        class Told(Builder):
            def clock(self) -> ToldClock:
                return home.clock

        self.started.append(Told(self.folder / "config.yaml", failpoint=self.point).agent(migrate=True))
        return self.started[-1]

    def point(self, name: str) -> None:
        if name == "in-reload" and self.full:
            self.full -= 1
            raise StoreError("database or disk is full", hint="make room")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    yield made
    for agent in made.started:
        agent.close()


async def until(is_so: Callable[[], bool]) -> None:
    ends_ns = SystemClock().boottime() + 60 * 10**9
    while not is_so():
        assert SystemClock().boottime() < ends_ns, "it takes too long"
        await asyncio.sleep(0.02)


def test_an_inventory_that_is_slow_keeps_nothing_from_being_written(home: Home) -> None:
    """What looks at hosts goes on meanwhile, with its states and incidents."""
    agent = home.agent()
    slow, asked = home.folder / "slow", home.folder / "asked"

    async def reloading() -> None:
        orders = Orders(agent, Rota(agent))
        slow.touch()
        asked.unlink()
        orders.reload_soon()
        turn = asyncio.create_task(orders.turn(is_news=False))
        try:
            await until(asked.exists)
            await asyncio.wait_for(agent.workers.write(lambda: None), 5.0)
        finally:
            slow.unlink()
            await turn

    asyncio.run(reloading())


def test_a_reload_that_could_not_be_written_down_is_done_a_little_later(home: Home) -> None:
    agent = home.agent()
    orders = Orders(agent, Rota(agent))
    home.write("policies/shop.yaml", MORE)
    orders.reload_soon()
    home.full = 1
    with pytest.raises(StoreError):
        asyncio.run(orders.turn(is_news=False))
    assert not orders.are_files_news(), "not at once"
    home.clock.pass_seconds(60)
    assert orders.are_files_news()
    asyncio.run(orders.turn(is_news=False))
    assert "shop/checks/two@here" in agent.book.policies.checks


def test_the_agent_starts_with_the_last_good_inventory_when_its_program_fails(home: Home) -> None:
    home.agent().close()
    home.started.clear()
    home.inventory("exit 1")
    agent = home.agent()
    assert "shop/checks/one@here" in agent.book.policies.checks
    with agent.store.read() as reader:
        told = incidents.open_of(reader, CAUSE)
    assert told is not None
    assert "config.yaml" in told.why
    assert "inventory" in told.why


def test_a_fleet_that_is_new_is_met_in_turn_and_not_at_once(home: Home) -> None:
    many = "".join(
        f"  look-{number}: {{tcp: {{host: 127.0.0.1, port: 1}}}}\n" for number in range(2 * NEW_PER_TURN + 3)
    )
    home.write("policies/shop.yaml", f"version: 1\nservice: shop\nhosts: none\nchecks:\n{many}")
    agent = home.agent()

    async def meeting() -> list[int]:
        rota = Rota(agent)
        rota.adopt()
        seen = []
        for share in (NEW_PER_TURN, NEW_PER_TURN, 3, 0):
            rota.turn()
            wanted = rota.looked + share
            await until(lambda: rota.looked >= wanted)  # noqa: B023  over before it changes
            seen.append(rota.looked)
        return seen

    assert asyncio.run(meeting()) == [NEW_PER_TURN, 2 * NEW_PER_TURN, 2 * NEW_PER_TURN + 3, 2 * NEW_PER_TURN + 3]
