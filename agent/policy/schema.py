"""What every item of a policy may say, and the small types that the sections share."""

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from agent.closed import ClosedModel, Count, Flag, Integer, Text, Texts
from agent.model.check import Threshold
from agent.model.service import Importance
from agent.policy import wording
from agent.policy.when import Instant, When
from agent.units import Duration, bit_rate, duration

RESERVED = "agent"  # the service under which the agent's own items stand
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
_THRESHOLD = re.compile(r"(?:([1-9][0-9]{0,3})(?: of ([1-9][0-9]{0,3}))?)\Z")


def name(value: object) -> str:
    """A name that can stand in an id: letters, digits, dot, dash, underscore."""
    if isinstance(value, str) and _NAME.match(value):
        return str(value)
    raise ValueError(
        f"{wording.quoted(value)} is not a name: letters, digits, '.', '-' and '_', a letter or digit first"
    )


def threshold(value: object) -> Threshold:
    """`3` results in a row, `10m` of them, or `5 of 15`."""
    if isinstance(value, Threshold):
        return value
    match = _THRESHOLD.match(value) if isinstance(value, str) else None
    if match is not None:
        count, window = int(match[1]), int(match[2]) if match[2] else None
        if window is not None and window < count:
            raise ValueError(f"{value!r}: the first number is above the second")
        return Threshold(count=count, window=window)
    try:
        seconds = duration(value)
    except ValueError:
        raise ValueError(f"{wording.quoted(value)} is not a threshold: write it like 3, 10m or 5 of 15") from None
    if not seconds:
        raise ValueError(f"{value!r} is no time at all: write 1 for the first bad result")
    return Threshold(seconds=seconds)


def _span(value: object) -> float:
    seconds = duration(value)
    if seconds <= 0:
        raise ValueError(f"{value!r} is no time at all")
    return seconds


def _rate(value: object) -> float:
    bits = bit_rate(value)
    if bits <= 0:
        raise ValueError(f"{value!r} lets nothing through: leave it out for no limit")
    return bits


def _given(value: object) -> object:
    if value == "":
        raise ValueError("something is missing here")
    return value


def _whole(value: object) -> object:
    if isinstance(value, str) and value.startswith("-"):
        raise ValueError(f"{value!r} is below 0")
    return value


Name = Annotated[
    str, BeforeValidator(name), WithJsonSchema({"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"})
]
Span = Annotated[float, BeforeValidator(_span), WithJsonSchema({"type": "string", "examples": ["30s", "5m", "26h"]})]
Rate = Annotated[float, BeforeValidator(_rate), WithJsonSchema({"type": "string", "examples": ["100Mbit/s"]})]
Version = Annotated[Literal["1"], WithJsonSchema({"const": 1})]
Given = Annotated[Text, BeforeValidator(_given), WithJsonSchema({"type": "string", "minLength": 1})]
FailAfter = Annotated[
    Threshold,
    BeforeValidator(threshold),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "examples": ["10m", "5 of 15"]}]}),
]
WholeNumber = Annotated[Integer, BeforeValidator(_whole), WithJsonSchema({"type": "integer", "minimum": 0})]


class Paused(ClosedModel):
    """Left alone until a moment, and why."""

    until: Instant
    why: Given


class Item(ClosedModel):
    """What every item may say."""

    title: Text = ""
    description: Text = ""
    runbook: Text = ""
    hosts: Given | None = Field(default=None, description="an Ansible host pattern, or none for what is not a host")
    owner: Given | None = None
    labels: dict[Text, Text] = Field(default_factory=dict)
    enabled: Flag = True
    paused: Paused | None = None


class CheckDefaults(ClosedModel):
    """What checks do unless they say otherwise."""

    every: When | None = None
    timeout: Span | None = None
    fail_after: FailAfter | None = None
    retry_every: Span | None = None
    recover_after: Count | None = None


class BackupDefaults(ClosedModel):
    """What backups do unless they say otherwise."""

    repository: Given | None = None
    every: When | None = None
    splay: Duration | None = None
    missed: Literal["run_once", "skip"] | None = None
    rpo: Span | None = None
    timeout: Span | None = None


class Defaults(ClosedModel):
    """Defaults per section."""

    checks: CheckDefaults = CheckDefaults()
    backups: BackupDefaults = BackupDefaults()


class Header(ClosedModel):
    """The top of a policy file: everything but its sections."""

    version: Version
    service: Name
    title: Text = ""
    description: Text = ""
    owner: Given | None = None
    importance: Importance = Importance.MEDIUM
    hosts: Given | None = None
    depends_on: Texts = ()
    min_healthy: WholeNumber = 0
    labels: dict[Text, Text] = Field(default_factory=dict)
    defaults: Defaults = Defaults()


class WindowSpec(ClosedModel):
    """A span of time: recurring (`every`, `for`), or once (`start`, and `end` or `for`)."""

    title: Text = ""
    description: Text = ""
    kind: Literal["backup", "change", "silence"]
    hosts: Given | None = None
    enabled: Flag = True
    every: When | None = None
    for_: Span | None = Field(default=None, validation_alias="for")
    start: Instant | None = None
    end: Instant | None = None


def wrong_with(window: WindowSpec) -> str | None:
    """Why a window can never open, or None."""
    if window.every is not None:
        if window.start is not None or window.end is not None:
            return "a window has either every and for, or start and end: not both"
        return None if window.for_ is not None else "'for' is missing: how long is it open?"
    if window.start is None:
        return "'every' or 'start' is missing: when does it open?"
    if (window.end is None) == (window.for_ is None):
        return "'end' or 'for' is due, and only one of them"
    if window.end is not None and _naive(window.end) <= _naive(window.start):
        return "this window can never open: its end is not after its start"
    return None


def _naive(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)
