"""full_in on a real store: made for checks whose bounds ask for it, out of their samples and of what was seen since."""

import asyncio
import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.model.check import Check
from agent.model.host import Host
from agent.model.look import Look, Result, Verdict
from agent.model.state import Instance
from agent.practices import events
from agent.practices.forecast import DAY_US, HOUR_US
from agent.runtime.book import Book
from agent.runtime.foresight import Foresight
from agent.runtime.workers import Workers
from agent.store import packing, samples
from agent.store.engine import Store
from agent.store.samples import TENTH_US, Batch, Catalogue, Name
from tests.fakes import policies

ASKING, OTHER = "shop/checks/disks@web-1", "shop/checks/root@web-1"
POLICY = """version: 1
service: shop
hosts: web-1
checks:
  disks: {disk: {match: all}, crit: {full_in: below 24h}}
  root: {disk: /, crit: {used: above 90%}}
  inodes: {inodes: {match: all}, warn: {full_in: below 7d}}
"""
SIZE = 100e9
START_US = 20_000 * DAY_US
MINUTE_US = 60_000_000


@dataclasses.dataclass
class World:
    """A looker that sees two file systems of one check; `free` is that of /srv, the other never changes."""

    at_us: int = START_US
    free: float = SIZE

    async def look(self, _host: Host | None, checks: Sequence[Check]) -> list[Result]:
        instances = {"/": seen("/", SIZE / 2), "/srv": seen("/srv", self.free)}
        look = Look(verdict=Verdict.OK, summary=instances["/srv"].summary, instances=instances)
        return [Result(key=check.key, begun_us=self.at_us, ended_us=self.at_us, look=look) for check in checks]


def seen(name: str, free: float) -> Look:
    """One file system."""
    return Look(verdict=Verdict.OK, summary=f"{name}: seen", metrics={"used": 1 - free / SIZE, "free": free})


@dataclasses.dataclass(frozen=True)
class Scene:
    """A store, policies in force, and who looks."""

    world: World
    foresight: Foresight
    store: Store
    book: Book

    def look(self, key: str = ASKING) -> Look:
        [result] = asyncio.run(self.foresight.look(None, [self.book.policies.checks[key]]))
        return result.look

    def full_in(self, mount: str = "/srv", key: str = ASKING) -> float | None:
        found = self.look(key).instances[mount].metrics.get("full_in")
        assert not isinstance(found, str)
        return found


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    found = policies.load_with(policies.new_home(tmp_path / "home"), {"shop.yaml": POLICY})
    assert found.policies is not None, found.problems
    store = Store.open(tmp_path / "state", SystemClock(), migrate=True)
    book, workers, world = Book(store), Workers(2), World()
    book.adopt(found.policies, 1)
    yield Scene(world, Foresight(world, store, book, workers), store, book)
    workers.close()
    store.close()


def remember(scene: Scene, days: int, daily: float) -> None:
    """So many days of samples, of a file system that fills by so much each day."""
    names = [Name(ASKING, "/srv", metric) for metric in ("free", "used")]
    with scene.store.write() as tx:
        numbers = Catalogue().learn(tx, names)
        for hour in range(days * 24):
            at = (START_US + hour * HOUR_US) // TENTH_US
            for minute in (5, 30, 55):
                free = SIZE - daily * (hour + minute / 60) / 24
                values = (free, 1 - free / SIZE)
                samples.append(tx, Batch(numbers, [at + minute * 600] * 2, list(values)))
        done = None
        while done := packing.piece(tx, START_US + days * DAY_US, done):
            pass
    scene.world.at_us, scene.world.free = START_US + days * DAY_US, SIZE - daily * days


def test_the_days_in_the_store_foretell_the_end(scene: Scene) -> None:
    remember(scene, 8, daily=10e9)
    assert scene.full_in() == pytest.approx(2 * 86400, rel=0.05)
    assert scene.full_in("/") is None
    look = scene.look()
    assert look.summary == look.instances["/srv"].summary == "/srv: seen, full in 48 h"
    assert look.instances["/"].summary == "/: seen"


def test_what_was_seen_in_the_future_by_a_clock_that_was_set_back_since_foretells_nothing(scene: Scene) -> None:
    remember(scene, 8, daily=10e9)
    now_us = scene.world.at_us
    scene.world.at_us += 20 * DAY_US
    assert scene.full_in() is None, "eight days that are long over tell nothing about now"
    scene.world.at_us = now_us
    assert scene.full_in() == pytest.approx(2 * 86400, rel=0.05)


def test_a_forecast_is_judged_by_the_bounds_like_any_metric(scene: Scene) -> None:
    remember(scene, 9, daily=10.5e9)
    rules = scene.book.policies.checks[ASKING].rules
    verdict, why = events.judge(scene.look().instances["/srv"], rules, Instance())
    assert verdict is Verdict.CRITICAL
    assert why.startswith("full_in is ")


def test_only_checks_whose_bounds_ask_get_one(scene: Scene) -> None:
    remember(scene, 8, daily=10e9)
    assert scene.full_in(key=OTHER) is None
    assert set(scene.foresight._pasts) == {ASKING, "shop/checks/inodes@web-1"}


def test_a_sudden_fill_is_seen_by_what_the_agent_saw_itself(scene: Scene) -> None:
    remember(scene, 3, daily=0.01e9)
    free, found = scene.world.free, math.nan
    for minute in range(91):
        scene.world.at_us = START_US + 3 * DAY_US + minute * MINUTE_US
        scene.world.free = free - max(0, minute - 60) * free / 150
        told = scene.full_in()
        assert told is None or minute > 80
        found = told or found
    assert found == pytest.approx(120 * 60, rel=0.1)


def test_the_store_is_asked_once_an_hour(scene: Scene) -> None:
    remember(scene, 8, daily=10e9)
    assert scene.full_in() is not None
    with scene.store.write() as tx:
        tx.connection.exec_driver_sql("DELETE FROM sample_days")
        tx.connection.exec_driver_sql("DELETE FROM sample_hours")
    scene.world.at_us += 59 * MINUTE_US
    assert scene.full_in() is not None
    scene.world.at_us += MINUTE_US
    assert scene.full_in() is None


def test_the_hours_of_a_span_are_those_of_days_that_are_over_and_the_rest(scene: Scene) -> None:
    remember(scene, 3, daily=10e9)
    with scene.store.write() as tx:
        tx.connection.exec_driver_sql("DELETE FROM sample_days WHERE day = (SELECT max(day) FROM sample_days)")
    with scene.store.read() as reader:
        found = samples.by_hour(reader, Name(ASKING, "/srv", "free"), START_US, START_US + 3 * DAY_US)
        assert samples.by_hour(reader, Name(ASKING, "/other", "free"), START_US, START_US + DAY_US) == []
    assert [hour.at_us for hour in found] == [START_US + hour * HOUR_US for hour in range(72)]
    assert all(early.low > late.low for early, late in itertools.pairwise(found))
