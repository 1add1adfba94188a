"""What the language offers here: the probes, backup engines and sinks that exist, and how an item names one of them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from agent.closed import ClosedModel
from agent.policy import faults, source
from agent.policy.faults import Fault, Given


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Catalogue:
    """Name in YAML → class, one mapping per family."""

    probes: Mapping[str, type]
    engines: Mapping[str, type]
    sinks: Mapping[str, type]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where in a file something stands."""

    file: str
    path: source.Path

    def __truediv__(self, part: str | int) -> "Place":
        return Place(file=self.file, path=(*self.path, part))

    def fault(self, message: str, *, at_key: bool = False) -> Fault:
        """Something is wrong here."""
        return Fault(file=self.file, path=self.path, message=message, at_key=at_key)


def options_of(cls: Any) -> type[ClosedModel]:
    """The model of what stands behind a plug-in's name."""
    model: type[ClosedModel] = cls.OPTIONS
    return model


def kind_of(
    item: Mapping[str, source.Node], family: Mapping[str, type], what: str, model: type[ClosedModel], place: Place
) -> tuple[str | None, list[Fault]]:
    """The one kind key of an item. When it is missing, a key that nobody knows is taken for its misspelling."""
    kinds = [key for key in item if key in family]
    if len(kinds) == 1:
        return kinds[0], []
    if kinds:
        others = " and ".join(repr(kind) for kind in kinds)
        return None, [(place / kinds[1]).fault(f"exactly one kind of {what} is due, not {others}", at_key=True)]
    if set(item) <= set(faults.keys_at(model, ())):
        return None, [place.fault(f"what kind of {what}? exactly one of {', '.join(family)} is due", at_key=True)]
    return None, []


def validated(cls: type, kind: str, given: object, place: Place) -> tuple[ClosedModel | None, list[Fault]]:
    """The options of a plug-in, from a mapping or from its short form; `place` is that of the kind key."""
    model = options_of(cls)
    short: str | None = getattr(cls, "SHORT", None)
    if isinstance(given, dict):
        shaped: object = given
    elif given == "":
        shaped = {}
    elif short:
        shaped = {short: given}
    else:
        needed = "needs nothing behind it" if short == "" else "has no short form: a mapping is expected here"
        return None, [place.fault(f"{kind!r} {needed}")]
    try:
        return model.model_validate(shaped), []
    except ValidationError as error:
        return None, list(faults.of_model(error, model, Given(value=shaped, file=place.file, path=place.path)))
