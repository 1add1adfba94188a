"""Saves the files of a host that is reached by SSH: pulls its mirror, then lets restic save that."""

from agent.backups import BackupResult, Job, Setting
from agent.backups.mirror.pull import Refused, pull
from agent.backups.restic.record import Scene
from agent.backups.restic.save import save_scene
from agent.backups.restic.wanted import Wanted


def save_remote(job: Job, setting: Setting, wanted: Wanted) -> BackupResult:
    """The mirror brought up to date and saved; in the snapshot, the paths are those of the host."""
    pulled = pull(job, setting, wanted)
    if isinstance(pulled, Refused):
        return BackupResult(outcome=pulled.outcome, summary=pulled.summary, hint=pulled.hint)
    scene = Scene(sources=pulled.sources, root=str(pulled.tree), holes=pulled.faults, torn=pulled.torn)
    return save_scene(job, setting, scene)
