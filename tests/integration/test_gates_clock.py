"""The gates after a clock that was wrong: what was done then counts, and for no longer than if it had been right."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.model.execution import ExecutionKind
from agent.model.gate import Facts, Request, Trigger
from agent.practices import gates as practice
from agent.runtime.book import Book
from agent.runtime.gates import Gatekeeper, Wanted
from agent.store import switches
from agent.store.engine import Store
from tests.fakes import policies
from tests.fakes.clock import ToldClock

YEAR_SECONDS, DAY_SECONDS = 365 * 86_400.0, 86_400.0
BY_HAND = Request(
    item="playbook/mend.yml", service="shop", hosts=("local",), actor="oncall", cause="it hangs", trigger=Trigger.PERSON,
    says_all=True,
)  # fmt: skip
BY_ITSELF = dataclasses.replace(BY_HAND, trigger=Trigger.AUTOMATIC)
WANTED = Wanted(
    request=BY_HAND, kind=ExecutionKind.PLAYBOOK, correlation_id="x", timeout_seconds=60.0, args={}, why="it hangs"
)


@dataclasses.dataclass
class Scene:
    """A gatekeeper, and a clock that somebody sets."""

    store: Store
    clock: ToldClock
    gatekeeper: Gatekeeper

    def facts(self) -> Facts:
        with self.store.write() as tx:
            return self.gatekeeper._facts(tx, dataclasses.replace(WANTED, request=BY_ITSELF))

    def is_in_budget(self) -> bool:
        """Whether the agent may do by itself what a person did before."""
        facts = self.facts()
        past = tuple(dataclasses.replace(one, running=False) for one in facts.ledger)
        return practice.budget(BY_ITSELF, dataclasses.replace(facts, ledger=past)).passes


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    found = policies.load_with(policies.new_home(tmp_path / "home"), {})
    assert found.policies is not None, found.problems
    clock = ToldClock()
    store = Store.open(tmp_path / "state", clock, migrate=True)
    book = Book(store)
    book.adopt(found.policies, 1)
    yield Scene(store, clock, Gatekeeper(store, clock, book, safe_mode=str, failpoint=lambda _: None))
    store.close()


@pytest.mark.parametrize("booted", [False, True], ids=["the same boot", "an earlier boot"])
def test_what_was_done_by_a_clock_of_next_year_counts_as_long_as_anything_else(scene: Scene, *, booted: bool) -> None:
    """Else nothing cures itself there for a year, and nobody can see to it."""
    scene.clock.step_seconds(YEAR_SECONDS)
    assert scene.gatekeeper.admit(WANTED, then=lambda _, __: None).execution is not None
    scene.clock.pass_seconds(1.0)
    scene.clock.step_seconds(-YEAR_SECONDS)
    if booted:
        scene.clock.boot_id, scene.clock.boottime_ns = "another", 0
    assert not scene.is_in_budget(), "it has just been done"
    scene.clock.pass_seconds(7 * DAY_SECONDS)
    assert scene.is_in_budget()


def test_a_breaker_that_tripped_by_a_clock_of_next_year_cools_down_from_when_the_clock_is_right(scene: Scene) -> None:
    scene.clock.step_seconds(YEAR_SECONDS)
    with scene.store.write() as tx:
        switches.turn(tx, "breaker:the fleet", on=True, by="agent", why="too many hosts")
    scene.clock.step_seconds(-YEAR_SECONDS)
    for _ in range(2):  # asked again, it does not begin anew
        [fleet, _] = scene.facts().scopes
        assert fleet.tripped_us == 1_764_000_000_000_000
        scene.clock.pass_seconds(60)
