"""The state of one check on one host: counted per instance, with its incident and the remedy under way."""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

from agent.model.look import Verdict


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Instance:
    """One thing that is judged (a disk, or the whole check under the name ""), and how far its counters are.

    raw: the last verdict, None before the first; hard: what counts; runs are saturated, so that a steady world
    leaves the object as it is. `recent` holds the last verdicts as letters o, w, c for `k of n` thresholds.
    """

    raw: Verdict | None = None
    hard: Verdict = Verdict.OK
    since_us: int = 0
    hard_since_us: int = 0
    ok_run: int = 0
    calm_run: int = 0  # results below the hard severity, in a row
    warn_run: int = 0
    crit_run: int = 0
    warn_first_us: int | None = None
    crit_first_us: int | None = None
    recent: str = ""
    absent: int = 0
    remembered: tuple[tuple[str, str], ...] = ()  # metrics under a `changed` bound, as last seen


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """What the check knows of its incident.

    `overridden`: a person resolved it while the check still failed at `severity`; `held`: a person reopened it while the
    check was ok, and until it fails again only a person resolves it.
    """

    open: bool
    severity: Verdict
    episode: int
    opened_us: int
    resolved_us: int | None = None
    overridden: bool = False
    held: bool = False


class Phase(enum.StrEnum):
    """Where a remedy stands."""

    ASKED = "asked"  # a gate will say yes or no
    REFUSED = "refused"  # asked again later
    WAITING = "waiting"  # for a person
    RUNNING = "running"
    VERIFYING = "verifying"
    EXHAUSTED = "exhausted"  # nothing left to try in this episode


UNDER_WAY = frozenset({Phase.ASKED, Phase.RUNNING, Phase.VERIFYING})


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Climb:
    """The ladder of remedies under way: rung and attempt count from 0 and 1; proofs are (key, passes, failures)."""

    severity: Verdict
    rung: int
    attempt: int
    remedy: str
    phase: Phase
    exec_id: str = ""
    ended_us: int | None = None
    verify_until_us: int | None = None
    uncertain: bool = False
    proofs: tuple[tuple[str, int, int], ...] = ()
    ask_again_us: int | None = None
    refusal: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CheckState:
    """Everything that `step` remembers of one `check@host`."""

    key: str
    instances: Mapping[str, Instance] = dataclasses.field(default_factory=dict)
    parents: tuple[str, ...] = ()  # those that fail now: while there are any, counters are frozen
    silenced: str = ""  # the window that silences it
    unknown_since_us: int | None = None
    unknown_filed: bool = False
    mark: Mark | None = None
    climb: Climb | None = None

    @property
    def raw(self) -> Verdict | None:
        """The worst last verdict of all instances; None before the first result."""
        worst: Verdict | None = None
        for one in self.instances.values():
            if one.raw is not None and (worst is None or one.raw.weight > worst.weight):
                worst = one.raw
        return worst

    @property
    def hard(self) -> Verdict:
        """The worst hard state of all instances."""
        worst = Verdict.OK
        for one in self.instances.values():
            if one.hard.weight > worst.weight:
                worst = one.hard
        return worst

    @property
    def is_failing(self) -> bool:
        """What its children see: critical now, soft or hard, or itself suppressed by a failing parent."""
        if self.parents:
            return True
        critical = Verdict.CRITICAL
        return any(one.raw is critical or one.hard is critical for one in self.instances.values())


def as_document(state: CheckState) -> dict[str, Any]:
    """The state as plain JSON values."""
    return {
        "key": state.key,
        "instances": {name: _slots(one) for name, one in state.instances.items()},
        "parents": list(state.parents),
        "silenced": state.silenced,
        "unknown_since_us": state.unknown_since_us,
        "unknown_filed": state.unknown_filed,
        "mark": _slots(state.mark) if state.mark else None,
        "climb": _slots(state.climb) if state.climb else None,
    }


def from_document(document: Mapping[str, Any]) -> CheckState:
    """The state that `as_document` wrote; fields added since take their defaults."""
    climb, mark = document.get("climb"), document.get("mark")
    return CheckState(
        key=document["key"],
        instances={name: _instance(one) for name, one in document["instances"].items()},
        parents=tuple(document["parents"]),
        silenced=document["silenced"],
        unknown_since_us=document["unknown_since_us"],
        unknown_filed=document["unknown_filed"],
        mark=Mark(**{**mark, "severity": Verdict(mark["severity"])}) if mark else None,
        climb=_climb(climb) if climb else None,
    )


def _slots(value: Any) -> dict[str, Any]:
    return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    return value.value if isinstance(value, enum.Enum) else value


def _instance(document: Mapping[str, Any]) -> Instance:
    raw = document["raw"]
    return Instance(
        **{
            **document,
            "raw": Verdict(raw) if raw else None,
            "hard": Verdict(document["hard"]),
            "remembered": tuple((name, text) for name, text in document["remembered"]),
        }
    )


def _climb(document: Mapping[str, Any]) -> Climb:
    return Climb(
        **{
            **document,
            "severity": Verdict(document["severity"]),
            "phase": Phase(document["phase"]),
            "proofs": tuple((key, passes, failures) for key, passes, failures in document["proofs"]),
        }
    )
