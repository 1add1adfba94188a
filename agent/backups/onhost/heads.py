"""What snapshots say of themselves, by our own restic, and whether one is what was ordered."""

import dataclasses
import json
from collections.abc import Sequence

from agent.backups import Job
from agent.backups.restic import snapshots
from agent.backups.restic.survey import nanoseconds

_SHOWN = 200  # characters of what is not as it should be


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """One snapshot: its id, the id of its tree (the same for the same content and metadata), what it says of itself."""

    id: str
    tree: str
    host: str
    paths: tuple[str, ...]
    tags: tuple[str, ...]
    at_us: int


def read(text: str) -> dict[str, Head]:
    """The snapshots of `restic snapshots --json`, by id; none where that cannot be read."""
    try:
        found = [
            Head(
                id=str(one["id"]),
                tree=str(one["tree"]),
                host=str(one.get("hostname")),
                paths=tuple(sorted(map(str, one.get("paths") or ()))),
                tags=tuple(sorted(map(str, one.get("tags") or ()))),
                at_us=nanoseconds(str(one["time"])) // 1000,
            )
            for one in json.loads(text or "[]") or []
        ]
    except (ValueError, KeyError, TypeError):
        return {}
    return {one.id: one for one in found}


def wrong(head: Head, job: Job, sources: Sequence[str], began_us: int) -> str:
    """What a snapshot says of itself and should not; empty when it is what was ordered, to the second."""
    due = {
        "host": (head.host, job.host),
        "paths": (head.paths, tuple(sorted(sources))),
        "tags": (head.tags, tuple(sorted(snapshots.tags(job)))),
        "time": (head.at_us, began_us),
    }
    for name, (said, ordered) in due.items():
        if said != ordered:
            return f"its {name}: {json.dumps(said)[:_SHOWN]}"
    return ""
