"""The items of a policy file, one model per section; the kind key of a check or a backup is taken out before."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from agent.closed import ClosedModel, Count, FreeMap, Text, Texts
from agent.model.check import RunFrom
from agent.model.remedy import Mode, Risk
from agent.model.service import Urgency
from agent.policy import wording
from agent.policy.schema import FailAfter, Given, Item, Span, WholeNumber
from agent.policy.when import When
from agent.units import BudgetText, Duration, Share


class Ladders(ClosedModel):
    """The remedies of a check, in order, per severity."""

    warn: Texts = ()
    crit: Texts = ()


class IncidentRule(ClosedModel):
    """From which severity an incident is filed; None stands for `incident: none`."""

    from_: Literal["warning", "critical"] = Field(default="critical", validation_alias="from")
    urgency: Urgency | None = None


def _ladders(value: object) -> object:
    return {"crit": value} if isinstance(value, str | list) else value


def _incident(value: object) -> object:
    return None if value == "none" else value


def _level(kinds: type[Mode] | type[Risk]) -> BeforeValidator:
    known = {kind.name.lower(): kind for kind in kinds}

    def level(value: object) -> object:
        if isinstance(value, kinds):
            return value
        if not isinstance(value, str) or value not in known:
            near = wording.meant(value, known) if isinstance(value, str) else ""
            raise ValueError(f"{wording.quoted(value)} is not one of {', '.join(known)}{near}")
        return known[value]

    return BeforeValidator(level)


def _names(kinds: type[Mode] | type[Risk]) -> WithJsonSchema:
    return WithJsonSchema({"enum": [kind.name.lower() for kind in kinds]})


_TEXT_OR_LIST: list[dict[str, Any]] = [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
_SEVERITIES: dict[str, Any] = {"warn": {"anyOf": _TEXT_OR_LIST}, "crit": {"anyOf": _TEXT_OR_LIST}}
_PER_SEVERITY = {"type": "object", "properties": _SEVERITIES, "additionalProperties": False}
_INCIDENT: dict[str, Any] = {
    "from": {"enum": ["warning", "critical"]},
    "urgency": {"enum": [str(one) for one in Urgency]},
}
RemedyRef = Annotated[Ladders, BeforeValidator(_ladders), WithJsonSchema({"anyOf": [*_TEXT_OR_LIST, _PER_SEVERITY]})]
IncidentRef = Annotated[
    IncidentRule | None,
    BeforeValidator(_incident),
    WithJsonSchema(
        {"anyOf": [{"const": "none"}, {"type": "object", "properties": _INCIDENT, "additionalProperties": False}]}
    ),
]
RiskName = Annotated[Risk, _level(Risk), _names(Risk)]
ModeName = Annotated[Mode, _level(Mode), _names(Mode)]


class CheckSpec(Item):
    """A check: how often, when it is bad, and what follows."""

    every: When | None = None
    timeout: Span | None = None
    warn: dict[Text, Texts] = Field(default_factory=dict)
    crit: dict[Text, Texts] = Field(default_factory=dict)
    fail_after: FailAfter | None = None
    retry_every: Span | None = None
    recover_after: Count | None = None
    needs: Texts = ()
    remedy: RemedyRef = Ladders()
    incident: IncidentRef = IncidentRule()
    run_from: RunFrom | None = None


class LimitSpec(ClosedModel):
    """The bounds of a remedy; what is not given is as safe as the defaults."""

    per_host: BudgetText | None = None
    per_policy: BudgetText | None = None
    at_once: Count | None = None
    stop_if_failing: Share | None = None
    cooldown: Duration | None = None
    same_symptom: BudgetText | None = None


class RemedySpec(Item):
    """A playbook that may be run by itself, and how its success is proven."""

    playbook: Given
    vars: FreeMap = Field(default_factory=dict)
    risk: RiskName = Risk.DISRUPTIVE
    mode: ModeName = Mode.PROPOSE
    attempts: Count = 1
    post_checks: Texts = ()
    limits: LimitSpec = LimitSpec()
    verify_within: Span = 300.0
    timeout: Span = 1800.0


class DrillSpec(ClosedModel):
    """How a backup is proven by restoring it."""

    every: When
    sample: Count | None = Field(default=None, description="so many files each time, every file in its turn; else all")
    playbook: Given | None = Field(default=None, description="run against what was restored: `sandbox`, `snapshot`, …")
    contains: Texts = ()
    rto: Span | None = None


class KeepSpec(ClosedModel):
    """Which snapshots stay: so many per span of the calendar, and all that are younger than `within`."""

    last: WholeNumber = 0
    hourly: WholeNumber = 0
    daily: WholeNumber = 0
    weekly: WholeNumber = 0
    monthly: WholeNumber = 0
    yearly: WholeNumber = 0
    within: Span | None = Field(default=None, description="a floor: nothing younger is removed; 7d unless given")


class AroundSpec(ClosedModel):
    """A playbook that runs on the host before or after a backup."""

    playbook: Given
    vars: FreeMap = Field(default_factory=dict)
    timeout: Span = 1800.0


def _around(value: object) -> object:
    return {"playbook": value} if isinstance(value, str) else value


_AROUND = {"type": "object", "properties": {"playbook": {"type": "string"}, "vars": {"type": "object"}, "timeout": {"type": "string"}},
           "required": ["playbook"], "additionalProperties": False}  # fmt: skip
AroundRef = Annotated[
    AroundSpec | None, BeforeValidator(_around), WithJsonSchema({"anyOf": [{"type": "string"}, _AROUND]})
]


class RetriesSpec(ClosedModel):
    """How often a backup that failed by what may pass is tried again."""

    attempts: Count = Field(description="so many further tries")
    pause: Span = Field(default=300.0, description="after each try; 5m unless given")


class BackupSpec(Item):
    """A backup: where to, how often, and when it is too old."""

    repository: Given | None = None
    every: When | None = None
    splay: Duration | None = None
    missed: Literal["run_once", "skip"] | None = None
    rpo: Span | None = None
    drill: DrillSpec | None = None
    drift: Literal["note", "incident"] | None = None
    copies: Texts = ()
    keep: KeepSpec | None = None
    prepare: AroundRef = Field(default=None, description="a playbook before it, on the host")
    cleanup: AroundRef = Field(default=None, description="a playbook after it, whatever came of prepare and backup")
    skip_unless: Given | None = Field(default=None, description="a command on the host; left out unless it exits 0")
    retries: RetriesSpec | None = None
    window: Given | None = Field(default=None, description="a window of kind backup within which it may begin")
    timeout: Span | None = None
