"""Bounds over metrics: `above 80%`, `not up`, `inside 3..5`, `changed`, as values."""

import dataclasses
import enum

from agent.model.look import Unit


class Relation(enum.StrEnum):
    """The words of the policy language; a bound that holds *trips*."""

    ABOVE = "above"
    BELOW = "below"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    IS = "is"
    NOT = "not"
    INSIDE = "inside"
    OUTSIDE = "outside"
    CHANGED = "changed"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Bound:
    """One comparison. `operand` is a number in `unit`, a text, or None for `changed`; `other` names a metric instead.

    `low`/`high` (inclusive) are set for inside and outside alone; `text` is the bound as the operator wrote it.
    """

    relation: Relation
    text: str
    operand: float | str | None = None
    unit: Unit = Unit.NUMBER
    other: str | None = None
    low: float = 0.0
    high: float = 0.0


Bounds = tuple[tuple[str, tuple[Bound, ...]], ...]  # (metric, any of these) …; hashable, in the order written
