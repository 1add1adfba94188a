"""The closed model: unknown keys are errors, every scalar arrives as text and is typed here, values are frozen."""

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)\Z")
_HOSTNAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*\Z")


class ClosedModel(BaseModel):
    """Base of everything an operator writes: closed, frozen, documented by its fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, str_strip_whitespace=False)


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
