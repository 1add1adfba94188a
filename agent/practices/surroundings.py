"""What runs around a backup: prepare, the backup, cleanup. Which step follows is read from the steps on record alone.

So it does not matter which process asks, or how many died in between: cleanup comes after whatever was begun.
"""

import dataclasses
from collections.abc import Sequence

from agent.model.execution import OPEN_STATES, ExecutionKind, ExecutionState

MICROSECONDS = 1_000_000
MOST_CLEANUPS = 3  # a cleanup that fails so often needs a person
PAUSE_SECONDS = 60.0  # between them
AROUND = frozenset({ExecutionKind.PREPARE, ExecutionKind.CLEANUP})


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step on record: prepare, backup or cleanup, and where it stands."""

    kind: ExecutionKind
    state: ExecutionState
    ended_us: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Begin:
    """What is to be begun now, and why."""

    kind: ExecutionKind
    why: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Wait:
    """A step runs, or the next one has its time: nothing before `until_us` (None: until the step ends)."""

    until_us: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Over:
    """The round is over."""

    why: str


def following(steps: Sequence[Step], now_us: int, *, prepares: bool, cleans_up: bool) -> Begin | Wait | Over:
    """What comes after these steps, the oldest first. A step that was cancelled never began."""
    if any(step.state in OPEN_STATES for step in steps):
        return Wait()
    done = [step for step in steps if step.state is not ExecutionState.CANCELLED]
    if not done:
        return _first(prepares=prepares) if not steps else Over(why="nothing of it began")
    last = done[-1]
    if last.kind is ExecutionKind.CLEANUP:
        return _after_cleanup(done, now_us)
    well = last.state is ExecutionState.SUCCEEDED
    if last.kind is ExecutionKind.PREPARE and well and last is steps[-1]:
        return Begin(kind=ExecutionKind.BACKUP, why="it is prepared")
    ended = f"the {last.kind} {'succeeded' if well else 'failed'}"
    if last is not steps[-1] and last.kind is ExecutionKind.PREPARE:
        ended = "the backup never began"
    return Begin(kind=ExecutionKind.CLEANUP, why=ended) if cleans_up else Over(why=ended)


def _first(*, prepares: bool) -> Begin:
    return Begin(kind=ExecutionKind.PREPARE if prepares else ExecutionKind.BACKUP, why="")


def _after_cleanup(done: Sequence[Step], now_us: int) -> Begin | Wait | Over:
    last = done[-1]
    if last.state is ExecutionState.SUCCEEDED:
        return Over(why="the host is as it was")
    tries = sum(step.kind is ExecutionKind.CLEANUP for step in done)
    if tries >= MOST_CLEANUPS:
        return Over(why=f"the cleanup failed {tries} times")
    if last.ended_us is not None:
        again_us = last.ended_us + int(PAUSE_SECONDS * MICROSECONDS)
        if last.ended_us <= now_us < again_us:  # a clock that was set back must not stop it
            return Wait(until_us=again_us)
    return Begin(kind=ExecutionKind.CLEANUP, why=f"try {tries + 1} of {MOST_CLEANUPS}: the last cleanup failed")
