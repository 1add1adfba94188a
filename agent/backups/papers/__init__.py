"""The files of jobs: replaced at once, and read back into values by their own types.

Without pydantic: its import takes longer than many a job.
"""

import dataclasses
import enum
import functools
import json
import os
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.errors import InputError


def replace(path: Path, text: str, *, is_durable: bool = True) -> None:
    """Replace a file at once: a reader sees the old text or the new one, and if it `is_durable`, after a power cut too."""
    draft = path.with_suffix(".draft")
    with draft.open("w", encoding="utf-8") as stream:
        stream.write(text)
        if is_durable:
            stream.flush()
            os.fsync(stream.fileno())
    draft.rename(path)


def line(text: str) -> str:
    """Text for people as one line: what moves a terminal or ends a line stands in it as an escape.

    Files, tables and databases are named by whoever owns them, and their names stand in what is told of them.
    """
    text = text.strip()
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def load(kind: Any, text: str, name: str) -> Any:
    """The value of that type in a JSON text; InputError when it holds no such thing."""
    try:
        return thaw(kind, json.loads(text))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{name} cannot be read: {error}", hint="it was cut short or written by another version"
        ) from error


def thaw(kind: Any, value: Any) -> Any:
    """A plain value as a value of that type; ValueError or TypeError when it is none."""
    origin = typing.get_origin(kind)
    if origin is not None:
        return _compound(origin, typing.get_args(kind), value)
    if kind is Any:
        return value
    if kind is float and type(value) is int:
        return float(value)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind(value)
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        return _record(kind, value)
    if type(value) is not kind:
        raise ValueError(f"{value!r} is no {getattr(kind, '__name__', kind)}"[:200])
    return value


def _compound(origin: Any, kinds: tuple[Any, ...], value: Any) -> Any:
    if origin is typing.Union or origin is types.UnionType:
        return _one_of(kinds, value)
    if origin is typing.Literal:
        return _choice(kinds, value)
    if origin is tuple:
        return _tuple(kinds, value)
    if not isinstance(value, dict):  # a mapping of plain values; no other shape is in use
        raise TypeError(f"{value!r} is no mapping"[:200])
    return value


def _record(kind: Any, value: Mapping[str, Any]) -> Any:
    hints = _hints(kind)
    if unknown := value.keys() - hints.keys():
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    return kind(**{name: thaw(hints[name], inner) for name, inner in value.items()})


def _one_of(kinds: tuple[Any, ...], value: Any) -> Any:
    why: Exception = ValueError("nothing")
    for kind in kinds:
        try:
            return thaw(kind, value)
        except (TypeError, ValueError) as error:
            why = error
    raise why


def _tuple(kinds: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list"[:200])
    if kinds[-1] is Ellipsis:
        return tuple(thaw(kinds[0], inner) for inner in value)
    return tuple(thaw(kind, inner) for kind, inner in zip(kinds, value, strict=True))


def _choice(choices: tuple[Any, ...], value: Any) -> Any:
    for choice in choices:
        if choice == value:
            return choice
    raise ValueError(f"{value!r} is none of {', '.join(map(str, choices))}"[:200])


@functools.cache
def _hints(kind: Any) -> Mapping[str, Any]:
    return typing.get_type_hints(kind)
