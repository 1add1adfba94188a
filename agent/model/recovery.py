"""A recovery: the steps that bring a service back on a host, how it is proven, and where it is rehearsed."""

import dataclasses
from typing import Any

from agent.model.cadence import Cadence
from agent.model.check import Check


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step: a backup (`backup` is its key) is put back, or a playbook is run.

    `include` are the paths of the backup that are wanted, all when there is none; with `to` they land below that
    folder of the host instead of in their places. `variables` are plain values, handed to the playbook as data.
    """

    name: str
    backup: str = ""
    include: tuple[str, ...] = ()
    to: str = ""
    playbook: str = ""
    variables: tuple[tuple[str, Any], ...] = ()
    timeout_seconds: float = 1800.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Scratch:
    """A host that may be overwritten: the steps and the checks as they are there."""

    host: str
    steps: tuple[Step, ...]
    verify: tuple[Check, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Recovery:
    """How one host of a service is recovered. `verify` are keys of checks that must be OK afterwards.

    `rto_seconds` is how long all of it may take; `every` when it is rehearsed, on the first of the `scratch` hosts.
    """

    key: str
    item: str
    service: str
    host: str
    steps: tuple[Step, ...]
    verify: tuple[str, ...] = ()
    verify_within_seconds: float = 300.0
    rto_seconds: float | None = None
    every: Cadence = ()
    scratch: tuple[Scratch, ...] = ()
    title: str = ""
    owner: str = ""
    paused_until_us: int | None = None
    paused_why: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """A run or a rehearsal that came to an end: when it was begun, how it went, how many seconds all of it took."""

    at_us: int
    host: str
    passed: bool
    seconds: float
    why: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Past:
    """What the record knows of a recovery: since when it is watched, its newest rehearsal, its newest run in earnest."""

    watched_us: int
    rehearsal: Attempt | None = None
    run: Attempt | None = None
