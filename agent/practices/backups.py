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


def freshness(backup: Backup, point: Point | None, proof: Proof | None, *, watched_since_us: int, now_us: int) -> Look:
    """Freshness as a check: critical when nothing restorable is younger than the rpo, or the last drill failed.

    A backup that never ran is given its rpo from the moment it was first watched.
    """
    rpo = backup.rpo_seconds or 0.0
    since = point.at_us if point is not None else watched_since_us
    age = max(0.0, (now_us - since) / MICROSECONDS)
    metrics = {"age": age}
    if proof is not None and not proof.passed:
        found = "; ".join(proof.faults[:3]) or "no reason was given"
        return Look(verdict=Verdict.CRITICAL, summary=f"the last drill failed: {found}", metrics=metrics)
    if age > rpo:
        what = "the newest restorable point is" if point is not None else "nothing was ever saved, watched for"
        return Look(verdict=Verdict.CRITICAL, summary=f"{what} {_hours(age)} old, rpo {_hours(rpo)}", metrics=metrics)
    if point is None:
        return Look(verdict=Verdict.OK, summary="nothing saved yet, within the rpo", metrics=metrics)
    if point.partial:
        return Look(
            verdict=Verdict.WARNING, summary=f"partial, {_hours(age)} old: some files were unreadable", metrics=metrics
        )
    proven = "proven by a restore" if proof is not None and proof.passed else "not yet proven by a restore"
    return Look(verdict=Verdict.OK, summary=f"{_hours(age)} old, {proven}", metrics=metrics)


def _hours(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
