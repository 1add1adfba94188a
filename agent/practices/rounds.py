"""The rounds: when a backup or its drill is due, how often a failed one is tried again, and which of many may begin."""

import dataclasses
from collections.abc import Iterable

from agent.model.backup import Backup
from agent.model.cadence import At, Cadence, Every
from agent.model.execution import ExecutionKind
from agent.model.window import Window
from agent.practices import berths, calendar
from agent.practices.berths import Full, Wish

MICROSECONDS = 1_000_000
# How a job may end by what passes by itself; a wrong password or a damaged repository is the same an hour later.
PASSING = frozenset({"locked", "timeout", "interrupted", "unreachable"})


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """How the newest try of a backup ended, and the how manieth it was. `cut_short`: not by itself, but with its agent.

    `passing` is the failure in one word when it may pass by itself; "" for a success and for what stays as it is.
    """

    ended_us: int
    attempt: int = 1
    passing: str = ""
    cut_short: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Past:
    """What is known of a backup's past. Times µs UTC; `began_us` is when this process began, `first_us` its first point."""

    began_us: int
    watched_us: int
    saved_us: int | None = None  # when it was begun last
    drilled_us: int | None = None
    first_us: int | None = None
    ended: Ended | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """Something is due since `at_us`: with its why, and the how manieth try it is."""

    key: str
    kind: ExecutionKind
    at_us: int
    why: str
    attempt: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Later:
    """Nothing is due before `at_us`; None: nobody knows when."""

    at_us: int | None


def due(backup: Backup, past: Past, now_us: int, window: Window | None = None) -> Due | Later:
    """What is due of a backup now: of its own run and its drill whichever has waited longer."""
    if backup.paused_until_us is not None and now_us < backup.paused_until_us:
        return Later(at_us=backup.paused_until_us)
    found = [_save(backup, past, now_us, window)]
    if backup.drill is not None and past.first_us is not None:
        found.append(_drill(backup, backup.drill.every, past, now_us))
    ready = [one for one in found if isinstance(one, Due)]
    if ready:
        return min(ready, key=lambda one: one.at_us)
    moments = [one.at_us for one in found if isinstance(one, Later) and one.at_us is not None]
    return Later(at_us=min(moments, default=None))


def _save(backup: Backup, past: Past, now_us: int, window: Window | None) -> Due | Later:
    regular = _regular(backup, backup.every, past.saved_us, past, now_us)
    at_us, attempt, why = regular, 1, "it is due"
    again = _again(backup, past.ended)
    if again is not None and (regular is None or now_us < regular):
        at_us, attempt, why = again
    if at_us is None or now_us < at_us:
        return Later(at_us=at_us)
    if window is not None and not calendar.is_open(window, now_us):
        return Later(at_us=calendar.next_opening(window, now_us))
    return Due(key=backup.key, kind=ExecutionKind.BACKUP, at_us=at_us, why=why, attempt=attempt)


def _drill(backup: Backup, every: Cadence, past: Past, now_us: int) -> Due | Later:
    at_us = _regular(backup, every, past.drilled_us, past, now_us)
    if at_us is None or now_us < at_us:
        return Later(at_us=at_us)
    return Due(key=backup.key, kind=ExecutionKind.DRILL, at_us=at_us, why="a drill is due")


def _regular(backup: Backup, every: Cadence, last_us: int | None, past: Past, now_us: int) -> int | None:
    """When something is next due by its cadence; what never ran is due at once, and so is what ran in the future."""
    if last_us is None:
        return min(now_us, past.watched_us)
    if calendar.is_ahead(last_us, now_us):
        return now_us
    if not backup.run_missed and not calendar.is_ahead(past.began_us, now_us):
        last_us = max(last_us, past.began_us)  # what was missed while nobody watched is left out
    moments = [moment for rule in every if (moment := _following(rule, last_us, backup)) is not None]
    return min(moments, default=None)


def _following(rule: Every | At, last_us: int, backup: Backup) -> int | None:
    """When a rule comes again after the last run. A splay moves an interval as a whole, or it would come more rarely.

    And a calendar rule that comes as often as the splay is long; of a rarer one, a run within the splay was the next.
    """
    splay_us = int(calendar.splay_seconds(backup.key, backup.splay_seconds) * MICROSECONDS)
    moment = calendar.following((rule,), last_us)
    if splay_us and moment is not None:
        moved = calendar.next_due((rule,), last_us - splay_us) or moment
        if isinstance(rule, Every) or (moved < moment and _is_often(rule, moved, backup.splay_seconds)):
            moment = moved
    return None if moment is None else moment + splay_us


def _is_often(rule: At, moment: int, seconds: float) -> bool:
    """Whether it comes again within so many seconds."""
    again = calendar.next_due((rule,), moment)
    return again is not None and again - moment <= seconds * MICROSECONDS


def _again(backup: Backup, ended: Ended | None) -> tuple[int, int, str] | None:
    """When a failed run is tried again, as the how manieth, and why; None when it is not."""
    if ended is None:
        return None
    if ended.cut_short and backup.run_missed and ended.attempt <= max(1, backup.retries.attempts):
        return ended.ended_us, ended.attempt + 1, "the last run was cut short"
    if not ended.passing or ended.attempt > backup.retries.attempts:
        return None
    at_us = ended.ended_us + int(backup.retries.pause_seconds * MICROSECONDS)
    tries = backup.retries.attempts + 1
    return at_us, ended.attempt + 1, f"try {ended.attempt + 1} of {tries}: the last one failed by {ended.passing}"


def choose(waiting: Iterable[tuple[Due, Wish]], held: Iterable[str]) -> list[Due]:
    """Which of what is due may begin now, given what is held: the longest waiting first, never more than there is room.

    What does not fit is passed over, so that a busy repository or host holds nobody else up.
    """
    taken, begun = set(held), list[Due]()
    for one, wish in sorted(waiting, key=lambda pair: (pair[0].at_us, pair[0].key)):
        names = berths.choose(wish, taken)
        if not isinstance(names, Full):
            begun.append(one)
            taken.update(names)
    return begun
