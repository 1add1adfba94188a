"""Proves a snapshot: restores it whole into a sandbox and compares every entry with the manifest."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from agent.backups import DrillResult, Job, Outcome, Progress, Setting
from agent.backups.restic import manifest, paths, sandbox, snapshots
from agent.backups.restic.command import Ended, Restic
from agent.backups.restic.compare import FAULTS_KEPT, Comparer, Comparison
from agent.backups.restic.manifest import Entry, Header
from agent.backups.restic.outcome import hint_for
from agent.clock import NANOSECONDS
from agent.errors import AgentError

_NAME = re.compile(r"[0-9a-f]{16}/[A-Za-z0-9_-]{1,64}\.[0-9a-f]{64}\.gz")
_WORTH_COMPARING = {Outcome.OK, Outcome.PARTIAL, Outcome.DAMAGED, Outcome.FAILED}


def drill(job: Job, setting: Setting) -> DrillResult:
    """Restore, compare, tidy up; every doubt is a fault."""
    state = Path(job.state)
    sandbox.sweep(state)
    restic = Restic(job, setting)
    chosen = _choose(job, restic)
    if isinstance(chosen, DrillResult):
        return chosen
    try:
        manifest.verify(chosen)
        header, _ = manifest.read(chosen)
        size_bytes, entries = _extent(chosen)
        if not header.snapshot.startswith(job.snapshot):
            return _failed(job, Outcome.FAILED, f"the manifest {chosen.name} belongs to snapshot {header.snapshot}")
    except AgentError as error:
        return _failed(job, Outcome.FAILED, str(error), error.hint)
    with sandbox.sandbox(state, job.exec_id) as box:
        lacking = sandbox.lacking_bytes(box, size_bytes, entries)
        if lacking:
            return _failed(
                job, Outcome.NO_SPACE, f"{lacking} bytes are missing in {box.parent} to restore {size_bytes}"
            )
        return _Drill(job, setting, chosen, header).run(restic, box, size_bytes)


def _choose(job: Job, restic: Restic) -> Path | DrillResult:
    """The manifest of the point to prove: as ordered, else of the newest snapshot that has one."""
    state = Path(job.state)
    if job.manifest:
        if not _NAME.fullmatch(job.manifest):
            return _failed(job, Outcome.FAILED, f"{job.manifest!r} is no name of a manifest")
        return state / manifest.FOLDER / job.manifest
    ended, known = snapshots.listed(restic, job)
    if ended.outcome is not Outcome.OK:
        return _failed(job, ended.outcome, ended.why())
    for one in known:
        path = manifest.find(state, job.key, one.exec_id) if one.id.startswith(job.snapshot) else None
        if path is not None:
            return path
    if known:
        return _failed(job, Outcome.FAILED, "manifest missing: no snapshot can be compared", "run the backup again")
    return _failed(job, Outcome.SOURCE_MISSING, "there is no snapshot to prove", "run the backup first")


def _extent(path: Path) -> tuple[int, int]:
    """Bytes and entries of a manifest."""
    size_bytes = entries = 0
    for entry in manifest.read(path)[1]:
        size_bytes += entry.size
        entries += 1
    return size_bytes, entries


class _Drill:
    """One drill in its sandbox."""

    def __init__(self, job: Job, setting: Setting, path: Path, header: Header) -> None:
        self._job, self._setting, self._path, self._header = job, setting, path, header
        self._faults: list[str] = []

    def run(self, restic: Restic, box: Path, size_bytes: int) -> DrillResult:
        """Restore into the box and say what is wrong with it."""
        clock = self._setting.deadline.clock
        self._setting.report(Progress(phase="restoring", total_bytes=size_bytes))
        begun = clock.boottime()
        ended = restic.call("restore", self._header.snapshot, "--json", "--target", str(box))
        seconds = (clock.boottime() - begun) / NANOSECONDS
        if ended.outcome not in _WORTH_COMPARING:
            return _failed(self._job, ended.outcome, ended.why())
        try:
            found = self._compare(box, size_bytes)
        except TimeoutError:
            return _failed(self._job, Outcome.TIMEOUT, "restored, but there was no time left to compare")
        self._contains(box)
        if self._job.rto_seconds is not None and seconds > self._job.rto_seconds:
            self._faults.append(f"the restore took {seconds:.1f} s, more than its rto of {self._job.rto_seconds:g} s")
        return self._judge(ended, found, seconds)

    def _compare(self, box: Path, size_bytes: int) -> Comparison:
        def tick(files: int, done_bytes: int) -> None:
            self._setting.report(
                Progress(phase="comparing", files=files, size_bytes=done_bytes, total_bytes=size_bytes)
            )

        comparer = Comparer(box, self._setting.deadline, owners=os.geteuid() == 0, tick=tick)
        return comparer.compare(self._entries, self._header.sources)

    def _entries(self) -> Iterator[Entry]:
        return manifest.read(self._path)[1]

    def _contains(self, box: Path) -> None:
        """The paths that must be in every point, whatever the manifest says."""
        for path in self._job.contains:
            real = paths.canonical(path)
            if not any(paths.is_below(real, source) for source in self._header.sources):
                self._faults.append(f"must be there, but is not below what is saved: {path}")
            elif not os.path.lexists(f"{box}{real}"):
                self._faults.append(f"must be there, and is not: {path}")

    def _judge(self, ended: Ended, found: Comparison, seconds: float) -> DrillResult:
        told = [] if ended.outcome is Outcome.OK else [f"restic: {line}" for line in ended.errors] or [ended.why()]
        nothing = [] if found.compared else ["nothing could be compared"]
        faults = [*self._faults, *found.faults, *nothing, *told]
        count = len(faults) - len(found.faults) + found.fault_count
        outcome = ended.outcome if ended.outcome is not Outcome.OK else Outcome.FAILED if faults else Outcome.OK
        words = f"{found.compared} entries restored in {seconds:.1f} s"
        return DrillResult(
            outcome=outcome,
            summary=f"{words} and as they were" if not faults else f"{words}, {count} faults, first: {faults[0]}",
            hint=hint_for(outcome),
            snapshot=self._header.snapshot,
            passed=not faults,
            compared=found.compared,
            torn=found.torn,
            faults=tuple(faults[:FAULTS_KEPT]),
            fault_count=count,
            restore_seconds=seconds,
            size_bytes=found.size_bytes,
        )


def _failed(job: Job, outcome: Outcome, summary: str, hint: str = "") -> DrillResult:
    """A drill that proved nothing."""
    return DrillResult(
        outcome=outcome,
        summary=summary,
        hint=hint or hint_for(outcome),
        snapshot=job.snapshot,
        faults=(summary,),
        fault_count=1,
    )
