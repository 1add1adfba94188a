"""The upkeep of repositories: which part of the data is read next, when retention rests, and what is overdue."""

import dataclasses
from collections.abc import Mapping, Sequence
from statistics import median

from agent.model.cadence import Cadence
from agent.model.look import Look, Verdict
from agent.model.proof import Point
from agent.model.upkeep import CheckPlan
from agent.practices import calendar

MICROSECONDS = 1_000_000
MOST_PARTS = 256  # restic sorts packs into no more
MOST_AT_ONCE = 4  # parts read by one check, when days were missed
GRACE_SECONDS = 6 * 3600.0  # after its time, before it is overdue; for shorter intervals the interval itself,
LEAST_SECONDS = 60.0  # and never less than it takes on a busy machine
_CHANGED = 0.5  # the part of all bytes, or of all files, whose sudden change or loss is a mass change
_BEFORE = 3  # earlier points that say what is usual
_RECENT = 3  # newest points in which a mass change is looked for: after as many of a new kind, it is the usual one


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What is known of one repository. `damage`, `findings` and `changes` stop retention; `late` is what is overdue.

    `failed` are the last runs that failed, `worst` the most urgent thing to type.
    """

    damage: str = ""
    findings: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    hint: str = ""
    checked_at_us: int | None = None


def parts(plan: CheckPlan, now_us: int) -> int:
    """Into how many parts the data is cut: as many as there are checks within the time to cover."""
    until_us = now_us + int(plan.cover_seconds * MICROSECONDS)
    return max(1, len(calendar.upcoming(plan.every, now_us, until_us, limit=MOST_PARTS)))


def shares(
    read_at: Mapping[int, int], of: int, *, since_us: int, next_us: int | None, cover_seconds: float
) -> tuple[int, ...]:
    """The parts to read now: the one that waits longest, and those whose time would be up before the next check.

    `read_at` says when each was last read and found sound (µs UTC); one that never was counts from `since_us`. A part
    whose reading failed was not read: it stays first until it is sound.
    """
    waiting = sorted(range(1, of + 1), key=lambda share: (read_at.get(share, 0), share))
    latest_us = (next_us or since_us) - int(cover_seconds * MICROSECONDS)
    late = [share for share in waiting if max(read_at.get(share, since_us), since_us) < latest_us]
    return tuple(dict.fromkeys([waiting[0], *late]))[:MOST_AT_ONCE]


def is_overdue(every: Cadence, done_us: int, now_us: int) -> bool:
    """Whether it should have been done, with some grace, since it last was."""
    due_us = calendar.following(every, done_us)
    return due_us is not None and now_us > due_us + int(patience(every, done_us) * MICROSECONDS)


def patience(every: Cadence, now_us: int) -> float:
    """How long, in seconds, something that is due may be late before that is worth an incident."""
    return max(LEAST_SECONDS, min(GRACE_SECONDS, calendar.shortest_seconds(every, now_us)))


def mass_change(points: Sequence[Point]) -> str:
    """Why a backup looks as if its source was encrypted or emptied of late, from its points, the newest first; "" if not.

    Each of the newest few is held against what was usual before it: half of the files gone, half of the bytes gone, or
    half of all bytes new where a tenth of that was usual.
    """
    for index, point in enumerate(points[:_RECENT]):
        before = points[index + 1 : index + 1 + _BEFORE]
        if len(before) == _BEFORE and (why := _change(point, before)):
            return f"{point.key}: {why}"
    return ""


def _change(point: Point, before: Sequence[Point]) -> str:
    files, size = median(one.files for one in before), median(one.size_bytes for one in before)
    added = median(one.added_bytes for one in before)
    if point.files < files * _CHANGED:
        return f"{point.files} files, where there were {files:.0f}"
    if point.size_bytes < size * _CHANGED:
        return f"{point.size_bytes} bytes, where there were {size:.0f}"
    if point.added_bytes > size * _CHANGED and point.added_bytes > 10 * added:
        return f"{point.added_bytes} of {point.size_bytes} bytes are new, where {added:.0f} were usual"
    return ""


def rests(facts: Facts) -> str:
    """Why nothing may be removed from a repository now; "" when it may."""
    if facts.damage:
        return f"it is damaged: {facts.damage}"
    return "; ".join((*facts.findings, *facts.changes)[:3])


def look(facts: Facts) -> Look:
    """A repository as a check: critical when it is damaged, touched by others, or its upkeep is overdue."""
    why = rests(facts)
    if facts.damage:
        return Look(verdict=Verdict.CRITICAL, summary=_with(f"damaged: {facts.damage}; nothing is removed", facts.hint))
    if why:
        return Look(verdict=Verdict.CRITICAL, summary=_with(f"nothing is removed: {why}", facts.hint))
    if facts.late:
        return Look(verdict=Verdict.CRITICAL, summary=_with("; ".join((*facts.late, *facts.failed)), facts.hint))
    if facts.failed:
        return Look(verdict=Verdict.WARNING, summary=_with("; ".join(facts.failed), facts.hint))
    if facts.checked_at_us is None:
        return Look(verdict=Verdict.OK, summary="not yet checked")
    return Look(verdict=Verdict.OK, summary="sound, by its last check")


def _with(summary: str, hint: str) -> str:
    return f"{summary}; {hint}" if hint else summary
