"""Backups: whether one is fresh and proven, computed from points and proofs, never from exit codes alone."""

from agent.model.backup import Backup, Point, Proof, Standing
from agent.model.look import Look, Verdict

MICROSECONDS = 1_000_000


def standing(backup: Backup, point: Point | None, proof: Proof | None, *, last_failed: str, now_us: int) -> Standing:
    """The verdict over one backup on one host, from its newest good point and its newest drill."""
    if proof is not None and not proof.passed:
        return Standing.FAILED
    if point is None:
        return Standing.FAILED if last_failed else Standing.PENDING
    if backup.rpo_seconds is not None and now_us - point.at_us > backup.rpo_seconds * MICROSECONDS:
        return Standing.STALE
    if last_failed:
        return Standing.FAILED
    return Standing.PARTIAL if point.partial else Standing.GOOD


def freshness(
    backup: Backup,
    point: Point | None,
    proof: Proof | None,
    *,
    last_failed: str,
    watched_since_us: int,
    now_us: int,
) -> Look:
    """Freshness as a check: critical when nothing restorable is younger than the rpo, or the last drill failed.

    A backup that never ran is given its rpo from the moment it was first watched. A failed run is a warning while an
    older point is fresh enough, and critical when there is no rpo to say what is enough.
    """
    since = point.at_us if point is not None else watched_since_us
    age = max(0.0, (now_us - since) / MICROSECONDS)

    def look(verdict: Verdict, summary: str) -> Look:
        return Look(verdict=verdict, summary=summary, metrics={"age": age})

    if proof is not None and not proof.passed:
        return look(Verdict.CRITICAL, f"the last drill failed: {'; '.join(proof.faults[:3]) or 'no reason was given'}")
    if backup.rpo_seconds is not None and age > backup.rpo_seconds:
        what = f"the newest restorable point is {_hours(age)} old"
        if point is None:
            what = f"nothing was ever saved, watched for {_hours(age)}"
        failed = f"; the last run failed: {last_failed}" if last_failed else ""
        return look(Verdict.CRITICAL, f"{what}, rpo {_hours(backup.rpo_seconds)}{failed}")
    if last_failed:
        verdict = Verdict.WARNING if backup.rpo_seconds is not None and point is not None else Verdict.CRITICAL
        return look(verdict, f"the last run failed: {last_failed}")
    if point is None:
        return look(Verdict.OK, "nothing saved yet")
    if point.partial:
        return look(Verdict.WARNING, f"partial, {_hours(age)} old: some files could not be read")
    proven = "proven by a restore" if proof is not None else "not yet proven by a restore"
    return look(Verdict.OK, f"{_hours(age)} old, {proven}")


def _hours(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
