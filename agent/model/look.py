"""One look at the world: a verdict, a summary, metrics with units, evidence."""

import dataclasses
import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Self


class Verdict(enum.StrEnum):
    """What a probe, or the bounds over its metrics, say of the world."""

    weight: int  # order of badness among what was seen

    OK = "ok", 0
    WARNING = "warning", 2
    CRITICAL = "critical", 3
    UNKNOWN = "unknown", 1  # the probe itself could not tell

    def __new__(cls, word: str, weight: int = 0) -> Self:
        """A word that knows its weight."""
        made = str.__new__(cls, word)
        made._value_ = word
        made.weight = weight
        return made


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
NOTHING: Mapping[str, Any] = MappingProxyType({})  # one for all: there are tens of thousands of looks


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
    metrics: Mapping[str, Measure] = dataclasses.field(default_factory=lambda: NOTHING)
    units: Mapping[str, Unit] = dataclasses.field(default_factory=lambda: NOTHING)
    instances: Mapping[str, "Look"] = dataclasses.field(default_factory=lambda: NOTHING)
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
