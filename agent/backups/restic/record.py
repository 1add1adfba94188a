"""Writes the manifest of a fresh snapshot: out of what was seen while it was made, else out of restic's own listing."""

import dataclasses
import os
import stat
from collections.abc import Callable, Collection
from pathlib import Path

from agent.backups import Job, Outcome, Setting
from agent.backups.restic import manifest, patterns
from agent.backups.restic.census import Census, Previous, agrees, is_unchanged
from agent.backups.restic.command import Ended, Restic
from agent.backups.restic.manifest import Draft, Header, Totals
from agent.backups.restic.outcome import Message
from agent.backups.restic.survey import Survey
from agent.errors import InputError

_WHOLE_ID = 64  # digits


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """What restic is to save: `sources` below `root`, which is empty for this machine; known `holes`, `torn` entries."""

    sources: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    one_file_system: bool = False
    root: str = ""
    holes: tuple[str, ...] = ()
    torn: Collection[str] = ()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """A manifest that was written, and what it tells; `hashed` files were read for it."""

    snapshot: str
    at_us: int
    files: int
    size_bytes: int
    hashed: int
    torn: int
    manifest: str
    missing: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """A fresh snapshot: what restic said, and when (nanoseconds since the epoch) it was begun.

    `parent` is the snapshot that it was compared with, empty where restic chose.
    """

    saved: Ended
    started_ns: int
    parent: str


class Recorder:
    """Writes one manifest. `parent` is the snapshot of the last one, for restic to compare with; empty if unknown.

    The first time, everything is hashed while restic works; later there is little to hash, and often nothing to do.
    """

    def __init__(self, job: Job, setting: Setting, restic: Restic, scene: Scene) -> None:
        self._job, self._setting, self._restic, self._scene = job, setting, restic, scene
        self._path = manifest.newest(Path(job.state), job.key)
        self._previous = Previous(self._path)
        header = self._previous.header
        self.parent = header.snapshot if header is not None and self._is_there(header.snapshot) else ""
        self.census = self._census()

    @property
    def is_first(self) -> bool:
        """Whether all has to be hashed."""
        return self._previous.header is None

    def _is_there(self, snapshot: str) -> bool:
        folder = self._restic.folder
        return folder is not None and len(snapshot) == _WHOLE_ID and (folder / "snapshots" / snapshot).exists()

    def _census(self) -> Census | None:
        """Who describes the scene; None when only restic can tell what belongs to it."""
        scene = self._scene
        try:
            is_excluded = patterns.matcher(scene.exclude)
        except InputError:
            return None
        return None if scene.one_file_system else Census(
            scene.sources, self._setting.deadline, root=scene.root, is_excluded=is_excluded, torn=scene.torn,
            previous=self._previous,
        )  # fmt: skip

    def write(self, made: Made, taken: Callable[[], bool]) -> Record | Ended:
        """The manifest of what was saved, or restic's refusal to list it. `taken` waits for the census, or takes it."""
        summary = made.saved.of_type("summary") or {}
        snapshot = _whole(self._restic, str(summary["snapshot_id"])) if made.saved.outcome is Outcome.OK else ""
        with Draft(manifest.folder_of(Path(self._job.state), self._job.key), self._job.exec_id) as draft:
            if snapshot and (found := self._from_here(draft, made, taken, snapshot)) is not None:
                return found
            return self._listed(draft, str(summary["snapshot_id"]))

    def _from_here(self, draft: Draft, made: Made, taken: Callable[[], bool], snapshot: str) -> Record | None:
        summary = made.saved.of_type("summary") or {}
        header = Header(snapshot=snapshot, at_us=made.started_ns // 1000, sources=self._scene.sources)
        if (totals := self._unchanged(made, summary)) is not None:
            draft.begin(dataclasses.replace(header, totals=totals))
            draft.take_over(self._previous.body)
            return _record(header, totals, 0, draft.keep())
        found = self.census
        if found is None or not taken() or not agrees(found.totals, summary) or not found.settle(made.started_ns):
            return None
        draft.begin(dataclasses.replace(header, totals=found.totals))
        found.write(draft)
        return _record(header, found.totals, found.hashed, draft.keep(), found.unlisted)

    def _unchanged(self, made: Made, summary: Message) -> Totals | None:
        """What the last manifest comes to, if nothing at all has changed since, by restic's own comparison with it."""
        last = self._previous.header
        if last is None or last.totals is None or last.totals.torn or self._scene.torn:
            return None
        is_same = (
            made.parent == last.snapshot and last.sources == self._scene.sources and is_unchanged(summary, last.sources)
        )
        is_counted = all(_is_counted(self._scene.root, source) for source in last.sources)
        return last.totals if is_same and is_counted and agrees(last.totals, summary) else None

    def _listed(self, draft: Draft, snapshot: str) -> Record | Ended:
        """By restic's own listing: a second start of it."""
        scene = self._scene
        survey = Survey(draft, scene.sources, self._path, self._setting.deadline, root=scene.root, torn=scene.torn)
        listed = self._restic.call("ls", "--json", "--no-lock", snapshot, hear=survey.hear)
        if listed.outcome is not Outcome.OK or survey.header is None:
            return listed
        missing = survey.unlisted
        totals = Totals(files=survey.files, folders=0, size_bytes=survey.size_bytes, torn=survey.torn)
        return _record(survey.header, totals, survey.hashed, draft.keep(), missing)


def _is_counted(root: str, source: str) -> bool:
    """Whether restic counts a change of this source: of links and devices only the folder above changes, of / nothing."""
    try:
        mode = os.lstat(root + source).st_mode
    except OSError:
        return False
    return source != "/" and (stat.S_ISDIR(mode) or stat.S_ISREG(mode))


def _record(header: Header, totals: Totals, hashed: int, kept: Path, missing: tuple[str, ...] = ()) -> Record:
    return Record(
        snapshot=header.snapshot, at_us=header.at_us, files=totals.files, size_bytes=totals.size_bytes,
        hashed=hashed, torn=totals.torn, manifest=manifest.name_of(kept), missing=missing,
    )  # fmt: skip


def _whole(restic: Restic, snapshot: str) -> str:
    """The snapshot's whole id, of which old versions tell eight digits; empty when only restic knows it."""
    if len(snapshot) == _WHOLE_ID or restic.folder is None:
        return snapshot if len(snapshot) == _WHOLE_ID else ""
    found = [path.name for path in (restic.folder / "snapshots").glob(f"{snapshot}*") if len(path.name) == _WHOLE_ID]
    return found[0] if len(found) == 1 else ""
