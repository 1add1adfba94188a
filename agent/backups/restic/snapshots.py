"""Lists the snapshots of an item on a host, and picks one."""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any

from agent.backups import Job, Outcome, Setting, Snapshot, SnapshotsResult
from agent.backups.restic import paths, plausible
from agent.backups.restic.command import Ended, Restic
from agent.backups.restic.outcome import hint_for
from agent.backups.restic.survey import nanoseconds

PRODUCT_TAG = "watchkeeper"


def tags(job: Job) -> tuple[str, ...]:
    """What our snapshots carry, so that they are found again."""
    return (PRODUCT_TAG, f"item={job.item}", f"exec={job.exec_id}")


def answered(job: Job, setting: Setting) -> SnapshotsResult:
    """The snapshots of the job's item and host as its engine answers with them."""
    ended, found = listed(Restic(job, setting), job)
    if ended.outcome is not Outcome.OK:
        return SnapshotsResult(outcome=ended.outcome, summary=ended.why(), hint=hint_for(ended.outcome))
    return SnapshotsResult(outcome=Outcome.OK, summary=f"{len(found)} snapshots", snapshots=found)


def listed(restic: Restic, job: Job) -> tuple[Ended, tuple[Snapshot, ...]]:
    """The snapshots of the job's item and host, newest first."""
    ended, text = restic.ask("snapshots", "--tag", f"{PRODUCT_TAG},item={job.item}", "--host", job.host)
    if ended.outcome is not Outcome.OK:
        return ended, ()
    try:
        found = [_snapshot(one, restic.now_us) for one in json.loads(text or "null") or []]
    except (ValueError, KeyError, TypeError) as error:
        return Ended(outcome=Outcome.FAILED, errors=(f"restic's list of snapshots cannot be read: {error}",)), ()
    return ended, tuple(sorted(found, key=lambda one: one.at_us, reverse=True))


def pick(snapshots: Iterable[Snapshot], *, wanted: str = "", at_us: int | None = None) -> Snapshot | None:
    """The snapshot of that id (or its beginning), else the newest at or before a time; `snapshots` are newest first.

    One whose time cannot be true is found by its id alone.
    """
    for one in snapshots:
        if (one.id.startswith(wanted) if wanted else not one.doubt) and (at_us is None or one.at_us <= at_us):
            return one
    return None


def _snapshot(one: Mapping[str, Any], now_us: int) -> Snapshot:
    ours = dict(tag.partition("=")[::2] for tag in one.get("tags") or ())
    read = Snapshot(
        id=one["id"],
        at_us=nanoseconds(one["time"]) // 1000,
        host=one.get("hostname", ""),
        item=ours.get("item", ""),
        exec_id=ours.get("exec", ""),
        paths=tuple(map(paths.of_host, one.get("paths") or ())),
    )
    return dataclasses.replace(read, doubt=plausible.doubt(read, now_us))
