"""backup: files — folders and files of a host, saved by restic, proven by restoring; remote ones through a mirror."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field

from agent.backups import (
    BackupResult,
    DrillResult,
    Job,
    Outcome,
    RestoreResult,
    Setting,
    SnapshotsResult,
    engine,
)
from agent.backups.mirror.remote import save_remote
from agent.backups.restic import snapshots
from agent.backups.restic.bring_back import bring_back
from agent.backups.restic.command import Restic
from agent.backups.restic.drill import drill
from agent.backups.restic.outcome import hint_for
from agent.backups.restic.save import save
from agent.backups.restic.wanted import Wanted, full_paths
from agent.closed import ClosedModel, Flag, Texts
from agent.model.host import Connection
from agent.units import Share, bit_rate


def _filled(patterns: tuple[str, ...]) -> tuple[str, ...]:
    if any(not pattern.strip() or "\0" in pattern for pattern in patterns):
        raise ValueError("an empty pattern excludes nothing: leave it out")
    return patterns


class FilesOptions(ClosedModel):
    """What is to be saved."""

    paths: Annotated[Texts, AfterValidator(full_paths)] = Field(description="Folders and files to save, as full paths")
    exclude: Annotated[Texts, AfterValidator(_filled)] = Field(
        default=(), description='What to leave out, as patterns of restic: "*.tmp", /srv/shop/cache'
    )
    one_file_system: Flag = Field(default=False, description="Leave out what is mounted below the paths")
    may_vanish: Share = Field(
        default=0.5,
        description="The share of a remote host's entries that may be gone since the last backup; if more are, nothing is saved",
    )
    limit: Annotated[float, BeforeValidator(bit_rate)] | None = Field(
        default=None, description="The most that rsync may take of the line to a remote host: 20Mbit/s"
    )


@engine("files")
class Files:
    """Folders and files of a host."""

    OPTIONS: ClassVar[type[ClosedModel]] = FilesOptions
    REACHES: ClassVar[frozenset[Connection]] = frozenset({Connection.LOCAL, Connection.SSH})

    @staticmethod
    def backup(job: Job, setting: Setting, /) -> BackupResult:
        """Save the paths, and describe in a manifest what was saved."""
        wanted = Wanted.of(job.options)
        return save(job, setting, wanted) if job.route is None else save_remote(job, setting, wanted)

    @staticmethod
    def drill(job: Job, setting: Setting, /) -> DrillResult:
        """Restore a snapshot into a sandbox and compare it with its manifest."""
        return drill(job, setting)

    @staticmethod
    def restore(job: Job, setting: Setting, /) -> RestoreResult:
        """Restore a snapshot, or a part of it, into an empty folder."""
        return bring_back(job, setting)

    @staticmethod
    def snapshots(job: Job, setting: Setting, /) -> SnapshotsResult:
        """List the snapshots of the item on its host."""
        ended, found = snapshots.listed(Restic(job, setting), job)
        if ended.outcome is not Outcome.OK:
            return SnapshotsResult(outcome=ended.outcome, summary=ended.why(), hint=hint_for(ended.outcome))
        return SnapshotsResult(outcome=Outcome.OK, summary=f"{len(found)} snapshots", snapshots=found)
