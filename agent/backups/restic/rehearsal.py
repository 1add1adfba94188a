"""Restores what was selected of a snapshot into a sandbox and compares it with the manifest."""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

from agent.backups import Outcome, Progress, Setting
from agent.backups.restic import ahead, paths
from agent.backups.restic.choosing import UnprovenError
from agent.backups.restic.command import Ended, Restic
from agent.backups.restic.compare import Comparer, Comparison
from agent.backups.restic.early import Early
from agent.backups.restic.selection import Selection
from agent.clock import NANOSECONDS

_WORTH_COMPARING = {Outcome.OK, Outcome.PARTIAL, Outcome.DAMAGED, Outcome.FAILED}
_ARGUMENT_BYTES = 500_000  # of patterns in one call; the kernel takes 2 MB, 0.14 reads them from nowhere else

_FROM_THE_SOURCE = ("--json", "--no-cache")  # what a cache still has proves nothing about the repository


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Rehearsed:
    """What became of it: how restic ended, after how many seconds, and what the comparison found."""

    ended: Ended
    found: Comparison
    restored_seconds: float

    def faults(self) -> tuple[list[str], int]:
        """What is wrong with it, bounded, and how much that is."""
        told = []
        if self.ended.outcome is not Outcome.OK:
            told = [f"restic: {line}" for line in self.ended.errors] or [self.ended.why()]
        nothing = [] if self.found.compared else ["nothing could be compared"]
        faults = [*self.found.faults, *nothing, *told]
        return faults, len(faults) - len(self.found.faults) + self.found.fault_count


def rehearse(setting: Setting, restic: Restic, selection: Selection, box: Path) -> Rehearsed:
    """Restore into the box, and compare. UnprovenError when restic restored nothing that could be looked at."""
    clock = setting.deadline.clock
    setting.report(Progress(phase="restoring", total_files=selection.count, total_bytes=selection.size_bytes))
    begun_ns = clock.boottime()
    early = Early(box, selection.entries(), setting.deadline)
    with early:
        ended = _restore(restic, selection, box)
    restored_ns = clock.boottime()
    if ended.outcome not in _WORTH_COMPARING:
        raise UnprovenError(ended.outcome, ended.why())
    try:
        found = _compare(setting, selection, box, early)
    except TimeoutError:
        raise UnprovenError(Outcome.TIMEOUT, "restored, but there was no time left to compare") from None
    return Rehearsed(
        ended=ended,
        found=found,
        restored_seconds=(restored_ns - begun_ns) / NANOSECONDS,
    )


def _restore(restic: Restic, selection: Selection, box: Path) -> Ended:
    """One call, or as many as the patterns of a large sample need; the first that goes wrong is the last."""
    ended = Ended(outcome=Outcome.OK)
    for only in _batches(selection.include) if selection.then is not None else [[]]:
        ended = restic.call("restore", selection.header.snapshot, *_FROM_THE_SOURCE, "--target", str(box), *only)
        if ended.outcome is not Outcome.OK:
            break
    return ended


def _batches(include: tuple[str, ...]) -> Iterator[list[str]]:
    batch: list[str] = []
    room = _ARGUMENT_BYTES
    for path in include:
        pattern = f"--include={paths.literally(path)}"
        room -= len(os.fsencode(pattern))
        if batch and room < 0:
            yield batch
            batch, room = [], _ARGUMENT_BYTES
        batch.append(pattern)
    if batch:
        yield batch


def _compare(setting: Setting, selection: Selection, box: Path, early: Early) -> Comparison:
    def tick(files: int, done_bytes: int) -> None:
        setting.report(
            Progress(
                phase="comparing",
                files=files,
                total_files=selection.count,
                size_bytes=done_bytes,
                total_bytes=selection.size_bytes,
            )
        )

    with ahead.Ahead(box, setting.deadline, early) as reading:
        comparer = Comparer(
            box, setting.deadline, owners=os.geteuid() == 0, tick=tick, digest=reading.digest
        )  # fmt: skip
        return comparer.compare(lambda: reading.entries(selection.entries()), selection.header.sources)
