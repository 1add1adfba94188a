"""Recoveries: what comes next follows from the record alone, and a rehearsal is worth what it proved."""

import dataclasses

import pytest

from agent.model.cadence import Every
from agent.model.execution import Execution, ExecutionKind, ExecutionState
from agent.model.look import Verdict
from agent.model.recovery import Attempt, Past, Recovery, Scratch, Step
from agent.practices import recoveries
from agent.practices.recoveries import Move, Next

HOUR_US = 3_600_000_000
QUARTER_US = HOUR_US // 4
NAMES = ("restore backups/files", "playbook rebuild.yml")
STATES = {
    "i": ExecutionState.INTENT, "d": ExecutionState.DISPATCHED, "+": ExecutionState.SUCCEEDED,
    "-": ExecutionState.FAILED, "c": ExecutionState.CANCELLED, "?": ExecutionState.UNCERTAIN,
}  # fmt: skip
PLAN = Recovery(
    key="shop/recoveries/shop@web1", item="shop/recoveries/shop", service="shop", host="web1",
    steps=(Step(name=NAMES[0], backup="shop/backups/files@web1"),), rto_seconds=600.0, every=(Every(seconds=7200.0),),
    scratch=(Scratch(host="scratch", steps=()),),
)  # fmt: skip


def execution(state: ExecutionState) -> Execution:
    return Execution(
        id="01A", number="RUN0000007", kind=ExecutionKind.RESTORE, item="shop/recoveries/shop", service="shop",
        host="web1", state=state, actor="ada", why="", correlation_id="01P", episode=1, attempt=1, boot_id="b",
        deadline_ns=0, intent_at_us=0, summary="the disk is full",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("seen", "move", "index"),
    [
        ("", Move.BEGIN, 0),
        ("i", Move.WAIT, 0),
        ("d", Move.WAIT, 0),
        ("+", Move.BEGIN, 1),
        ("c", Move.BEGIN, 0),  # what never began may begin
        ("-", Move.FAIL, 0),  # nothing is repeated blindly
        ("?", Move.FAIL, 0),
        ("+d", Move.WAIT, 1),
        ("+c", Move.BEGIN, 1),
        ("+-", Move.FAIL, 1),
        ("+?", Move.FAIL, 1),
        ("++", Move.VERIFY, 0),
    ],
)
def test_the_next_move_follows_from_what_is_on_record(seen: str, move: Move, index: int) -> None:
    newest = {position: execution(STATES[one]) for position, one in enumerate(seen)}
    found = recoveries.next_move(NAMES, newest)
    assert (found.move, found.index) == (move, index)
    assert found == recoveries.next_move(NAMES, newest)


def test_a_failure_says_which_step_and_how_it_ended() -> None:
    failed = recoveries.next_move(NAMES, {0: execution(ExecutionState.FAILED)})
    assert failed == Next(
        move=Move.FAIL, why="step 1 of 2, restore backups/files, failed (RUN0000007): the disk is full"
    )
    lost = recoveries.next_move(NAMES, {0: execution(ExecutionState.UNCERTAIN)})
    assert "ended, and nobody can say how" in lost.why


@pytest.mark.parametrize(
    ("last_us", "tried_us", "now_us", "due"),
    [
        (None, None, 0, True),  # one that never was is due at once
        (None, 0, HOUR_US // 10, False),  # a gate refused a moment ago
        (None, 0, HOUR_US // 3, True),
        (0, 0, HOUR_US, False),
        (0, 0, 2 * HOUR_US, True),
        (None, HOUR_US, HOUR_US + QUARTER_US - 1, False),
        (None, HOUR_US, HOUR_US + QUARTER_US, True),
        (90 * HOUR_US, None, HOUR_US, True),  # the clock was set back since
        (None, 90 * HOUR_US, HOUR_US, True),
        (90 * HOUR_US, HOUR_US - 1, HOUR_US, False),
    ],
)
def test_a_rehearsal_is_due_by_its_calendar(last_us: int | None, tried_us: int | None, now_us: int, due: bool) -> None:
    assert recoveries.is_due(PLAN, last_us, tried_us, now_us) is due
    assert not recoveries.is_due(dataclasses.replace(PLAN, every=()), last_us, tried_us, now_us)
    assert not recoveries.is_due(dataclasses.replace(PLAN, scratch=()), last_us, tried_us, now_us)
    assert not recoveries.is_due(dataclasses.replace(PLAN, paused_until_us=now_us + 1), last_us, tried_us, now_us)
    assert recoveries.is_due(dataclasses.replace(PLAN, paused_until_us=now_us), last_us, tried_us, now_us) is due


def attempt(*, passed: bool = True, seconds: float = 240.0, hour: int = 0, host: str = "scratch") -> Attempt:
    return Attempt(at_us=hour * HOUR_US, host=host, passed=passed, seconds=seconds, why="step 1 of 2 failed")


@pytest.mark.parametrize(
    ("last", "hours", "verdict", "words", "word"),
    [
        (None, 0, Verdict.OK, "not rehearsed yet", "unproven"),
        (None, 3, Verdict.CRITICAL, "never rehearsed, and due for 3.0 h", "overdue"),
        (attempt(), 1, Verdict.OK, "rehearsed on scratch in 4 min, rto 10 min", "good"),
        (attempt(seconds=601), 1, Verdict.CRITICAL, "in 10 min, longer than its rto of 10 min", "slow"),
        (attempt(), 4, Verdict.OK, "rehearsed on scratch in 4 min, rto 10 min", "good"),  # late by its interval
        (attempt(), 5, Verdict.CRITICAL, "the next rehearsal is due for 3.0 h", "overdue"),
        (attempt(seconds=600), 1, Verdict.OK, "rehearsed on scratch in 10 min, rto 10 min", "good"),
        (attempt(passed=False), 1, Verdict.CRITICAL, "the last rehearsal failed on scratch: step 1 of 2", "failed"),
    ],
)
def test_what_a_rehearsal_is_worth(last: Attempt | None, hours: int, verdict: Verdict, words: str, word: str) -> None:
    past = Past(watched_us=0, rehearsal=last)
    seen = recoveries.judge(PLAN, past, hours * HOUR_US)
    assert (seen.verdict, words in seen.summary) == (verdict, True), seen
    assert recoveries.verdict(PLAN, past, hours * HOUR_US) == word


@pytest.mark.parametrize(
    ("run", "rehearsal", "words", "word"),
    [
        (attempt(passed=False, hour=1, host="web1"), None, "the last recovery failed on web1: step 1", "failed"),
        (attempt(passed=False, hour=1, host="web1"), attempt(), "the last recovery failed on web1: step 1", "failed"),
        (attempt(passed=False, hour=1, host="web1"), attempt(hour=2), "rehearsed on scratch", "good"),
        (attempt(hour=1, host="web1"), None, "not rehearsed yet", "unproven"),  # once is no rehearsal
        (attempt(hour=2, host="web1"), attempt(passed=False, hour=1), "the last rehearsal failed", "failed"),
        (attempt(hour=1, seconds=9e9, host="web1"), attempt(), "rehearsed on scratch", "good"),
    ],
)
def test_a_run_that_failed_counts_until_one_succeeds(
    run: Attempt, rehearsal: Attempt | None, words: str, word: str
) -> None:
    plain = dataclasses.replace(PLAN, every=())
    past = Past(watched_us=0, rehearsal=rehearsal, run=run)
    assert words in recoveries.judge(plain, past, 3 * HOUR_US).summary
    assert recoveries.verdict(plain, past, 3 * HOUR_US) == word


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, "0.0 s"), (9.9, "9.9 s"), (10.0, "10 s"), (119.0, "119 s"), (120.0, "2 min"), (7199.0, "120 min"),
     (7200.0, "2.0 h"), (90_000.0, "25.0 h")],
)  # fmt: skip
def test_how_long_it_took_is_told_in_fitting_units(seconds: float, words: str) -> None:
    plain = dataclasses.replace(PLAN, rto_seconds=None)
    seen = recoveries.judge(plain, Past(watched_us=0, rehearsal=attempt(seconds=seconds)), HOUR_US)
    assert seen.summary == f"rehearsed on scratch in {words}"
    assert seen.metrics == {"time": seconds}


def test_a_rehearsal_of_the_very_moment_of_a_failed_run_does_not_excuse_it() -> None:
    past = Past(watched_us=0, rehearsal=attempt(hour=1), run=attempt(passed=False, hour=1, host="web1"))
    assert recoveries.verdict(PLAN, past, 2 * HOUR_US) == "failed"


def test_without_a_calendar_nothing_is_overdue() -> None:
    plain = dataclasses.replace(PLAN, every=(), rto_seconds=None)
    assert recoveries.verdict(plain, Past(watched_us=0), 1000 * HOUR_US) == "unproven"
    slow = Past(watched_us=0, rehearsal=attempt(seconds=1e6))
    assert recoveries.verdict(plain, slow, 1000 * HOUR_US) == "good"
