"""One look at the world: a verdict, a summary, metrics with units, evidence."""

import dataclasses
import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


class Verdict(enum.StrEnum):
    """What a probe, or the bounds over its metrics, say of the world."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"  # the probe itself could not tell

    @property
    def weight(self) -> int:
        """Order of badness among what was seen: ok 0, unknown 1, warning 2, critical 3."""
        return _WEIGHTS[self]


_WEIGHTS = {Verdict.OK: 0, Verdict.UNKNOWN: 1, Verdict.WARNING: 2, Verdict.CRITICAL: 3}


class Unit(enum.StrEnum):
    """The unit in which a metric is kept; policies write it with the usual suffixes."""

    SECONDS = "s"
    BYTES = "B"
    SHARE = "share"  # 0.0 to 1.0, written as 80%
    PER_SECOND = "1/s"
    BITS_PER_SECOND = "bit/s"
    NUMBER = ""  # a bare number: a count, a load, a status
    TEXT = "text"  # a word such as `up`


Measure = float | str
NO_METRICS: Mapping[str, Measure] = MappingProxyType({})


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What one look at one thing gave.

    `metrics` maps a name to a float in the unit that the probe declares (or that `units` names, for probes
    with open metrics), or to a text. A probe with instances (disks, interfaces) leaves `metrics` empty and
    gives one inner look per instance. `memory` is for the next look at the same thing, and neither stored nor shown; None
    leaves what an earlier look left.
    """

    verdict: Verdict
    summary: str
    metrics: Mapping[str, Measure] = dataclasses.field(default_factory=lambda: NO_METRICS)
    units: Mapping[str, Unit] = dataclasses.field(default_factory=lambda: MappingProxyType({}))
    instances: Mapping[str, "Look"] = dataclasses.field(default_factory=lambda: MappingProxyType({}))
    evidence: str = ""
    memory: Any = dataclasses.field(default=None, compare=False, repr=False)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """What one script of a batch printed on a host: text (stdout and stderr, bounded), exit code, whether time ran out.

    The agent's clock said `asked_us` before the batch was sent and `answered_us` once it was back (microseconds UTC).
    """

    text: str
    exit_code: int
    timed_out: bool = False
    asked_us: int = dataclasses.field(default=0, compare=False, repr=False)
    answered_us: int = dataclasses.field(default=0, compare=False, repr=False)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One look, with who, when and how long: what enters `step`. Times are microseconds UTC."""

    key: str
    begun_us: int
    ended_us: int
    look: Look
