"""Saves the files of a host that is reached by SSH: pulls its mirror, then lets restic save that."""

import dataclasses
from pathlib import Path

from agent.backups import BackupResult, Job, Outcome, Setting
from agent.backups.mirror.place import held
from agent.backups.mirror.pull import Pulled, Refused, pull
from agent.backups.restic.record import Scene
from agent.backups.restic.save import save_scene
from agent.backups.restic.wanted import Wanted


def save_remote(job: Job, setting: Setting, wanted: Wanted) -> BackupResult:
    """The mirror brought up to date and saved; in the snapshot, the paths are those of the host."""
    pulled = pull(job, setting, wanted)
    if isinstance(pulled, Refused):
        return BackupResult(outcome=pulled.outcome, summary=pulled.summary, hint=pulled.hint)
    scene = Scene(sources=pulled.sources, root=str(pulled.tree), holes=pulled.faults, torn=pulled.torn)
    saved = save_scene(job, setting, scene)
    return _lacking(job, saved, pulled) if saved.files < pulled.files and _is_clear(saved, pulled) else saved


def _is_clear(saved: BackupResult, pulled: Pulled) -> bool:
    """Whether all that the host told of should be in the snapshot: nothing else has been found wrong."""
    return saved.outcome is Outcome.OK and not pulled.torn and not pulled.faults


def _lacking(job: Job, saved: BackupResult, pulled: Pulled) -> BackupResult:
    """Somebody took something out of the mirror, or its disk lost it: the next pull believes nothing of it."""
    with held(Path(job.state), job.key) as place:
        place.distrust()
    fault = f"the mirror lacks {pulled.files - saved.files} of {pulled.files} files that are on {job.host}"
    return dataclasses.replace(
        saved, outcome=Outcome.PARTIAL, summary=f"{saved.summary}; {fault}", faults=(fault,), fault_count=1,
        hint="run it again: the next backup fetches everything anew; look at the disk of the mirror",
    )  # fmt: skip
