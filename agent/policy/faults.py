"""What is wrong where: the errors of a model as faults at paths of the tree, and faults as problems at line and column."""

import dataclasses
import re
import typing
from collections.abc import Iterable, Iterator, Mapping

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from agent.closed import ClosedModel
from agent.model.policy import Problem
from agent.policy import source, wording

_OF_KEYS = {"extra_forbidden", "missing"}
_KINDS = {
    "dict_type": "a mapping is expected here",
    "model_type": "a mapping is expected here",
    "model_attributes_type": "a mapping is expected here",
    "list_type": "a list is expected here",
    "tuple_type": "a list is expected here",
    "string_type": "text is expected here",
}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """An error at a path of one file's tree; `at_key` when it is about the key rather than its value."""

    file: str
    path: source.Path
    message: str
    at_key: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What a model was made of, and where it stands. `also` are further keys that may stand beside the model's own."""

    value: object
    file: str
    path: source.Path
    also: tuple[str, ...] = ()


def of_model(error: ValidationError, model: type[ClosedModel], given: Given) -> Iterator[Fault]:
    """The errors of a model, each at its place."""
    file, path, also = given.file, given.path, given.also
    lines = [(_path_of(line, given.value), line) for line in error.errors(include_url=False, include_context=True)]
    misspelt: set[source.Path] = set()  # what is missing only because its name was misspelt: one typo, one error
    for inner, line in lines:
        if line["type"] == "extra_forbidden":
            known = keys_at(model, inner[:-1]) + (also if len(inner) == 1 else ())
            misspelt.add((*inner[:-1], wording.nearest(str(inner[-1]), known)))
            message = unknown_key(str(inner[-1]), known)
            yield Fault(file=file, path=path + inner, message=message, at_key=True)
    for inner, line in lines:
        kind = line["type"]
        if kind == "missing" and inner not in misspelt:
            message = f"{wording.quoted(inner[-1])} is missing"
            yield Fault(file=file, path=path + inner[:-1], message=message, at_key=True)
        elif inner and inner[-1] == "[key]":
            yield Fault(file=file, path=path + inner[:-1], message=line["msg"].partition(", ")[2], at_key=True)
        elif kind not in {"missing", "extra_forbidden"}:
            message = _told(kind, line["msg"], line.get("ctx"), line["input"])
            yield Fault(file=file, path=path + inner, message=message + _as_pattern(inner, line["input"]))


def _as_pattern(path: source.Path, given: object) -> str:
    """How hosts are written, for whoever wrote a list of them."""
    if (
        path[-1:] != ("hosts",)
        or not isinstance(given, list)
        or not given
        or not all(isinstance(one, str) for one in given)
    ):
        return ""
    return f": write it like {','.join(given)}"


def _path_of(line: ErrorDetails, node: object) -> source.Path:
    """The part of an error's location that is in the file: pydantic adds names of types, and we shapes of our own."""
    path: list[str | int] = []
    *before, last = line["loc"] or ("",)
    for part in before:
        if _holds(node, part):
            node = typing.cast("dict[str | int, object]", node)[part]
            path.append(part)
    if line["type"] in _OF_KEYS or last == "[key]" or _holds(node, last):
        path.append(last)
    return tuple(path)


def _holds(node: object, part: str | int) -> bool:
    if isinstance(node, dict):
        return part in node
    return isinstance(node, list) and isinstance(part, int) and part < len(node)


def unknown_key(key: str, known: Iterable[str]) -> str:
    """The message about a key that does not exist, or does not exist yet."""
    return f"unknown key {wording.quoted(key)}{wording.meant(key, known)}"


def _told(kind: str, message: str, context: Mapping[str, object] | None, given: object) -> str:
    if kind in {"value_error", "assertion_error"}:
        return message.partition(", ")[2]
    if kind in {"literal_error", "enum"} and context is not None and isinstance(given, str):
        known = re.findall(r"'([^']*)'", str(context["expected"]))
        if len(known) == 1:
            return f"{wording.quoted(given)} cannot stand here, only {known[0]}"
        return f"{wording.quoted(given)} is not one of {', '.join(known)}{wording.meant(given, known)}"
    if kind in {"literal_error", "enum"}:
        return "text is expected here"
    cure = "; put quotes around it" if kind == "string_type" and isinstance(given, dict) else ""
    return _KINDS.get(kind, message) + cure


def keys_at(model: type[BaseModel], path: source.Path) -> tuple[str, ...]:
    """The keys that a model knows at a path below it, for suggestions."""
    models: list[type[BaseModel]] = [model]
    for part in path:
        models = [inner for outer in models for inner in _below(outer, part)] or models
    return tuple(sorted({_key(name, field) for one in models for name, field in one.model_fields.items()}))


def _key(name: str, field: FieldInfo) -> str:
    return field.validation_alias if isinstance(field.validation_alias, str) else name


def _below(model: type[BaseModel], part: str | int) -> list[type[BaseModel]]:
    if isinstance(part, int):
        return [model]
    for name, field in model.model_fields.items():
        if part == (_key(name, field)):
            return list(_models_in(field.annotation))
    return []


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from _models_in(inner)


def located(faults: Iterable[Fault], data: bytes, *, occurrence: int = 0) -> list[Problem]:
    """Faults of one file as problems; those inside a place that the reader has complained about are left out."""
    faults = list(faults)
    if not faults:
        return []
    tree = source.read(data, occurrence=occurrence, marked=True)
    broken = [((spot.line, spot.column), spot.end) for spot in tree.spots if spot.end is not None]
    problems = []
    for fault in faults:
        key, value = _marks_of(fault.path, tree.marks)
        if not any(start <= value < end for start, end in broken):
            line, column = key if fault.at_key else value
            problems.append(Problem(file=fault.file, line=line, column=column, message=fault.message))
    return problems


def _marks_of(
    path: source.Path, marks: Mapping[source.Path, tuple[source.Mark, source.Mark]]
) -> tuple[source.Mark, source.Mark]:
    """The places of the key and the value at a path, or of the nearest ancestor that has one."""
    while path and path not in marks:
        path = path[:-1]
    return marks.get(path, ((1, 1), (1, 1)))


def ordered(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Each problem once, by file and place."""
    return tuple(
        sorted(set(problems), key=lambda problem: (problem.file, problem.line, problem.column, problem.message))
    )
