"""What is asked of the gates, what they are told of the world, and what they answer."""

import dataclasses
import enum

from agent.model.remedy import DEFAULT_LIMITS, Budget, Limits, Mode, Risk


class Trigger(enum.StrEnum):
    """Who wants the change."""

    AUTOMATIC = "automatic"
    PLANNED = "planned"  # a policy says so: what runs around a backup
    PERSON = "person"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One wish to change the world. `cause` is the check that asks, or the reason a person gave.

    `correlation_id` tells one failure of a check from the next: with the episode it names what a small set gets.
    """

    item: str
    service: str
    hosts: tuple[str, ...]
    trigger: Trigger
    actor: str
    cause: str
    correlation_id: str = ""
    episode: int = 1
    attempt: int = 1
    playbook: str = ""
    risk: Risk = Risk.DISRUPTIVE
    mode: Mode = Mode.PROPOSE
    limits: Limits = DEFAULT_LIMITS
    says_all: bool = False  # the whole fleet was asked for by name
    brings_back: bool = False  # it puts back what an earlier step of ours has changed


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Past:
    """One change of the past, for the ledger. `verified` None: not known, or not yet."""

    item: str
    service: str
    hosts: tuple[str, ...]
    cause: str
    episode: int
    automatic: bool
    at_us: int
    running: bool
    correlation_id: str = ""
    verified: bool | None = None
    planned: bool = False  # around a backup: its host is taken meanwhile, and no budget is spent


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """A set of hosts that stand or fall together, and which of them are unhealthy (a hard critical check)."""

    name: str
    hosts: frozenset[str]
    unhealthy: frozenset[str]
    tripped_us: int | None = None  # when its breaker last opened


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """The result that asks for the change."""

    age_seconds: float
    fresh_for_seconds: float
    is_hard: bool


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Floor:
    """A service that needs so many of its hosts."""

    service: str
    hosts: frozenset[str]
    min_healthy: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """The world as the gates see it, read in one transaction."""

    now_us: int
    fleet: Scope
    global_budget: Budget
    breaker_cooldown_seconds: float
    kill_switch: str = ""  # why it is on
    safe_mode: str = ""  # why the agent does not trust itself
    evidence: Evidence | None = None
    unreachable: frozenset[str] = frozenset()
    distrusted: frozenset[str] = frozenset()  # their host key has changed
    scopes: tuple[Scope, ...] = ()
    unhealthy: frozenset[str] = frozenset()
    floors: tuple[Floor, ...] = ()  # of every service that the hosts belong to
    silenced: str = ""
    parents: tuple[str, ...] = ()
    paused: str = ""
    ledger: tuple[Past, ...] = ()
    locks: tuple[tuple[str, str], ...] = ()  # (host, who holds it)
    playbook_missing: str = ""
    raised_risk: tuple[Risk, str] | None = None  # what its dangerous modules make of it, and which they are


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What one gate says. A refusal says until when, or what it needs."""

    gate: str
    passes: bool
    says: str
    until_us: int | None = None
    needs: str = ""
    trips: str = ""  # the scope whose breaker opens by it
