"""Keeps a configuration that was read whole: what is shown in git, all of it in restic; and brings either back."""

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

from agent.backups import BackupResult, DrillResult, Job, Outcome, RestoreResult, Setting, Snapshot, SnapshotsResult
from agent.backups.configs import gate
from agent.backups.configs.history import Commit, History, Kept, file_of, message_of
from agent.backups.configs.reading import Configuration, Wanted, content_of
from agent.backups.restic import manifest, target
from agent.backups.restic.save import Scene, save_scene
from agent.clock import NANOSECONDS
from agent.model.device import Device, Revision

LINES_KEPT = 20
_LINE_CHARACTERS = 160
_FOLDER = "device-configs"  # under the state folder: what restic saves, for as long as it saves it


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """A whole configuration as it was `wanted`, read at `at_us`; with `is_hidden` git gets it without its secrets."""

    found: Configuration
    wanted: Wanted
    at_us: int
    is_hidden: bool


def keep(job: Job, setting: Setting, history: History, read: Read) -> BackupResult:
    """Commit what changed, save all of it where there is a repository, and say what changed."""
    text = read.found.shown if read.is_hidden else read.found.text
    with history.writing():
        kept = history.last(job.host)
        since = history.commits(job.host, 1)[0] if kept is not None else None
        commit = since if kept is not None and kept.text == text else None
        commit = commit or _committed(job, history, text, is_first=kept is None)
    revision = _revision(history, read, (kept, since, commit))
    result = BackupResult(
        outcome=Outcome.OK, summary="", snapshot=commit.id, at_us=read.at_us, files=1, size_bytes=len(text.encode())
    )
    if job.repository:
        with _laid_out(job, read.found.text) as folder:
            result = save_scene(job, setting, Scene(sources=(f"/{file_of(job.host)}",), root=str(folder)))
    return _told(job, result, revision, read)


def _committed(job: Job, history: History, text: str, *, is_first: bool) -> Commit:
    what = "first seen" if is_first else "changed"
    why = (job.device or Device()).why or "by hand"
    message = message_of(job.host, what=what, why=why, item=job.item, exec_id=job.exec_id)
    return history.commit(job.host, text, message)


def _revision(history: History, read: Read, found: tuple[Kept | None, Commit | None, Commit]) -> Revision:
    kept, since, commit = found
    revision = Revision(content=read.found.content, commit=commit.id, at_us=read.at_us)
    if kept is None or since is None:
        return revision
    before = read.wanted.shown_of_kept(kept.text)
    revision = dataclasses.replace(revision, before=content_of(before), since=since.id)
    if not revision.is_change:
        return revision
    lines = changed_lines(history.compared(before, read.found.shown))
    return dataclasses.replace(
        revision,
        added=sum(line.startswith("+") for line in lines),
        removed=sum(line.startswith("-") for line in lines),
        lines=tuple(line[:_LINE_CHARACTERS] for line in lines[:LINES_KEPT]),
    )


def changed_lines(patch: str) -> list[str]:
    """The lines of a patch that came or went, each with its sign. It is one of texts without secrets.

    Those are taken out before they are compared: whether a line has one may be told by another above it.
    """
    _, _, body = patch.partition("\n@@")
    return [line for line in body.split("\n")[1:] if line[:1] in {"+", "-"}]


def _told(job: Job, result: BackupResult, revision: Revision, read: Read) -> BackupResult:
    if result.outcome not in {Outcome.OK, Outcome.PARTIAL}:
        return dataclasses.replace(result, revision=revision)
    what = f"{len(read.found.text.splitlines())} lines"
    if not revision.before:
        news = "kept for the first time"
    elif revision.is_change:
        news = f"changed: {revision.added} lines came, {revision.removed} went"
    else:
        news = "unchanged"
    summary = f"{job.host}: {what}, {news}"
    if strange := gate.foreign_lines(read.found.text):
        fault = f"{strange} lines hold bytes that are no UTF-8: they are kept with a replacement"
        return dataclasses.replace(
            result, outcome=Outcome.PARTIAL, summary=f"{summary}; {fault}", revision=revision,
            faults=(*result.faults, fault), fault_count=result.fault_count + 1,
        )  # fmt: skip
    if result.outcome is Outcome.PARTIAL:
        return dataclasses.replace(result, revision=revision)
    return dataclasses.replace(result, summary=summary, revision=revision)


@contextlib.contextmanager
def _laid_out(job: Job, text: str) -> Iterator[Path]:
    """A folder with the full configuration, where only its owner reads it and only until it is saved."""
    folder = Path(job.state) / _FOLDER / manifest.folder_of(Path(job.state), job.key).name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / file_of(job.host)
    path.unlink(missing_ok=True)
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(number, "w", encoding="utf-8") as stream:
            stream.write(text)
        yield folder
    finally:
        path.unlink(missing_ok=True)


def snapshots(job: Job, history: History) -> SnapshotsResult:
    """The commits of a device as what can be brought back."""
    found = tuple(
        Snapshot(
            id=one.id, at_us=one.at_us, host=job.host, item=job.item, exec_id=one.exec_id, paths=(file_of(job.host),)
        )
        for one in history.commits(job.host)
    )
    return SnapshotsResult(outcome=Outcome.OK, summary=f"{len(found)} commits", snapshots=found)


def drill(job: Job, setting: Setting, history: History) -> DrillResult:
    """Have git examine all it has, and read the newest configuration back from it."""
    clock = setting.deadline.clock
    begun_ns = clock.boottime()
    complaint = history.examine()
    kept = history.last(job.host) if not complaint else None
    faults = (complaint,) if complaint else () if kept is not None else (f"no configuration of {job.host} is kept",)
    return DrillResult(
        outcome=Outcome.DAMAGED if faults else Outcome.OK,
        summary=faults[0] if faults else f"git has the configuration of {job.host} whole",
        snapshot=job.snapshot,
        passed=not faults,
        compared=1 if kept is not None else 0,
        faults=faults,
        fault_count=len(faults),
        restore_seconds=(clock.boottime() - begun_ns) / NANOSECONDS,
        size_bytes=len(kept.text.encode()) if kept is not None else 0,
    )


def bring_back(job: Job, history: History) -> RestoreResult:
    """Write what git has of a device into a folder."""
    folder = target.check(job.target, (job.state,))
    known = history.commits(job.host)
    chosen = next(
        (one for one in known if one.id.startswith(job.snapshot) and (job.at_us is None or one.at_us <= job.at_us)),
        None,
    )
    if chosen is None:
        return RestoreResult(
            outcome=Outcome.SOURCE_MISSING, summary=f"no configuration of {job.host} was kept then", target=job.target,
            hint=f"watchkeeper config history {job.host}",
        )  # fmt: skip
    target.make(folder)
    path = folder / file_of(job.host)
    path.write_text(history.text_at(job.host, chosen.id), encoding="utf-8")
    path.chmod(0o600)
    return RestoreResult(
        outcome=Outcome.OK, summary=f"{path}: the configuration as git has it, without secrets that were hidden",
        snapshot=chosen.id, snapshot_at_us=chosen.at_us, target=job.target, entries=1,
    )  # fmt: skip
