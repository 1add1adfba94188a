"""Patterns over what a device prints: by RE2, which takes time in proportion to the text whatever stands there."""

import functools
from collections.abc import Iterable
from typing import Any


@functools.lru_cache(maxsize=1024)
def compiled(pattern: str) -> Any:
    """The pattern, compiled once; ValueError when it is none."""
    import re2  # type: ignore[import-untyped]  # it ships no types

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise ValueError(f"{pattern!r} is not a pattern (RE2)") from error


def all_of(patterns: Iterable[str]) -> tuple[Any, ...]:
    """Each of them, compiled."""
    return tuple(map(compiled, patterns))


def first_match(patterns: Iterable[Any], lines: Iterable[str]) -> str:
    """The first line in which one of the compiled patterns is found; "" when there is none."""
    found = tuple(patterns)
    return next((line for line in lines if any(one.search(line) for one in found)), "")
