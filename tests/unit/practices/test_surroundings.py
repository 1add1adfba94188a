"""What follows which step around a backup: told by the steps on record, as short words."""

import itertools

import pytest

from agent.model.execution import ExecutionKind, ExecutionState
from agent.practices import surroundings
from agent.practices.surroundings import MOST_CLEANUPS, Begin, Over, Step, Wait

SECOND = 1_000_000
NOW = 1_764_000_000 * SECOND
KINDS = {"p": ExecutionKind.PREPARE, "b": ExecutionKind.BACKUP, "c": ExecutionKind.CLEANUP}
STATES = {
    "+": ExecutionState.SUCCEEDED, "-": ExecutionState.FAILED, "x": ExecutionState.CANCELLED,
    "?": ExecutionState.UNCERTAIN, "i": ExecutionState.INTENT, "d": ExecutionState.DISPATCHED,
}  # fmt: skip


def steps(text: str, ago_seconds: float = 3600.0) -> list[Step]:
    """`p+ b-`: the prepare succeeded, the backup failed; all ended so long ago."""
    ended = NOW - int(ago_seconds * SECOND)
    return [Step(kind=KINDS[word[0]], state=STATES[word[1]], ended_us=ended) for word in text.split()]


def word(found: Begin | Wait | Over) -> str:
    """`b` begins the backup, `wait` waits, `over` is over."""
    if isinstance(found, Begin):
        return found.kind[0]
    return "wait" if isinstance(found, Wait) else "over"


@pytest.mark.parametrize(
    ("done", "follows"),
    [
        ("", "p"),
        ("pi", "wait"),
        ("pd", "wait"),
        ("p+", "b"),
        ("p-", "c"),  # cleanup runs after a failed prepare, and there is no backup
        ("p?", "c"),
        ("px", "over"),  # it never began: there is nothing to clean up
        ("p+ bi", "wait"),
        ("p+ b+", "c"),
        ("p+ b-", "c"),
        ("p+ b?", "c"),
        ("p+ bx", "c"),  # the agent died before the backup began: the host is prepared for nothing
        ("p+ b+ ci", "wait"),
        ("p+ b+ c+", "over"),
        ("p+ b+ cx", "c"),  # it died before the cleanup began
        ("p+ b+ cx cx cx cx", "c"),
        ("p+ b- c-", "c"),
        ("p+ b- c- cx c-", "c"),
        ("p+ b- c- c? c+", "over"),
        ("p+ b- c- c? c-", "over"),
    ],
)
def test_with_both_playbooks(done: str, follows: str) -> None:
    assert word(surroundings.following(steps(done), NOW, prepares=True, cleans_up=True)) == follows


@pytest.mark.parametrize(("done", "follows"), [("", "b"), ("bx", "over"), ("b+", "c"), ("b-", "c"), ("b- c+", "over")])
def test_with_a_cleanup_alone(done: str, follows: str) -> None:
    assert word(surroundings.following(steps(done), NOW, prepares=False, cleans_up=True)) == follows


@pytest.mark.parametrize(
    ("done", "follows"), [("", "p"), ("p+", "b"), ("p-", "over"), ("p+ b-", "over"), ("p+ bx", "over")]
)
def test_with_a_prepare_alone(done: str, follows: str) -> None:
    assert word(surroundings.following(steps(done), NOW, prepares=True, cleans_up=False)) == follows


@pytest.mark.parametrize(("ago", "follows"), [(0.0, "wait"), (59.0, "wait"), (60.0, "c"), (-3600.0, "c")])
def test_a_failed_cleanup_is_repeated_after_a_minute_and_by_a_clock_that_was_set_back_at_once(
    ago: float, follows: str
) -> None:
    assert word(surroundings.following(steps("p+ b+ c-", ago), NOW, prepares=True, cleans_up=True)) == follows


def test_a_failed_cleanup_that_nobody_saw_end_is_repeated_at_once() -> None:
    unseen = [*steps("p+ b+"), Step(kind=ExecutionKind.CLEANUP, state=ExecutionState.UNCERTAIN)]
    assert word(surroundings.following(unseen, 0, prepares=True, cleans_up=True)) == "c"


@pytest.mark.parametrize(
    ("done", "why"),
    [
        ("p-", "the prepare failed"),
        ("px", "nothing of it began"),
        ("p+ b+", "the backup succeeded"),
        ("p+ b?", "the backup failed"),
        ("p+ bx", "the backup never began"),
        ("p- cx", "the backup never began"),
        ("p+ b+ cx", "the backup succeeded"),
        ("p+ b+ c+", "the host is as it was"),
        ("p+ b+ c-", "try 2 of 3: the last cleanup failed"),
        ("p+ b+ c- c- c-", "the cleanup failed 3 times"),
    ],
)
def test_each_step_says_why(done: str, why: str) -> None:
    found = surroundings.following(steps(done), NOW, prepares=True, cleans_up=True)
    assert isinstance(found, Begin | Over)
    assert found.why == why


def test_whatever_happens_to_each_step_a_round_ends_and_cleans_up_after_whatever_began() -> None:
    """Every way in which six steps may end, by success, failure, loss, or the death of the agent."""
    ways = 0
    for ends in itertools.product("+-?x", repeat=6):
        done = list[str]()
        for end in ends:
            found = surroundings.following(steps(" ".join(done)), NOW, prepares=True, cleans_up=True)
            if not isinstance(found, Begin):
                break
            done.append(found.kind[0] + end)
        began = [one for one in done if one[1] != "x"]
        cleanups = [one for one in began if one[0] == "c"]
        assert len(cleanups) <= MOST_CLEANUPS
        over = surroundings.following(steps(" ".join(done)), NOW, prepares=True, cleans_up=True)
        if isinstance(over, Over) and began:
            assert began[-1] == "c+" or len(cleanups) == MOST_CLEANUPS
            assert [one[0] for one in began].count("b") <= 1
            assert began[0][0] == "p"
        assert isinstance(over, Over) or len(done) == 6
        ways += 1
    assert ways == 4**6
