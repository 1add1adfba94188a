"""The closed model: unknown keys are errors, every scalar arrives as text and is typed here, values are frozen."""

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, WithJsonSchema

from agent.errors import InputError

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)\Z")
_JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,29})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?\Z")
_HOSTNAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*\Z")


class Plain(str):
    """Text that stood without quotes in YAML; only in free maps does that make a difference."""

    __slots__ = ()


class ClosedModel(BaseModel):
    """Base of everything an operator writes: closed, frozen, documented by its fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Model = TypeVar("Model", bound=ClosedModel)


def checked(kind: type[Model], options: Mapping[str, Any], *, whose: str) -> Model:
    """Plain options as their model, read back from a file of ours; InputError where they cannot have been checked."""
    try:
        return kind.model_validate(options)
    except ValidationError as error:
        raise InputError(f"the options of {whose} are wrong: {error}", hint="run: watchkeeper validate") from error


def _flag(value: object) -> object:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise ValueError(f"{value!r} is not a boolean: write true or false")


def _integer(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _INTEGER.match(value):
        return int(value)
    raise ValueError(f"{value!r} is not a whole number")


def _positive(value: object) -> object:
    number = _integer(value)
    if isinstance(number, int) and number < 1:
        raise ValueError(f"{value!r} is not a whole number above 0")
    return number


def _port(value: object) -> object:
    number = _integer(value)
    if isinstance(number, int) and not 1 <= number <= 65535:
        raise ValueError(f"{value!r} is not a port: 1 to 65535")
    return number


def _text(value: object) -> object:
    if isinstance(value, str):
        return value
    raise ValueError("text is expected here" + ("; put quotes around it" if isinstance(value, dict) else ""))


def _free(value: object) -> object:
    if isinstance(value, dict):
        return {str(name): _free(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_free(inner) for inner in value]
    return _typed(value) if isinstance(value, Plain) else value


def _typed(text: Plain) -> bool | int | float | str:
    if text in {"true", "false"}:
        return text == "true"
    match = _JSON_NUMBER.match(text)
    if match is None:
        return str(text)
    if match[2] is None and match[3] is None:
        return int(text)
    number = float(text)
    return number if math.isfinite(number) else str(text)


def _free_map(value: object) -> object:
    if not isinstance(value, dict):
        raise ValueError("a mapping is expected here")  # noqa: TRY004  # pydantic translates ValueError alone
    return _free(value)


def _many(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


Flag = Annotated[bool, BeforeValidator(_flag), WithJsonSchema({"type": "boolean"})]
Integer = Annotated[int, BeforeValidator(_integer), WithJsonSchema({"type": "integer"})]
Count = Annotated[int, BeforeValidator(_positive), WithJsonSchema({"type": "integer", "minimum": 1})]
Port = Annotated[int, BeforeValidator(_port), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 65535})]
Text = Annotated[str, BeforeValidator(_text), WithJsonSchema({"type": "string"})]
Texts = Annotated[
    tuple[Text, ...],
    BeforeValidator(_many),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]  # one, or a list of them

# A value, or a map, without a schema: plain true, false and JSON numbers are those values, anything quoted is text.
Free = Annotated[Any, BeforeValidator(_free)]
FreeMap = Annotated[dict[str, Any], BeforeValidator(_free_map), WithJsonSchema({"type": "object"})]


def is_hostname(text: str) -> bool:
    """Whether the text is a host name or an IPv4 address by its characters (RFC 1123, underscores tolerated)."""
    return _HOSTNAME.match(text) is not None


class SecretRef(ClosedModel):
    """`{secret: name}`: a reference, resolved at use and never kept."""

    secret: Text


def as_plain(value: Any) -> Any:
    """A validated model or container as plain JSON values, for digests and journals."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {str(name): as_plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(inner) for inner in value]
    return value
