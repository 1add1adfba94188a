"""Backups: what is to be saved, where, how often, and how it is to be proven."""

import dataclasses
import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from agent.model.cadence import Cadence
from agent.model.device import Reaction
from agent.model.upkeep import CheckPlan, Keep


class Standing(enum.StrEnum):
    """The verdict over one backup on one host."""

    PENDING = "pending"  # never ran
    GOOD = "good"
    PARTIAL = "partial"  # saved, but some files could not be read
    STALE = "stale"  # older than its rpo
    UNPROVEN = "unproven"  # its drill is overdue
    FAILED = "failed"  # the last run or the last drill failed


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Repository:
    """Where restic keeps its data; password, credentials and a secret url are references, never values.

    `url` is a full path or what restic takes for one (`sftp:`, `rest:`, `s3:`), empty where `url_secret` names it.
    `credentials` lead from the name of a credential to the name of its secret. With `per_host` each host has a
    repository of its own below the url. `at_once` jobs may work there, each at `limit_bits` per second at most;
    `lock_wait_seconds` is how long one waits for a lock that is not ours.
    """

    name: str
    url: str
    password_secret: str
    url_secret: str = ""
    credentials: Mapping[str, str] = dataclasses.field(default_factory=lambda: MappingProxyType({}))
    per_host: bool = True
    at_once: int = 4
    limit_bits: float | None = None
    lock_wait_seconds: float = 60.0
    check: CheckPlan | None = None
    prune: Cadence = ()  # without any: nothing is ever removed

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of all secrets it needs."""
        named = (self.password_secret, self.url_secret, *self.credentials.values())
        return tuple(dict.fromkeys(name for name in named if name))


NOWHERE = Repository(name="", url="", password_secret="", per_host=False)  # of a backup that keeps its own history


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DrillPlan:
    """How a backup is proven: when, which paths must be there, within how many seconds from order to proof.

    `sample` files are restored per drill; 0 stands for the whole snapshot. `playbook` is run against what was restored.
    """

    every: Cadence
    contains: tuple[str, ...] = ()
    rto_seconds: float | None = None
    sample: int = 0
    playbook: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Around:
    """A playbook that runs on the host before a backup, or after it."""

    playbook: str
    variables: tuple[tuple[str, Any], ...] = ()
    timeout_seconds: float = 1800.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Retries:
    """How often a backup that failed by what may pass is tried again, and so many seconds after each try."""

    attempts: int = 0
    pause_seconds: float = 300.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Backup:
    """One backup on one host, expanded. `options` is the validated model of its engine (`kind`).

    `cleanup` runs after whatever came of `prepare` and the backup. `skip_unless` is a shell command on the host: unless
    it exits 0 the backup is left out. `window` is the id of the window within which it may begin.
    """

    key: str
    item: str
    service: str
    host: str
    kind: str
    options: object
    repository: Repository
    every: Cadence
    splay_seconds: float = 0.0
    run_missed: bool = True
    rpo_seconds: float | None = None
    drill: DrillPlan | None = None
    drift: Reaction = Reaction.NONE
    copies: tuple[Repository, ...] = ()
    keep: Keep | None = None  # without it everything is kept
    timeout_seconds: float = 14400.0
    prepare: Around | None = None
    cleanup: Around | None = None
    skip_unless: str = ""
    retries: Retries = Retries()
    window: str = ""
    title: str = ""
    owner: str = ""
    paused_until_us: int | None = None
    paused_why: str = ""
