"""backup: files — folders and files of a host, saved by restic, proven by restoring; remote ones through a mirror, or there."""

from typing import TYPE_CHECKING, ClassVar

from agent.backups import BackupResult, DrillResult, Job, RestoreResult, Setting, SnapshotsResult, engine
from agent.model.host import Connection
from agent.registry import later

if TYPE_CHECKING:
    from agent.closed import ClosedModel


@engine("files")
class Files:
    """Folders and files of a host. Each job loads what it needs and no more: it starts faster than restic that way."""

    OPTIONS: "ClassVar[type[ClosedModel]]" = later("agent.backups.restic.files_options", "FilesOptions")
    REACHES: ClassVar[frozenset[Connection]] = frozenset({Connection.LOCAL, Connection.SSH})

    @staticmethod
    def backup(job: Job, setting: Setting, /) -> BackupResult:
        """Save the paths, and describe in a manifest what was saved."""
        from agent.backups.restic.wanted import Wanted

        wanted = Wanted.of(job.options)
        if job.route is None:
            from agent.backups.restic.save import save

            return save(job, setting, wanted)
        if wanted.is_run_there:
            from agent.backups.onhost.save import save_there

            return save_there(job, setting, wanted)
        from agent.backups.mirror.remote import save_remote

        return save_remote(job, setting, wanted)

    @staticmethod
    def drill(job: Job, setting: Setting, /) -> DrillResult:
        """Restore a snapshot into a sandbox and compare it with its manifest."""
        from agent.backups.restic.drill import drill

        return drill(job, setting)

    @staticmethod
    def restore(job: Job, setting: Setting, /) -> RestoreResult:
        """Restore a snapshot, or a part of it, into an empty folder."""
        from agent.backups.restic.bring_back import bring_back

        return bring_back(job, setting)

    @staticmethod
    def snapshots(job: Job, setting: Setting, /) -> SnapshotsResult:
        """List the snapshots of the item on its host."""
        from agent.backups.restic.snapshots import answered

        return answered(job, setting)
