"""What a repository's upkeep is ordered to do, and what it leaves: the documents of checks, removals and copies."""

import dataclasses
import enum
import json
from collections.abc import Mapping
from typing import Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from agent.backups import Job, Outcome, papers
from agent.errors import InputError
from agent.model.upkeep import Finding, Holding

ERRAND, RESULT, PLAN = "errand.json", "result.json", "plan.json"


class Task(enum.StrEnum):
    """What is to be done with a repository."""

    CHECK = "check"
    PRUNE = "prune"
    COPY = "copy"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Errand:
    """One order. `job` says how the repository is reached and within which time.

    A check reads the `shares` of `of` parts of the data. `holdings` are what the repository should hold, by our record,
    since `since_us`; `accepted` what a person has looked at. A copy brings `snapshots` here from the repository of `source`.
    """

    task: Task
    job: Job
    name: str
    shares: tuple[int, ...] = ()
    of: int = 1
    holdings: tuple[Holding, ...] = ()
    since_us: int = 0
    accepted: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    source: Job | None = None
    snapshots: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class UpkeepResult:
    """How it ended. `read` are the shares of `of` whose every byte was read and sound.

    `findings` are what nobody of ours did; `damage` the first of `damage_count` complaints about the data. `of_first`: a
    copy failed by fault of the repository that is copied from.
    """

    task: Task
    outcome: Outcome
    summary: str
    hint: str = ""
    read: tuple[int, ...] = ()
    of: int = 1
    damage: tuple[str, ...] = ()
    damage_count: int = 0
    findings: tuple[Finding, ...] = ()
    keys: tuple[str, ...] = ()
    snapshots: int = 0
    removed: tuple[str, ...] = ()
    kept: Mapping[str, int] = dataclasses.field(default_factory=dict)  # how many of them by which rule
    copied: int = 0
    of_first: bool = False
    absent: tuple[str, ...] = ()  # what should have been copied, and is in neither repository
    version: Literal[1] = 1


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is about to be removed; written down before the first of it is."""

    removed: tuple[str, ...]


Kind = TypeVar("Kind")
Document = Errand | UpkeepResult | Plan


def dump(document: Document) -> str:
    """A document as JSON text; what a result says to people stands on lines of its own."""
    if isinstance(document, UpkeepResult):
        document = dataclasses.replace(
            document,
            summary=papers.line(document.summary),
            hint=papers.line(document.hint),
            damage=tuple(map(papers.line, document.damage)),
            findings=tuple(dataclasses.replace(one, words=papers.line(one.words)) for one in document.findings),
        )
    return json.dumps(dataclasses.asdict(document), indent=1)


def load_errand(text: str) -> Errand:
    """The order of an errand.json; InputError when it is none."""
    return _load(TypeAdapter(Errand), text, ERRAND)


def load_result(text: str) -> UpkeepResult:
    """What an errand left; InputError when it cannot be read."""
    return _load(TypeAdapter(UpkeepResult), text, RESULT)


def load_plan(text: str) -> Plan:
    """What was about to be removed; InputError when it cannot be read."""
    return _load(TypeAdapter(Plan), text, PLAN)


def _load(adapter: TypeAdapter[Kind], text: str, name: str) -> Kind:
    try:
        return adapter.validate_python(json.loads(text))
    except (ValidationError, ValueError) as error:
        raise InputError(f"{name} cannot be read: {error}", hint="it was cut short") from error
