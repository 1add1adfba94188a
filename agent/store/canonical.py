"""One spelling of JSON: sorted keys, no spaces, ASCII; what is hashed, compared and stored."""

import json
import math
from typing import Any


def dumps(value: Any) -> str:
    """The canonical text. NaN and infinity, which JSON lacks, become the words `nan`, `inf`, `-inf`."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain)
    except ValueError:
        return json.dumps(_finite(value), sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain)


def loads(text: str) -> Any:
    """The value of a stored text."""
    return json.loads(text)


def clean(text: str) -> str:
    """Text that UTF-8 can hold: hosts send bytes that decode to lone surrogates; they become `?`."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _plain(value: object) -> object:
    """Read-only mappings and sets, as plain containers."""
    if hasattr(value, "keys") and hasattr(value, "__getitem__"):
        return {str(name): value[name] for name in value.keys()}  # noqa: SIM118 - a Mapping by shape, not a dict
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no place in the store: {value!r}")


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if hasattr(value, "items"):
        return {str(name): _finite(inner) for name, inner in value.items()}
    return value
