"""Writes the manifest of a fresh snapshot: out of what was seen while it was made, else out of restic's own listing."""

import dataclasses
import os
from collections.abc import Callable, Collection
from pathlib import Path

from agent.backups import Job, Outcome, Setting
from agent.backups.restic import manifest, patterns
from agent.backups.restic.census import Census
from agent.backups.restic.command import Ended, Restic
from agent.backups.restic.manifest import Draft, Header
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
    """A fresh snapshot: of what, what restic said, and when (nanoseconds since the epoch) it was begun."""

    scene: Scene
    saved: Ended
    started_ns: int


def census(job: Job, setting: Setting, scene: Scene) -> Census | None:
    """Who describes the scene while restic is at work; None when only restic can tell what belongs to it."""
    try:
        is_excluded = patterns.matcher(scene.exclude)
    except InputError:
        return None
    previous = manifest.newest(Path(job.state), job.key)
    return None if scene.one_file_system else Census(
        scene.sources, setting.deadline, root=scene.root, is_excluded=is_excluded, torn=scene.torn, previous=previous
    )  # fmt: skip


def write(job: Job, setting: Setting, restic: Restic, made: Made, taken: Callable[[], Census | None]) -> Record | Ended:
    """The manifest of what was saved, or restic's refusal to list it. `taken` waits for the census."""
    scene, saved, started_ns = made.scene, made.saved, made.started_ns
    summary = saved.of_type("summary") or {}
    snapshot = _whole(restic, str(summary["snapshot_id"])) if saved.outcome is Outcome.OK else ""
    with Draft(manifest.folder_of(Path(job.state), job.key), job.exec_id) as draft:
        found = taken() if snapshot else None
        if found is not None and found.agrees(summary) and found.settle(started_ns):
            header = Header(snapshot=snapshot, at_us=started_ns // 1000, sources=scene.sources)
            draft.begin(header)
            found.write(draft)
            return _record(header, found, draft.keep())
        previous = manifest.newest(Path(job.state), job.key)
        survey = Survey(draft, scene.sources, previous, setting.deadline, root=scene.root, torn=scene.torn)
        listed = restic.call("ls", "--json", "--no-lock", str(summary["snapshot_id"]), hear=survey.hear)
        if listed.outcome is not Outcome.OK or survey.header is None:
            return listed
        missing = tuple(path for path in survey.unlisted if os.path.lexists(scene.root + path))
        return _record(survey.header, survey, draft.keep(), missing)


def _record(header: Header, found: Census | Survey, kept: Path, missing: tuple[str, ...] = ()) -> Record:
    return Record(
        snapshot=header.snapshot, at_us=header.at_us, files=found.files, size_bytes=found.size_bytes,
        hashed=found.hashed, torn=found.torn, manifest=manifest.name_of(kept), missing=missing,
    )  # fmt: skip


def _whole(restic: Restic, snapshot: str) -> str:
    """The snapshot's whole id, of which old versions tell eight digits; empty when only restic knows it."""
    if len(snapshot) == _WHOLE_ID or restic.folder is None:
        return snapshot if len(snapshot) == _WHOLE_ID else ""
    found = [path.name for path in (restic.folder / "snapshots").glob(f"{snapshot}*") if len(path.name) == _WHOLE_ID]
    return found[0] if len(found) == 1 else ""
