"""What may enter `step`, and what it may decide."""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

from agent.model.look import Result, Verdict


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Parents:
    """The parents that fail now changed."""

    at_us: int
    failing: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Tick:
    """Time passed."""

    at_us: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """A person did something to the incident: `resolve` (with override), `reopen`."""

    at_us: int
    verb: str
    who: str
    why: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Reload:
    """The rules are others than those by which was counted."""

    at_us: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class WindowEdge:
    """A silence began (its id) or ended ("")."""

    at_us: int
    silenced: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ActionStarted:
    """The gates said yes and the intent is durable."""

    at_us: int
    exec_id: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ActionRefused:
    """A gate said no, until a moment, or until somebody does what it needs.

    With `exec_id`: the gates had said yes, and the agent stopped before anything began. `waits`: time alone will not
    change the answer, a person must.
    """

    at_us: int
    gate: str
    reason: str
    until_us: int | None = None
    needs: str = ""
    exec_id: str = ""
    waits: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ActionEnded:
    """The play is over: well, badly, or nobody can say."""

    at_us: int
    exec_id: str
    ok: bool
    uncertain: bool
    summary: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """A result of a post-check that belongs to another check."""

    at_us: int
    key: str
    verdict: Verdict
    begun_us: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """Nobody was watching between these moments: what was soft is forgotten."""

    at_us: int
    from_us: int


Input = (
    Result | Parents | Tick | Person | Reload | WindowEdge | ActionStarted | ActionRefused | ActionEnded | Proof | Gap
)


class Verb(enum.StrEnum):
    """What the pipeline performs for a decision."""

    NOTE = "note"  # shown and journaled, nothing else
    OPEN = "open"
    REOPEN = "reopen"
    WORSEN = "worsen"
    RESOLVE = "resolve"
    COMMENT = "comment"
    TRY_REMEDY = "try-remedy"
    REMEDY_PROVEN = "remedy-proven"
    REMEDY_FAILED = "remedy-failed"
    OPEN_AGENT = "open-agent"  # the incident about the agent: it cannot tell
    RESOLVE_AGENT = "resolve-agent"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """One thing to do, and why in plain words."""

    verb: Verb
    why: str
    instance: str = ""
    severity: Verdict | None = None
    hard: bool = False
    episode: int = 0
    remedy: str = ""
    rung: int = 0
    attempt: int = 0
    exec_id: str = ""


def as_document(value: Input | Decision) -> dict[str, Any]:
    """An input or a decision as plain JSON values, for the journal. `input` names the class of an input."""
    document = {} if isinstance(value, Decision) else {"input": type(value).__name__}
    for field in dataclasses.fields(value):
        inner = getattr(value, field.name)
        if inner not in ("", None, 0, False) or field.name in {"at_us", "why"}:
            document[field.name] = _plain(inner)
    return document


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        told = [
            field.name for field in dataclasses.fields(value) if field.compare
        ]  # a look's memory is for the next look
        return {name: _plain(getattr(value, name)) for name in told}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(inner) for inner in value]
    return value
