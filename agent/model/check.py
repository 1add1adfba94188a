"""A check on one host, ready to run, and the rules by which its results are judged."""

import dataclasses
import enum

from agent.model.bounds import Bounds
from agent.model.cadence import Cadence
from agent.model.look import Verdict
from agent.model.service import Urgency

NO_HOST = "none"  # `hosts: none`: about no host, run once by the agent; a host of that name cannot be addressed


class RunFrom(enum.StrEnum):
    """Where a probe stands when it looks."""

    HOST = "host"
    AGENT = "agent"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Threshold:
    """How long bad is hard: `count` results in a row, `count` of the last `window`, or bad results spanning `seconds`."""

    count: int = 3
    window: int | None = None
    seconds: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What `step` needs to know of one check on one host. Compared as a whole: a change of rules is a Reload input.

    `needs` are keys of parents; `incident_from` is None for `incident: none`; `ladder_*` are full ids of remedies,
    in order, tried at that severity; `post_checks` maps each remedy to the keys that prove it (empty: this check).
    """

    key: str
    fail_after: Threshold = Threshold()
    recover_after: int = 1
    warn: Bounds = ()
    crit: Bounds = ()
    incident_from: Verdict | None = Verdict.CRITICAL
    urgency: Urgency | None = None
    needs: tuple[str, ...] = ()
    ladder_warning: tuple[str, ...] = ()
    ladder_critical: tuple[str, ...] = ()
    remedies: tuple["RemedyRules", ...] = ()
    unknown_after_seconds: float = 600.0
    reopen_within_seconds: float = 1800.0

    def remedy(self, item: str) -> "RemedyRules":
        """The rules of a remedy on this check's ladders; KeyError when it is on none."""
        for rules in self.remedies:
            if rules.item == item:
                return rules
        raise KeyError(item)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RemedyRules:
    """What `step` needs to know of one remedy: how often, until when, and what proves it (keys of checks, with passes)."""

    item: str
    attempts: int = 1
    verify_within_seconds: float = 300.0
    post_checks: tuple[tuple[str, int, int], ...] = ()  # (key, passes needed, failures that are hard)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One check on one host, expanded and rendered.

    key: `service/section/name@host`; item: without the host; kind: the probe's name; options: its validated model;
    members: the keys of the checks whose states it counts.
    """

    key: str
    item: str
    service: str
    host: str | None
    kind: str
    options: object
    run_from: RunFrom
    every: Cadence
    timeout_seconds: float
    retry_every_seconds: float
    rules: Rules
    title: str = ""
    runbook: str = ""
    owner: str = ""
    paused_until_us: int | None = None
    paused_why: str = ""
    members: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()  # its own; those of its service hold beside them


def key_of(item: str, host: str | None) -> str:
    """The fact's name: `service/section/name@host`."""
    return f"{item}@{host or NO_HOST}"


def host_of(key: str) -> str | None:
    """The host of a key, None when it is about none."""
    host = key.rpartition("@")[2]
    return None if host == NO_HOST else host


def item_of(key: str) -> str:
    """The item of a key: `service/section/name`."""
    return key.rpartition("@")[0]


def reach_key(host: str) -> str:
    """The implicit check of a host's connection."""
    return f"agent/checks/reach@{host}"
