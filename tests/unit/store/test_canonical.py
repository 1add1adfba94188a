"""One value has one spelling, whatever a host sent."""

from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from agent.store.canonical import clean, dumps, loads

PLAIN = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False, allow_infinity=False) | some.text(),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(), inner, max_size=4),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, None]}, '{"a":[true,null],"b":1}'),
        (MappingProxyType({"a": MappingProxyType({})}), '{"a":{}}'),
        ((1, "é"), '[1,"\\u00e9"]'),
        (frozenset({"b", "a"}), '["a","b"]'),
        ({"x": [float("nan"), float("inf")]}, '{"x":["nan","inf"]}'),
        (MappingProxyType({"x": (float("-inf"),)}), '{"x":["-inf"]}'),
        ("\udcff", '"\\udcff"'),
    ],
)
def test_a_value_has_one_spelling(value: Any, text: str) -> None:
    assert dumps(value) == text


def test_what_is_no_data_is_refused() -> None:
    with pytest.raises(TypeError, match="has no place in the store"):
        dumps({"x": object()})


@given(PLAIN)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    assert loads(dumps(value)) == value


@given(some.text())
def test_cleaned_text_is_always_utf8_and_whole_text_stays(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode("utf-8")
    assert cleaned == text or "?" in cleaned


def test_a_lone_surrogate_becomes_a_question_mark() -> None:
    assert clean("disk \udcff full é") == "disk ? full é"
