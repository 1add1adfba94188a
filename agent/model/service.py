"""A service, its importance, and how impact and urgency make a priority."""

import dataclasses
import enum


class Importance(enum.StrEnum):
    """What a service means to those who use it; gives its incidents their impact."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Urgency(enum.StrEnum):
    """How soon an incident must be dealt with."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Priority(enum.StrEnum):
    """Order of work: P1 first."""

    P1 = "P1"
    P2 = "P2"
    P3 = "P3"
    P4 = "P4"
    P5 = "P5"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """One policy file: a service and how it is kept running."""

    name: str
    title: str = ""
    description: str = ""
    owner: str = ""
    importance: Importance = Importance.MEDIUM
    depends_on: tuple[str, ...] = ()
    min_healthy: int = 0
    hosts: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
