"""Lists a whole repository, and removes from it exactly the snapshots that it is told, by their ids."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agent.backups import Outcome
from agent.backups.restic.command import Ended, Restic
from agent.backups.restic.snapshots import PRODUCT_TAG
from agent.backups.restic.survey import nanoseconds
from agent.model.upkeep import Saved

AT_ONCE = 500  # ids in one command line


def everything(restic: Restic) -> tuple[Ended, tuple[Saved, ...]]:
    """Every snapshot of the repository, whoever made it, the newest first."""
    ended, text = restic.ask("snapshots")
    if ended.outcome is not Outcome.OK:
        return ended, ()
    try:
        found = [_saved(one) for one in json.loads(text or "null") or []]
    except (ValueError, KeyError, TypeError) as error:
        return Ended(outcome=Outcome.FAILED, errors=(f"restic's list of snapshots cannot be read: {error}",)), ()
    return ended, tuple(sorted(found, key=lambda one: (one.at_us, one.id), reverse=True))


def _saved(one: Mapping[str, Any]) -> Saved:
    tags = [str(tag) for tag in one.get("tags") or ()]
    ours = dict(tag.partition("=")[::2] for tag in tags)
    return Saved(
        id=one["id"],
        original=one.get("original") or one["id"],
        at_us=nanoseconds(one["time"]) // 1000,
        host=one.get("hostname", ""),
        item=ours.get("item", ""),
        exec_id=ours.get("exec", ""),
        tree=one.get("tree", ""),
        is_ours=PRODUCT_TAG in tags,
    )


def keys(restic: Restic) -> tuple[Ended, tuple[str, ...]]:
    """The ids of the keys that open the repository."""
    ended, text = restic.ask("key", "list")
    if ended.outcome is not Outcome.OK:
        return ended, ()
    try:
        return ended, tuple(sorted(str(one["id"]) for one in json.loads(text or "null") or []))
    except (ValueError, KeyError, TypeError) as error:
        return Ended(outcome=Outcome.FAILED, errors=(f"restic's list of keys cannot be read: {error}",)), ()


def forget(restic: Restic, ids: Sequence[str]) -> Iterator[tuple[Ended, tuple[str, ...]]]:
    """Remove these, and no others; yields after each command line how it ended and what it was about."""
    for begin in range(0, len(ids), AT_ONCE):
        some = tuple(ids[begin : begin + AT_ONCE])
        ended = restic.call("forget", *some)
        yield ended, some
        if ended.outcome is not Outcome.OK:
            return


def prune(restic: Restic) -> Ended:
    """Free what no snapshot needs. Where there is no room to write, what can be freed without writing is freed first."""
    ended = restic.call("prune")
    if ended.outcome is not Outcome.NO_SPACE:
        return ended
    freed = restic.call("prune", "--max-repack-size", "0")
    return ended if freed.outcome is not Outcome.OK else restic.call("prune")
