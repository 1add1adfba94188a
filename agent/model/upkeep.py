"""The upkeep of repositories: what is kept, what is checked, and the snapshots that a listing shows."""

import dataclasses
import enum

from agent.model.cadence import Cadence

DAY_SECONDS = 86400.0
FLOOR_SECONDS = 7 * DAY_SECONDS  # nothing younger is ever removed, unless the policy says another `within`


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Keep:
    """Which snapshots of a backup are kept: so many of the newest per span of the calendar, and all younger than a floor."""

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    within_seconds: float = FLOOR_SECONDS
    zone: str = "UTC"


class Strange(enum.StrEnum):
    """What in a repository no work of ours explains."""

    SNAPSHOT = "snapshot"  # one that nobody of ours made
    MISSING = "missing"  # one that nobody of ours removed
    KEY = "key"  # one that nobody of ours added


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One such thing: the id of the snapshot or key, the backup that it is about, and words for people."""

    what: Strange
    id: str
    words: str
    key: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CheckPlan:
    """When a repository is checked, and within how many seconds every byte of it is read."""

    every: Cadence
    cover_seconds: float = 30 * DAY_SECONDS


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Saved:
    """A snapshot as a repository lists it. `original` is the id that it had where it was copied from, else its own.

    `exec_id` is the execution that made it, by its tag; `tree` stands for its content; `is_ours`: it bears our mark.
    """

    id: str
    original: str
    at_us: int
    host: str = ""
    item: str = ""
    exec_id: str = ""
    tree: str = ""
    is_ours: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """A snapshot as our own record knows it; `at_us` is 0 where only its id is known still.

    One that `may_be_gone` was removed elsewhere, or was about to be when nobody looked.
    """

    snapshot: str
    at_us: int
    may_be_gone: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Holding:
    """One backup on one host in a repository: what our record knows of it, and what must never be removed.

    Without `keep` nothing of it is removed. `tries` are executions that may have left a snapshot without a record.
    """

    key: str
    item: str
    host: str
    keep: Keep | None = None
    recorded: tuple[Recorded, ...] = ()
    protected: tuple[str, ...] = ()
    tries: tuple[str, ...] = ()
