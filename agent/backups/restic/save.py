"""Saves folders by one call of restic, described meanwhile; a second call lists the snapshot when there is any doubt."""

import contextlib
import dataclasses
import errno
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from agent.backups import BackupResult, Job, Outcome, Progress, Setting
from agent.backups.restic import paths, patterns, repository, sandbox, snapshots
from agent.backups.restic.command import Ended, Restic, cache_folder
from agent.backups.restic.compare import FAULTS_KEPT, printable
from agent.backups.restic.outcome import hint_for, read_message
from agent.backups.restic.paths import MIRRORS
from agent.backups.restic.record import Made, Record, Recorder, Scene
from agent.backups.restic.wanted import Wanted
from agent.clock import NANOSECONDS
from agent.errors import InputError

__all__ = ["Scene", "save", "save_scene"]

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


def save(job: Job, setting: Setting, wanted: Wanted) -> BackupResult:
    """Save what is wanted of this machine."""
    sources = paths.distinct(map(paths.canonical, wanted.paths))
    if not any(map(os.path.lexists, sources)):
        return failed(Outcome.SOURCE_MISSING, f"there is nothing to save: {', '.join(wanted.paths)} is missing")
    scene = Scene(
        sources=sources,
        exclude=(*wanted.exclude, *_our_own(job, sources)),
        one_file_system=wanted.one_file_system,
        holes=(*_holes(sources), *_left_out(sources, wanted.exclude)),
    )
    return save_scene(job, setting, scene)


def save_scene(job: Job, setting: Setting, scene: Scene) -> BackupResult:
    """Save what is told. Paths below a root are saved from there by relative names: in the snapshot they begin at `/`."""
    restic = Restic(job, dataclasses.replace(setting, environment={**setting.environment, "TZ": "UTC"}))
    recorder = Recorder(job, setting, restic, scene)
    started_ns = setting.deadline.clock.now() * 1000
    with _counting(recorder) as taken:
        saved = _saved(job, setting, scene, restic, (started_ns, recorder.parent))
        summary = saved.of_type("summary") or {}
        if saved.outcome not in {Outcome.OK, Outcome.PARTIAL}:
            return failed(saved.outcome, saved.why())
        if not summary.get("snapshot_id"):
            return failed(Outcome.FAILED, "restic ended well and named no snapshot")
        setting.report(Progress(phase="describing", total_files=int(summary.get("total_files_processed", 0))))
        result = BackupResult(
            outcome=Outcome.OK,
            summary="",
            snapshot=str(summary["snapshot_id"]),
            at_us=started_ns // 1000,
            added_bytes=int(summary.get("data_added", 0)),
        )
        try:
            told = recorder.write(Made(saved=saved, started_ns=started_ns, parent=recorder.parent), taken)
        except TimeoutError:
            return unproven(result, Outcome.TIMEOUT, "saved, but there was no time left to write its manifest")
        except OSError as error:
            outcome = Outcome.NO_SPACE if error.errno in _NO_ROOM else Outcome.FAILED
            return unproven(result, outcome, f"saved, but its manifest cannot be written: {error.strerror}")
    if isinstance(told, Ended):
        return unproven(result, told.outcome, f"saved, but it cannot be listed: {told.why()}")
    return judged(_with(result, told), saved, [*scene.holes, *_lost(scene, told.missing)])


def _lost(scene: Scene, missing: Sequence[str]) -> Iterator[str]:
    """The sources that are not in the snapshot, apart from those of which that was known before."""
    for path in missing:
        if not any(hole.endswith(f": {printable(path)}") for hole in scene.holes):
            yield f"not in the snapshot: {printable(path)}"


@contextlib.contextmanager
def _counting(recorder: Recorder) -> Iterator[Callable[[], bool]]:
    """Gives what waits for the census: taken meanwhile if there is much to hash, else when it is asked for."""
    census = recorder.census
    if census is None or not recorder.is_first:
        yield lambda: census is not None and census.take()
        return
    from concurrent.futures import ThreadPoolExecutor  # most backups have next to nothing to hash

    with ThreadPoolExecutor(max_workers=1) as pool:
        taking = pool.submit(census.take)
        try:
            yield taking.result
        finally:
            census.stop()


def _saved(job: Job, setting: Setting, scene: Scene, restic: Restic, since: tuple[int, str]) -> Ended:
    started_ns, parent = since
    at = f"{datetime.fromtimestamp(started_ns // NANOSECONDS, UTC):%Y-%m-%d %H:%M:%S}.{started_ns % NANOSECONDS:09d}"
    arguments = ["--json", f"--host={job.host}", f"--time={at}", *(f"--tag={tag}" for tag in snapshots.tags(job))]
    arguments += [f"--exclude={pattern}" for pattern in scene.exclude]
    arguments += [f"--parent={parent}"] if parent else []
    arguments += ["--one-file-system"] if scene.one_file_system else []
    named = [path[1:] or "." for path in scene.sources] if scene.root else scene.sources
    with contextlib.chdir(scene.root or "/"):
        return repository.call_or_found(restic, job, "backup", *arguments, "--", *named, hear=progress(setting))


def _with(result: BackupResult, told: Record) -> BackupResult:
    """The result with what its manifest tells."""
    return dataclasses.replace(
        result,
        snapshot=told.snapshot,
        at_us=told.at_us,
        files=told.files,
        size_bytes=told.size_bytes,
        hashed=told.hashed,
        torn=told.torn,
        manifest=told.manifest,
    )


def judged(result: BackupResult, saved: Ended, holes: list[str]) -> BackupResult:
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


def _left_out(sources: Sequence[str], exclude: Sequence[str]) -> Iterator[str]:
    """The sources that `exclude` leaves out as a whole: nobody asks for both."""
    try:
        is_excluded = patterns.matcher(exclude)
    except InputError:
        return  # only restic knows
    for path in sources:
        if path != "/" and is_excluded(path):
            yield f"left out by `exclude`: {printable(path)}"


def _our_own(job: Job, sources: Sequence[str]) -> list[str]:
    """The repository must not save itself, nor a drill in progress."""
    ours = (
        job.repository,
        str(cache_folder(job)),
        *(str(Path(job.state) / folder) for folder in (sandbox.FOLDER, MIRRORS)),
    )
    real = [os.path.realpath(path) for path in ours]
    return [paths.literally(path) for path in real if any(paths.is_below(path, source) for source in sources)]


def progress(setting: Setting) -> Callable[[str], None]:
    """What hears restic's output and reports how far it is."""

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


def failed(outcome: Outcome, summary: str) -> BackupResult:
    """Nothing was saved."""
    return BackupResult(outcome=outcome, summary=summary, hint=hint_for(outcome))


def unproven(result: BackupResult, outcome: Outcome, summary: str) -> BackupResult:
    """A snapshot without manifest cannot be drilled: that is no success."""
    outcome = Outcome.FAILED if outcome is Outcome.OK else outcome
    return dataclasses.replace(result, outcome=outcome, summary=summary, hint=hint_for(outcome))
