"""Restores a snapshot, or a part of it: into a new or empty folder or back in place, and checked before it is praised."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from agent.backups import Job, Outcome, Progress, RestoreResult, Setting, Snapshot
from agent.backups.restic import compare, holes, in_place, manifest, paths, sandbox, snapshots, target
from agent.backups.restic.command import Ended, Restic
from agent.backups.restic.compare import FAULTS_KEPT, Comparer
from agent.backups.restic.in_place import Shape
from agent.backups.restic.manifest import Entry
from agent.backups.restic.outcome import hint_for
from agent.errors import AgentError


def bring_back(job: Job, setting: Setting) -> RestoreResult:
    """Restore the newest snapshot at or before `at_us` into `target`; with `in_place` onto the host behind `route`."""
    folder = None if job.in_place else target.check(job.target, (job.repository, job.state))
    restic = Restic(job, setting)
    ended, known = snapshots.listed(restic, job)
    if ended.outcome is not Outcome.OK:
        return _failed(job, ended.outcome, ended.why())
    chosen = snapshots.pick(known, wanted=job.snapshot, at_us=job.at_us)
    if chosen is None:
        why = "there is no snapshot" if not known else f"none of {len(known)} snapshots is old enough, or of that id"
        return _failed(job, Outcome.SOURCE_MISSING, why, "run: watchkeeper backup snapshots")
    one = _Return(job, setting, chosen)
    if folder is not None:
        return one.run(restic, folder)
    return in_place.put_back(job, setting, lambda box: one.run(restic, box), one.shape)


class _Return:
    """One restore of one snapshot."""

    def __init__(self, job: Job, setting: Setting, chosen: Snapshot) -> None:
        self._job, self._setting, self._chosen = job, setting, chosen
        is_told = job.in_place or job.route is not None  # links of today, or of another host, say nothing of then
        self._real = os.path.normpath if is_told else paths.canonical
        self._include = paths.distinct(map(self._real, job.include))
        self._manifest = self._find()
        self._bytes, self._count = self._extent()

    def shape(self, folder: Path) -> Shape:
        """What was restored into the folder, as paths of the host."""
        holey = tuple(entry.path for entry in self._entries() if entry.has_holes)
        return Shape(tops=self._tops(folder), holey=holey)

    def _tops(self, folder: Path) -> tuple[str, ...]:
        told = self._include or (manifest.read(self._manifest)[0].sources if self._manifest else self._chosen.paths)
        there = [path for path in told if os.path.lexists(f"{folder}{path}")]
        return paths.distinct(there or (f"/{name}" for name in os.listdir(folder)))  # noqa: PTH208  names alone

    def run(self, restic: Restic, folder: Path) -> RestoreResult:
        """Restore, then look whether it is all there."""
        target.make(folder)
        lacking = sandbox.lacking_bytes(folder, self._bytes, self._count)
        if lacking:
            return _failed(self._job, Outcome.NO_SPACE, f"{lacking} bytes are missing in {folder}")
        self._setting.report(Progress(phase="restoring", total_files=self._count, total_bytes=self._bytes))
        only = [f"--include={paths.literally(path)}" for path in self._include]
        proof = [] if self._manifest else ["--verify"]
        ended = restic.call("restore", self._chosen.id, "--json", "--target", str(folder), *only, *proof)
        if ended.outcome not in {Outcome.OK, Outcome.PARTIAL, Outcome.FAILED, Outcome.DAMAGED}:
            return _failed(self._job, ended.outcome, ended.why())
        try:
            return self._judge(ended, folder)
        except TimeoutError:
            return _failed(self._job, Outcome.TIMEOUT, "restored, but there was no time left to compare")

    def _judge(self, ended: Ended, folder: Path) -> RestoreResult:
        """Restic exits 0 also when an include matches nothing: what counts is what lies there."""
        missing = [f"nothing of that name in the snapshot: {path}" for path in self._job.include]
        absent = [line for line, path in zip(missing, map(self._real, self._job.include), strict=True)
                  if not os.path.lexists(f"{folder}{path}")]  # fmt: skip
        told = [] if ended.outcome is Outcome.OK else [f"restic: {line}" for line in ended.errors] or [ended.why()]
        large = 0 if self._job.in_place else holes.dig(folder, self._entries(), self._setting.deadline)
        entries, differences, count = self._compare(folder)
        faults = [*absent, *told, *differences]
        outcome = ended.outcome
        if outcome is Outcome.OK and (absent or not entries):
            outcome = Outcome.SOURCE_MISSING
        elif outcome is Outcome.OK and faults:
            outcome = Outcome.FAILED
        summary = f"{entries} entries restored into {folder}"
        summary += "" if self._manifest else "; its record is not here, so restic alone has verified it"
        summary += f"; {large} files had holes and take more room now" if large else ""
        return RestoreResult(
            outcome=outcome,
            summary=summary if not faults else f"{summary}, but: {faults[0]}",
            hint="run: watchkeeper backup snapshots" if outcome is Outcome.SOURCE_MISSING else hint_for(outcome),
            snapshot=self._chosen.id,
            snapshot_at_us=self._chosen.at_us,
            target=str(folder),
            entries=entries,
            faults=tuple(faults[:FAULTS_KEPT]),
            fault_count=len(absent) + len(told) + count,
        )

    def _compare(self, folder: Path) -> tuple[int, tuple[str, ...], int]:
        """Entries that are there, differences from the manifest (where there is one), and their number."""
        if self._manifest is None:
            return sum(len(folders) + len(files) for _, folders, files in os.walk(folder)), (), 0
        comparer = Comparer(folder, self._setting.deadline, owners=os.geteuid() == 0, tick=self._tick)
        sources = self._include or manifest.read(self._manifest)[0].sources
        found = comparer.compare(self._entries, sources)
        return found.compared + found.torn, found.faults, found.fault_count

    def _entries(self) -> Iterator[Entry]:
        return compare.below(manifest.read(self._manifest)[1], self._include) if self._manifest else iter(())

    def _extent(self) -> tuple[int, int]:
        sizes = [entry.size for entry in self._entries()]
        return sum(sizes), len(sizes)

    def _find(self) -> Path | None:
        """The manifest of the snapshot; a restore goes on without it, for it may be all that is left."""
        path = manifest.find(Path(self._job.state), self._job.key, self._chosen.exec_id)
        try:
            if path is not None:
                manifest.verify(path)
        except AgentError:
            return None
        return path

    @property
    def _tick(self) -> Callable[[int, int], None]:
        return lambda files, size_bytes: self._setting.report(
            Progress(
                phase="comparing", files=files, size_bytes=size_bytes, total_files=self._count, total_bytes=self._bytes
            )
        )


def _failed(job: Job, outcome: Outcome, summary: str, hint: str = "") -> RestoreResult:
    return RestoreResult(outcome=outcome, summary=summary, hint=hint or hint_for(outcome), target=job.target)
