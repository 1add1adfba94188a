"""Chooses the snapshots that a drill proves: the one ordered or the newest, and now and then an older one."""

import re
from pathlib import Path

from agent.backups import Job, Outcome
from agent.backups.restic import manifest, snapshots
from agent.backups.restic.command import Restic
from agent.backups.restic.outcome import hint_for
from agent.errors import AgentError

_NAME = re.compile(r"[0-9a-f]{16}/[A-Za-z0-9_-]{1,64}\.[0-9a-f]{64}\.gz")


class UnprovenError(AgentError):
    """A drill that cannot prove anything; `outcome` says of what kind the obstacle is."""

    def __init__(self, outcome: Outcome, summary: str, hint: str = "") -> None:
        super().__init__(summary, hint=hint or hint_for(outcome))
        self.outcome = outcome


def newest(job: Job, restic: Restic) -> Path:
    """The manifest of the point to prove: as ordered, else of the newest snapshot that has one."""
    state = Path(job.state)
    if job.manifest:
        if not _NAME.fullmatch(job.manifest):
            raise UnprovenError(Outcome.FAILED, f"{job.manifest!r} is no name of a manifest")
        return state / manifest.FOLDER / job.manifest
    known = _with_manifest(job, restic)
    for _, path in known:
        return path
    raise UnprovenError(Outcome.SOURCE_MISSING, "there is no snapshot to prove", "run the backup first")


def older(job: Job, restic: Restic, newest_snapshot: str) -> Path | None:
    """The manifest of an older snapshot, in turn each of those that exist; None when there is none."""
    known = [path for one, path in _with_manifest(job, restic, of_all=True) if one != newest_snapshot]
    known.reverse()  # the oldest first: it stays the longest where it is in the row
    return known[job.drill.older % len(known)] if known else None


def _with_manifest(job: Job, restic: Restic, *, of_all: bool = False) -> list[tuple[str, Path]]:
    """The snapshots that can be compared, the newest first."""
    ended, known = snapshots.listed(restic, job)
    if ended.outcome is not Outcome.OK:
        raise UnprovenError(ended.outcome, ended.why())
    found = []
    for one in known:
        if of_all or one.id.startswith(job.snapshot):
            path = manifest.find(Path(job.state), job.key, one.exec_id)
            found += [(one.id, path)] if path is not None else []
    if known and not found:
        raise UnprovenError(Outcome.FAILED, "manifest missing: no snapshot can be compared", "run the backup again")
    return found
