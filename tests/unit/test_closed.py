"""The closed model: text in, typed values out, nothing else accepted."""

import pytest
from pydantic import Field, ValidationError

from agent.closed import ClosedModel, Count, Flag, FreeMap, Integer, Plain, Port, Text, Texts, as_plain, is_hostname


class Everything(ClosedModel):
    """One field of each type."""

    flag: Flag = False
    integer: Integer = 0
    count: Count = 1
    port: Port = 1
    text: Text = ""
    texts: Texts = ()
    free: FreeMap = Field(default_factory=dict)


@pytest.mark.parametrize(
    ("field", "given", "expected"),
    [
        ("flag", "true", True),
        ("flag", "false", False),
        ("integer", "-5", -5),
        ("count", "1", 1),
        ("port", "65535", 65535),
        ("text", Plain("0644"), "0644"),
        ("texts", "one", ("one",)),
        ("texts", ["one", "two"], ("one", "two")),
        ("free", {"a": Plain("true"), "b": "true", "c": Plain("1"), "d": Plain("-1.5e3")}, {"a": True, "b": "true", "c": 1, "d": -1500.0}),
        ("free", {"a": [Plain("007"), Plain("1_0"), Plain("1e999"), Plain("True")]}, {"a": ["007", "1_0", "1e999", "True"]}),
    ],
)  # fmt: skip
def test_text_becomes_a_value(field: str, given: object, expected: object) -> None:
    found = getattr(Everything.model_validate({field: given}), field)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("flag", "yes"), ("flag", "on"), ("flag", "True"), ("flag", "1"), ("integer", "1_0"), ("integer", "1.0"),
        ("integer", "0x10"), ("integer", "9" * 5000), ("integer", "01"), ("count", "0"), ("port", "0"), ("port", "65536"),
        ("text", ["a"]), ("text", {"a": "b"}), ("texts", {"a": "b"}), ("free", "a"), ("other", "a"),
    ],
)  # fmt: skip
def test_what_is_something_else_is_refused(field: str, given: object) -> None:
    with pytest.raises(ValidationError):
        Everything.model_validate({field: given})


def test_a_model_is_frozen() -> None:
    with pytest.raises(ValidationError):
        Everything().text = "other"


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("web-1", True),
        ("a.example.org", True),
        ("10.0.0.1", True),
        ("-a", False),
        ("a b", False),
        ("", False),
        ("a" * 64, False),
    ],
)
def test_a_host_name_is_known_by_its_characters(text: str, is_one: bool) -> None:
    assert is_hostname(text) is is_one


def test_a_model_as_plain_values() -> None:
    assert as_plain({"a": (Everything(text="x"),)})["a"][0]["text"] == "x"
