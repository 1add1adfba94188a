"""The daemon is killed (kill -9) at every failpoint: nothing acknowledged is lost, nothing is done or filed twice."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.model.execution import ExecutionState
from agent.store import journal, leases
from tests.acceptance.world import World

UP = "shop/checks/up@here"
IN_MIGRATION = {("start:before-commit", 1)}  # there is no journal yet


@pytest.fixture
def shop(world: World) -> Iterator[World]:
    """A service that is down, and a remedy for it that works; at the end the story must be whole."""
    world.policy("shop", checks={"up": world.check(remedy="mend")}, remedies={"mend": world.remedy()})
    yield world
    world.until(lambda: world.is_resolved(UP), "the story ends well")
    assert world.daemons[-1].stop() == 0
    assert world.lines("runs") == ["mend"], "the play ran once"
    assert [one.cause for one in world.incidents()] == [UP], "one incident, of one cause"
    assert [(told["event"], told["incident"]["number"]) for told in world.filed()] == [
        ("opened", "INC0000001"),
        ("resolved", "INC0000001"),
    ]
    done = [one for one in world.executions() if one.state is not ExecutionState.CANCELLED]
    assert [(one.state, one.verified) for one in done] == [(ExecutionState.SUCCEEDED, True)]
    with world.store.read() as reader:
        assert leases.held(reader) == []


def dies(world: World, failpoint: str, hit: int) -> None:
    """Start a daemon that dies at a failpoint; what it had written down is still there, line by line."""
    dying = world.start(failpoint, hit)
    assert dying.ends() == -signal.SIGKILL, dying.told()
    if (failpoint, hit) not in IN_MIGRATION:
        keeps_its_journal(world.state)


def keeps_its_journal(state: Path) -> journal.Head:
    """The head of a journal that is whole."""
    verified = journal.verify(state)
    assert verified.ok, verified.why
    return journal.Head(verified.rows, verified.head_hash)


@pytest.mark.parametrize("failpoint", ["before-intent", "after-intent", "after-dispatch"])
def test_a_daemon_killed_around_an_intent_runs_the_play_exactly_once(shop: World, failpoint: str) -> None:
    dies(shop, failpoint, 1)
    assert shop.is_open(UP), "the incident was acknowledged before"
    head = keeps_its_journal(shop.state)
    shop.run()
    assert journal.verify(shop.state, expected=head).ok


@pytest.mark.parametrize(
    ("first", "failpoint", "hits"),
    [
        # with the policies; with the incident; with the intent; with the dispatch; with the end of the play
        (1, "journal-append", (2, 5, 5, 2)),
        # in the migration; the incident; the intent; the dispatch, whose shim runs already
        (1, "before-commit", (1, 2, 3)),
        (3, "after-commit", (1, 2, 3)),
    ],
)
def test_a_daemon_that_dies_again_and_again_while_it_writes_still_tells_one_story(
    shop: World, first: int, failpoint: str, hits: tuple[int, ...]
) -> None:
    """While it starts, and then each time a little further on."""
    dies(shop, f"start:{failpoint}", first)
    for hit in hits:
        dies(shop, failpoint, hit)
    shop.run()


def test_a_play_outlives_two_daemons_and_is_collected_by_the_third(shop: World) -> None:
    """Killed in mid-play; found and watched by the next; ended while there was none."""
    (shop.host / "wait").touch()
    first = shop.run()
    shop.until(lambda: shop.lines("runs"), "the play runs")
    first.kill()
    second = shop.run()
    (execution,) = shop.executions()
    assert execution.state is ExecutionState.DISPATCHED
    shop.until((shop.host / "begun").exists, "the play goes on")
    second.kill()
    (shop.host / "wait").unlink()
    shop.until((shop.state / execution.run_dir / "rc.json").exists, "the play ends by itself")
    (still,) = shop.executions()
    assert still.state is ExecutionState.DISPATCHED
    shop.run()


def test_a_daemon_killed_in_a_reload_comes_back_with_the_new_files(shop: World) -> None:
    dying = shop.run("in-reload", 1)
    shop.until(lambda: shop.is_resolved(UP), "the first story ends")
    shop.policy(
        "shop",
        checks={"up": shop.check(remedy="mend"), "more": {"command": "test -e /"}},
        remedies={"mend": shop.remedy()},
    )
    assert dying.ends() == -signal.SIGKILL, dying.told()
    shop.run()
    shop.until(lambda: shop.check_state("shop/checks/more@here").raw, "the new check is made")
