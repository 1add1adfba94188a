"""Recoveries: what comes next in one that is under way, and what its rehearsals say of it. Nothing half done looks done."""

import dataclasses
import enum
from collections.abc import Mapping, Sequence

from agent.model.execution import OPEN_STATES, Execution, ExecutionState
from agent.model.look import Look, Verdict
from agent.model.recovery import Attempt, Past, Recovery
from agent.practices import calendar

MICROSECONDS = 1_000_000
GRACE_SECONDS = 86400.0  # a rehearsal is overdue when it is so much later than it was due, or a whole interval
AGAIN_SECONDS = 900.0  # after a gate refused to let one begin


class Move(enum.StrEnum):
    """What is to be done next."""

    BEGIN = "begin"  # a step
    WAIT = "wait"  # for the step that runs
    VERIFY = "verify"  # all steps are done
    FAIL = "fail"  # a step did not succeed


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Next:
    """The next move, on the step of that index (from 0), with why."""

    move: Move
    index: int = 0
    why: str = ""


def next_move(names: Sequence[str], newest: Mapping[int, Execution]) -> Next:
    """What follows from the newest execution of each step; whoever asks, and however often, hears the same."""
    for index, name in enumerate(names):
        one = newest.get(index)
        if one is None or one.state is ExecutionState.CANCELLED:  # what never began may begin
            return Next(move=Move.BEGIN, index=index)
        if one.state in OPEN_STATES:
            return Next(move=Move.WAIT, index=index)
        if one.state is not ExecutionState.SUCCEEDED:
            what = "failed" if one.state is ExecutionState.FAILED else "ended, and nobody can say how"
            why = f"step {index + 1} of {len(names)}, {name}, {what} ({one.number}): {one.summary}"
            return Next(move=Move.FAIL, index=index, why=why)
    return Next(move=Move.VERIFY)


def due_us(recovery: Recovery, last_us: int | None, watched_us: int) -> int | None:
    """When it is to be rehearsed next; one that never was is due as soon as it is watched."""
    if not recovery.every:
        return None
    return watched_us if last_us is None else calendar.next_due(recovery.every, last_us)


def is_due(recovery: Recovery, last_us: int | None, tried_us: int | None, now_us: int) -> bool:
    """Whether a rehearsal may begin now."""
    if recovery.paused_until_us is not None and now_us < recovery.paused_until_us:
        return False
    if last_us is not None and calendar.is_ahead(last_us, now_us):
        last_us = None  # the clock was set back since: when it was is not known
    due = due_us(recovery, last_us, now_us)
    if due is None or not recovery.scratch or now_us < due:
        return False
    if tried_us is None or calendar.is_ahead(tried_us, now_us):
        return True
    return now_us - tried_us >= AGAIN_SECONDS * MICROSECONDS


def judge(recovery: Recovery, past: Past, now_us: int) -> Look:
    """What the check of a recovery sees: it failed, in earnest or rehearsed, was too slow, is overdue, or all is well.

    A run that failed counts until another one, or a rehearsal begun after it, succeeds: until then nobody knows that the
    recovery works, whatever somebody mended by hand.
    """
    last = past.rehearsal
    if (run := _failed_run(past)) is not None:
        return _look(run, Verdict.CRITICAL, f"the last recovery failed on {run.host}: {run.why}")
    if last is not None and not last.passed:
        return _look(last, Verdict.CRITICAL, f"the last rehearsal failed on {last.host}: {last.why}")
    due = due_us(recovery, last.at_us if last is not None else None, past.watched_us)
    grace = min(GRACE_SECONDS, calendar.shortest_seconds(recovery.every, now_us)) if recovery.every else 0.0
    if due is not None and now_us > due + int(grace * MICROSECONDS):
        since = _span((now_us - due) / MICROSECONDS)
        words = "never rehearsed, and" if last is None else "the next rehearsal is"
        return _look(last, Verdict.CRITICAL, f"{words} due for {since}")
    if last is None:
        return _look(last, Verdict.OK, "not rehearsed yet")
    took = f"rehearsed on {last.host} in {_span(last.seconds)}"
    if recovery.rto_seconds is not None and last.seconds > recovery.rto_seconds:
        return _look(last, Verdict.CRITICAL, f"{took}, longer than its rto of {_span(recovery.rto_seconds)}")
    limit = f", rto {_span(recovery.rto_seconds)}" if recovery.rto_seconds is not None else ""
    return _look(last, Verdict.OK, took + limit)


def _failed_run(past: Past) -> Attempt | None:
    run, last = past.run, past.rehearsal
    if run is None or run.passed or (last is not None and last.passed and last.at_us > run.at_us):
        return None
    return run


def verdict(recovery: Recovery, past: Past, now_us: int) -> str:
    """The same in a word, for listings: unproven, good, failed, slow or overdue."""
    last = past.rehearsal
    if _failed_run(past) is not None or (last is not None and not last.passed):
        return "failed"
    if last is None and not recovery.every:
        return "unproven"
    seen = judge(recovery, past, now_us)
    if seen.verdict is Verdict.OK:
        return "good" if last is not None else "unproven"
    return "slow" if "longer than" in seen.summary else "overdue"


def _look(last: Attempt | None, seen: Verdict, summary: str) -> Look:
    return Look(verdict=seen, summary=summary, metrics={"time": last.seconds} if last is not None else {})


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
