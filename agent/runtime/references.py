"""References to secrets inside the variables of a play: `{secret: name}` becomes the value, at the moment of use."""

from collections.abc import Mapping
from typing import Any

from agent.secrets import Secrets


def resolve(variables: Mapping[str, Any], secrets: Secrets) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """The variables with values in place of references, and the names of those that hold any."""
    hidden = tuple(name for name, value in variables.items() if _has_reference(value))
    return {name: _resolved(value, secrets) for name, value in variables.items()}, hidden


def _is_reference(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) == {"secret"} and isinstance(value["secret"], str)


def _has_reference(value: Any) -> bool:
    if _is_reference(value):
        return True
    if isinstance(value, Mapping):
        return any(_has_reference(inner) for inner in value.values())
    return isinstance(value, list | tuple) and any(_has_reference(inner) for inner in value)


def _resolved(value: Any, secrets: Secrets) -> Any:
    if _is_reference(value):
        return secrets.get(value["secret"])
    if isinstance(value, Mapping):
        return {name: _resolved(inner, secrets) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_resolved(inner, secrets) for inner in value]
    return value
