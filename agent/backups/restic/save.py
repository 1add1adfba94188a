"""Saves folders: restic's backup, then the manifest of what it saved. Two calls of restic, and none more."""

import dataclasses
import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from agent.backups import BackupResult, Job, Outcome, Progress, Setting
from agent.backups.restic import manifest, paths, repository, sandbox, snapshots
from agent.backups.restic.command import Ended, Restic, cache_folder
from agent.backups.restic.compare import FAULTS_KEPT, printable
from agent.backups.restic.manifest import Draft
from agent.backups.restic.outcome import Message, hint_for, read_message
from agent.backups.restic.survey import Survey

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


def save(job: Job, setting: Setting, wanted: Sequence[str], exclude: Sequence[str]) -> BackupResult:
    """Save these paths, apart from what matches `exclude` (restic's patterns)."""
    sources = paths.distinct(map(paths.canonical, wanted))
    if not any(map(os.path.lexists, sources)):
        return _failed(Outcome.SOURCE_MISSING, f"there is nothing to save: {', '.join(wanted)} is missing")
    restic = Restic(job, setting)
    arguments = ["--json", f"--host={job.host}", *(f"--tag={tag}" for tag in snapshots.tags(job))]
    arguments += [f"--exclude={pattern}" for pattern in (*exclude, *_our_own(job, sources))]
    holes = _holes(sources)
    saved = repository.call_or_found(restic, job, "backup", *arguments, "--", *sources, hear=_progress(setting))
    summary = saved.of_type("summary") or {}
    if saved.outcome not in {Outcome.OK, Outcome.PARTIAL}:
        return _failed(saved.outcome, saved.why())
    if not summary.get("snapshot_id"):
        return _failed(Outcome.FAILED, "restic ended well and named no snapshot")
    return _described(job, setting, restic, (saved, summary, sources, holes))


def _described(
    job: Job, setting: Setting, restic: Restic, done: tuple[Ended, Message, tuple[str, ...], list[str]]
) -> BackupResult:
    """The result of a saved snapshot, with its manifest."""
    saved, summary, sources, holes = done
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
            survey = Survey(draft, sources, manifest.newest(Path(job.state), job.key), setting.deadline)
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
    unlisted = [f"not in the snapshot: {path}" for path in survey.unlisted if os.path.lexists(path)]
    return _judged(result, saved, [*holes, *unlisted])


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
