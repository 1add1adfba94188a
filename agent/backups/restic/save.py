"""Saves folders: restic's backup, then the manifest of what it saved. Two calls of restic, and none more."""

import contextlib
import dataclasses
import errno
import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from agent.backups import BackupResult, Job, Outcome, Progress, Setting
from agent.backups.restic import manifest, paths, repository, sandbox, snapshots
from agent.backups.restic.command import Ended, Restic, cache_folder
from agent.backups.restic.compare import FAULTS_KEPT, printable
from agent.backups.restic.manifest import Draft
from agent.backups.restic.outcome import Message, hint_for, read_message
from agent.backups.restic.survey import Survey
from agent.backups.restic.wanted import Wanted

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """What restic is to save: `sources` below `root`, which is empty for this machine; known `holes`, `torn` entries."""

    sources: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    one_file_system: bool = False
    root: str = ""
    holes: tuple[str, ...] = ()
    torn: Collection[str] = ()


def save(job: Job, setting: Setting, wanted: Wanted) -> BackupResult:
    """Save what is wanted of this machine."""
    sources = paths.distinct(map(paths.canonical, wanted.paths))
    if not any(map(os.path.lexists, sources)):
        return _failed(Outcome.SOURCE_MISSING, f"there is nothing to save: {', '.join(wanted.paths)} is missing")
    scene = Scene(
        sources=sources,
        exclude=(*wanted.exclude, *_our_own(job, sources)),
        one_file_system=wanted.one_file_system,
        holes=tuple(_holes(sources)),
    )
    return save_scene(job, setting, scene)


def save_scene(job: Job, setting: Setting, scene: Scene) -> BackupResult:
    """Save what is told. Paths below a root are saved from there by relative names: in the snapshot they begin at `/`."""
    restic = Restic(job, setting)
    arguments = ["--json", f"--host={job.host}", *(f"--tag={tag}" for tag in snapshots.tags(job))]
    arguments += [f"--exclude={pattern}" for pattern in scene.exclude]
    arguments += ["--one-file-system"] if scene.one_file_system else []
    named = [path[1:] or "." for path in scene.sources] if scene.root else scene.sources
    with contextlib.chdir(scene.root or "/"):
        saved = repository.call_or_found(restic, job, "backup", *arguments, "--", *named, hear=_progress(setting))
    summary = saved.of_type("summary") or {}
    if saved.outcome not in {Outcome.OK, Outcome.PARTIAL}:
        return _failed(saved.outcome, saved.why())
    if not summary.get("snapshot_id"):
        return _failed(Outcome.FAILED, "restic ended well and named no snapshot")
    return _described(job, setting, restic, (saved, summary, scene))


def _described(job: Job, setting: Setting, restic: Restic, done: tuple[Ended, Message, Scene]) -> BackupResult:
    """The result of a saved snapshot, with its manifest."""
    saved, summary, scene = done
    result = BackupResult(
        outcome=Outcome.OK,
        summary="",
        snapshot=str(summary["snapshot_id"]),
        added_bytes=int(summary.get("data_added", 0)),
    )
    setting.report(Progress(phase="describing", total_files=int(summary.get("total_files_processed", 0))))
    folder = manifest.folder_of(Path(job.state), job.key)
    try:
        with Draft(folder, job.exec_id) as draft:
            previous = manifest.newest(Path(job.state), job.key)
            survey = Survey(draft, scene.sources, previous, setting.deadline, root=scene.root, torn=scene.torn)
            listed = restic.call("ls", "--json", "--no-lock", result.snapshot, hear=survey.hear)
            if listed.outcome is not Outcome.OK or survey.header is None:
                return _unproven(result, listed.outcome, f"saved, but it cannot be listed: {listed.why()}")
            kept = draft.keep()
    except TimeoutError:
        return _unproven(result, Outcome.TIMEOUT, "saved, but there was no time left to write its manifest")
    except OSError as error:
        outcome = Outcome.NO_SPACE if error.errno in _NO_ROOM else Outcome.FAILED
        return _unproven(result, outcome, f"saved, but its manifest cannot be written: {error.strerror}")
    result = dataclasses.replace(
        result,
        snapshot=survey.header.snapshot,
        at_us=survey.header.at_us,
        files=survey.files,
        size_bytes=survey.size_bytes,
        hashed=survey.hashed,
        torn=survey.torn,
        manifest=manifest.name_of(kept),
    )
    unlisted = [f"not in the snapshot: {path}" for path in survey.unlisted if os.path.lexists(scene.root + path)]
    return _judged(result, saved, [*scene.holes, *unlisted])


def _judged(result: BackupResult, saved: Ended, holes: list[str]) -> BackupResult:
    """The result with its holes counted and said in words."""
    unread = list(dict.fromkeys(f"not read: {line}" for line in saved.errors if saved.error_count))
    faults = [*holes, *unread]
    count = max(len(faults), saved.error_count)
    is_whole = saved.outcome is Outcome.OK and not faults
    words = f"{result.files} files, {result.size_bytes} bytes, {result.added_bytes} new"
    return dataclasses.replace(
        result,
        outcome=Outcome.OK if is_whole else Outcome.PARTIAL,
        summary=f"saved {words}"
        if is_whole
        else f"saved {words}; {max(count, 1)} missing, first: {(faults or ['?'])[0]}",
        hint="" if is_whole else hint_for(Outcome.PARTIAL),
        faults=tuple(faults[:FAULTS_KEPT]),
        fault_count=count,
    )


def _holes(sources: Sequence[str]) -> list[str]:
    """What restic would pass over in silence: before 0.19 it exits 0 when one of several sources is missing."""
    return [
        f"does not exist: {printable(path)}"
        if not os.path.lexists(path)
        else f"only the link itself: {printable(path)}"
        for path in sources
        if not Path(path).exists() or Path(path).is_symlink()
    ]


def _our_own(job: Job, sources: Sequence[str]) -> list[str]:
    """The repository must not save itself, nor a drill in progress."""
    ours = (job.repository, str(cache_folder(job)), str(Path(job.state) / sandbox.FOLDER))
    real = [os.path.realpath(path) for path in ours]
    return [paths.literally(path) for path in real if any(paths.is_below(path, source) for source in sources)]


def _progress(setting: Setting) -> Callable[[str], None]:
    def hear(line: str) -> None:
        message = read_message(line) or {}
        if message.get("message_type") == "status":
            setting.report(
                Progress(
                    phase="saving",
                    files=message.get("files_done", 0),
                    total_files=message.get("total_files", 0),
                    size_bytes=message.get("bytes_done", 0),
                    total_bytes=message.get("total_bytes", 0),
                )
            )

    return hear


def _failed(outcome: Outcome, summary: str) -> BackupResult:
    return BackupResult(outcome=outcome, summary=summary, hint=hint_for(outcome))


def _unproven(result: BackupResult, outcome: Outcome, summary: str) -> BackupResult:
    """A snapshot without manifest cannot be drilled: that is no success."""
    outcome = Outcome.FAILED if outcome is Outcome.OK else outcome
    return dataclasses.replace(result, outcome=outcome, summary=summary, hint=hint_for(outcome))
