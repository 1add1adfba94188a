"""Backups: whether one is fresh and proven, computed from points and proofs, never from exit codes alone."""

import dataclasses

from agent.model.backup import Backup, Standing
from agent.model.look import Look, Verdict
from agent.model.proof import Point, Proof
from agent.practices import proofs

MICROSECONDS = 1_000_000
AHEAD_SECONDS = 300.0  # how far ahead of us a point may be dated before its age says nothing
DAY_SECONDS = 86_400.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What the record knows of a backup: its newest point and drill, and in words what went wrong lately ("": nothing).

    `watched_us` is since when it is watched, `first_us` when its first point was made; µs UTC.
    """

    watched_us: int
    point: Point | None = None
    proof: Proof | None = None
    first_us: int | None = None
    failed: str = ""
    skipped: str = ""
    cleanup: str = ""
    restore_seconds: float | None = None  # what a restore of the newest point would take, learned from drills


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """The verdict over a backup, as a standing for listings and as what a check says."""

    standing: Standing
    verdict: Verdict
    summary: str


def freshness(backup: Backup, known: Known, now_us: int) -> Look:
    """Freshness as a check; its metric `age` is that of the newest point, or of the watch before there is one."""
    found = judge(backup, known, now_us)
    return Look(verdict=found.verdict, summary=found.summary, metrics={"age": max(0.0, _age(known, now_us))})


def judge(backup: Backup, known: Known, now_us: int) -> Judgement:
    """The first concern that applies; a backup is good when a point younger than its rpo exists, and restoring is proven.

    Proven means, where drills are declared: the newest one passed and none is overdue. A backup that never ran is given
    its rpo from the moment it was first watched, and its first drill as much time as any other. A failed run is a warning
    while an older point is fresh enough, and critical when there is no rpo to say what is enough.
    """
    return (
        _left_behind(known)
        or _disproved(known)
        or _too_old(backup, known, now_us)
        or _unproven(backup, known, now_us)
        or _ahead(known, now_us)
        or _failed(backup, known)
        or _too_slow(backup, known)
        or _as_it_is(known, now_us)
    )


def _critical(standing: Standing, summary: str) -> Judgement:
    return Judgement(standing=standing, verdict=Verdict.CRITICAL, summary=summary)


def _left_behind(known: Known) -> Judgement | None:
    if not known.cleanup:
        return None
    return _critical(Standing.FAILED, f"the cleanup {known.cleanup}; the host may be as the backup's prepare left it")


def _disproved(known: Known) -> Judgement | None:
    proof = known.proof
    if proof is None or proof.passed:
        return None
    faults = "; ".join(proof.faults[:3]) or "no reason was given"
    return _critical(Standing.FAILED, f"the last drill failed: {faults}")


def _too_old(backup: Backup, known: Known, now_us: int) -> Judgement | None:
    age = _age(known, now_us)
    if backup.rpo_seconds is None or age <= backup.rpo_seconds:
        return None
    what = f"the newest restorable point is {_hours(age)} old"
    if known.point is None:
        what = f"nothing was ever saved, watched for {_hours(age)}"
    why = ""
    if known.failed:
        why = f"; the last run failed: {known.failed}"
    elif known.skipped:
        why = f"; the last run was left out: {known.skipped}"
    standing = Standing.FAILED if known.point is None and known.failed else Standing.STALE
    return _critical(standing, f"{what}, rpo {_hours(backup.rpo_seconds)}{why}")


def _unproven(backup: Backup, known: Known, now_us: int) -> Judgement | None:
    """Saved, and perhaps not restorable: nobody has tried in time."""
    since_us = known.proof.at_us if known.proof is not None else known.first_us
    if backup.drill is None or known.point is None or since_us is None:
        return None
    late = proofs.overdue_seconds(backup, since_us, now_us)
    if not late:
        return None
    last = f"the last one was {_hours((now_us - since_us) / MICROSECONDS)} ago"
    return _critical(
        Standing.UNPROVEN, f"its drill is overdue by {_hours(late)}: {last if known.proof else 'it was never drilled'}"
    )


def _ahead(known: Known, now_us: int) -> Judgement | None:
    ahead = -_age(known, now_us)
    if known.point is None or ahead <= AHEAD_SECONDS:
        return None
    summary = f"the newest point is dated {_hours(ahead)} ahead: was the clock set back? Its age is not known"
    return Judgement(standing=Standing.STALE, verdict=Verdict.WARNING, summary=summary)


def _failed(backup: Backup, known: Known) -> Judgement | None:
    if not known.failed:
        return None
    enough = backup.rpo_seconds is not None and known.point is not None
    verdict = Verdict.WARNING if enough else Verdict.CRITICAL
    return Judgement(standing=Standing.FAILED, verdict=verdict, summary=f"the last run failed: {known.failed}")


def _too_slow(backup: Backup, known: Known) -> Judgement | None:
    """It grew, or its repository got slower: told before a disaster would tell it."""
    rto, expected = backup.drill.rto_seconds if backup.drill is not None else None, known.restore_seconds
    if rto is None or expected is None or expected <= rto:
        return None
    summary = f"a restore would take about {_hours(expected)}, more than its rto of {_hours(rto)}"
    return Judgement(standing=Standing.GOOD, verdict=Verdict.WARNING, summary=summary)


def _as_it_is(known: Known, now_us: int) -> Judgement:
    age = max(0.0, _age(known, now_us))
    if known.point is None:
        return Judgement(standing=Standing.PENDING, verdict=Verdict.OK, summary="nothing saved yet")
    if known.point.partial:
        summary = f"partial, {_hours(age)} old: some files could not be read"
        return Judgement(standing=Standing.PARTIAL, verdict=Verdict.WARNING, summary=summary)
    proven = "proven by a restore" if known.proof is not None else "not yet proven by a restore"
    return Judgement(standing=Standing.GOOD, verdict=Verdict.OK, summary=f"{_hours(age)} old, {proven}")


def _age(known: Known, now_us: int) -> float:
    """The age of the newest point in seconds, or of the watch; negative when it is dated ahead."""
    since = known.point.at_us if known.point is not None else known.watched_us
    return (now_us - since) / MICROSECONDS


def _hours(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 3 * DAY_SECONDS:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / DAY_SECONDS:.1f} d"
