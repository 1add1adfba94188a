"""A remedy: a playbook that may be run by itself, and the bounds within which."""

import dataclasses
import enum
from typing import Any


class Risk(enum.IntEnum):
    """How much harm a change can do; ordered."""

    OBSERVE = 0  # collects, re-checks
    SAFE = 1  # restarts one stateless service, cleans up
    REVERSIBLE = 2  # with a captured, tested way back
    DISRUPTIVE = 3  # reboot, failover, firmware
    IRREVERSIBLE = 4  # restore over live data, delete


class Mode(enum.IntEnum):
    """The most that automation may do by itself; ordered."""

    OBSERVE = 0
    PROPOSE = 1
    APPROVE = 2
    AUTO = 3


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """So many within so many seconds: `3 per 24h`."""

    count: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.count} per {_short(self.seconds)}"


def _short(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{seconds:g}s"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The bounds of one policy's automation; the defaults are those of safety.md."""

    per_host: Budget = Budget(count=3, seconds=86400)
    per_policy: Budget = Budget(count=10, seconds=3600)
    at_once: int = 1
    stop_if_failing: float = 0.20  # share of the hosts of a scope
    cooldown_seconds: float = 900.0
    same_symptom: Budget = Budget(count=3, seconds=14400)


DEFAULT_LIMITS = Limits()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Remedy:
    """A remedy on one host, expanded and rendered. `variables` are plain JSON values, handed over as data."""

    item: str
    service: str
    host: str
    playbook: str
    variables: tuple[tuple[str, Any], ...] = ()
    risk: Risk = Risk.DISRUPTIVE
    mode: Mode = Mode.PROPOSE
    limits: Limits = DEFAULT_LIMITS
    timeout_seconds: float = 1800.0
    title: str = ""
    paused_until_us: int | None = None
    paused_why: str = ""
