"""Durations, sizes, shares, rates, budgets and bounds."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as some

from agent import units
from agent.model.bounds import Bound, Relation
from agent.model.look import Unit
from agent.model.remedy import Budget


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("30s", 30),
        ("5m", 300),
        ("26h", 93600),
        ("7d", 604800),
        ("2w", 1209600),
        ("1.5h", 5400),
        ("0s", 0),
    ],
)
def test_a_duration_is_seconds(text: str, seconds: float) -> None:
    assert units.duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [("500MB", 5e8), ("10GiB", 10 * 2**30), ("1kB", 1000), ("1KB", 1000), ("1KiB", 1024), ("7B", 7), ("2TB", 2e12)],
)
def test_a_size_is_bytes(text: str, bytes_: float) -> None:
    assert units.size(text) == bytes_


@pytest.mark.parametrize(("text", "share"), [("80%", 0.8), ("95%", 0.95), ("0.5%", 0.005), ("100 %", 1.0)])
def test_a_share_is_exact(text: str, share: float) -> None:
    assert units.share(text) == share


def test_a_rate_is_bits_per_second() -> None:
    assert units.bit_rate("100Mbit/s") == 1e8


def test_a_budget_is_a_count_within_a_time() -> None:
    assert units.budget("3 per 24h") == Budget(count=3, seconds=86400.0)


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (units.duration, "5", "'5' has no unit: write it like 30s, 5m, 26h or 7d"),
        (units.duration, "5 minutes", "'5 minutes' is not a duration: write it like 30s, 5m, 26h or 7d"),
        (units.duration, "-5s", "'-5s' is not a duration: write it like 30s, 5m, 26h or 7d"),
        (units.duration, "٣s", "'٣s' is not a duration: write it like 30s, 5m, 26h or 7d"),
        (units.duration, "9" * 400 + "s", "is too much"),
        (units.duration, "200w" + "0", "is not a duration"),
        (units.duration, "6000w", "is longer than a century"),
        (units.size, "5mb", "'5mb' is not a size: write it like 500MB or 10GiB"),
        (units.share, "0.8", "'0.8' has no unit: write it like 80%"),
        (units.bit_rate, "5MB", "'5MB' is not a rate: write it like 100Mbit/s"),
        (units.budget, "0 per 1h", "'0 per 1h' is not a budget: write it like 3 per 24h"),
        (units.budget, "3", "'3' is not a budget: write it like 3 per 24h"),
        (units.budget, "9999999999 per 1h", "is too much"),
        (units.duration, True, "True is not a duration"),
        (units.duration, ["5s"], "is not a duration"),
    ],
)
def test_what_is_wrong_is_said_with_an_example(read: object, text: object, message: str) -> None:
    assert callable(read)
    with pytest.raises(ValueError) as raised:
        read(text)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("above 80%", Unit.SHARE, Bound(relation=Relation.ABOVE, text="above 80%", operand=0.8, unit=Unit.SHARE)),
        ("> 80%", Unit.SHARE, Bound(relation=Relation.ABOVE, text="> 80%", operand=0.8, unit=Unit.SHARE)),
        (">=2s", Unit.SECONDS, Bound(relation=Relation.AT_LEAST, text=">=2s", operand=2.0, unit=Unit.SECONDS)),
        ("below 7d", Unit.SECONDS, Bound(relation=Relation.BELOW, text="below 7d", operand=604800.0, unit=Unit.SECONDS)),
        ("at_most 5", Unit.NUMBER, Bound(relation=Relation.AT_MOST, text="at_most 5", operand=5.0)),
        ("above -2", Unit.NUMBER, Bound(relation=Relation.ABOVE, text="above -2", operand=-2.0)),
        ("is up", Unit.TEXT, Bound(relation=Relation.IS, text="is up", operand="up", unit=Unit.TEXT)),
        ("!= up", Unit.TEXT, Bound(relation=Relation.NOT, text="!= up", operand="up", unit=Unit.TEXT)),
        ("is 5", Unit.TEXT, Bound(relation=Relation.IS, text="is 5", operand="5", unit=Unit.TEXT)),
        ("not up", None, Bound(relation=Relation.NOT, text="not up", operand="up", unit=Unit.TEXT)),
        ("above 5MB", None, Bound(relation=Relation.ABOVE, text="above 5MB", operand=5e6, unit=Unit.BYTES)),
        ("above 5", None, Bound(relation=Relation.ABOVE, text="above 5", operand=5.0)),
        ("changed", Unit.TEXT, Bound(relation=Relation.CHANGED, text="changed")),
        ("inside 3..5", Unit.NUMBER, Bound(relation=Relation.INSIDE, text="inside 3..5", low=3.0, high=5.0)),
        ("outside 1s..8s", Unit.SECONDS, Bound(relation=Relation.OUTSIDE, text="outside 1s..8s", unit=Unit.SECONDS, low=1.0, high=8.0)),
        ("above limit", Unit.NUMBER, Bound(relation=Relation.ABOVE, text="above limit", other="limit")),
    ],
)  # fmt: skip
def test_a_bound_is_a_value_in_the_unit_of_its_metric(text: str, unit: Unit | None, expected: Bound) -> None:
    assert units.bound(text, unit, frozenset({"limit"})) == expected


@pytest.mark.parametrize(
    ("text", "unit", "message"),
    [
        ("over 80%", Unit.SHARE, "is not a bound"),
        ("above", Unit.SHARE, "is not a bound"),
        ("changed 5", Unit.SHARE, "is not a bound"),
        ("above 80", Unit.SHARE, "has no unit"),
        ("above 2", Unit.SECONDS, "has no unit"),
        ("above nothing", Unit.NUMBER, "is not a number"),
        ("above up", Unit.TEXT, "this metric is a word"),
        ("inside 5..3", Unit.NUMBER, "the first end is above the second"),
        ("inside 5", Unit.NUMBER, "write the two ends"),
        ("above up", None, "is not a number with a known unit"),
        (["above 5"], Unit.NUMBER, "a bound is text"),
    ],
)
def test_what_is_no_bound_is_said(text: object, unit: Unit | None, message: str) -> None:
    with pytest.raises(ValueError) as raised:
        units.bound(text, unit)
    assert message in str(raised.value)


@pytest.mark.parametrize("seconds", [0.25, 0, 1, 59, 60, 90, 3600, 5400, 86400, 93600, 604800])
def test_a_duration_in_words_reads_back_as_itself(seconds: float) -> None:
    assert units.duration(units.seconds_text(seconds)) == seconds


@given(some.text(max_size=30), some.sampled_from([*Unit, None]))
def test_any_text_is_a_bound_or_an_error_that_says_so(text: str, unit: Unit | None) -> None:
    with contextlib.suppress(ValueError):
        assert units.bound(text, unit).text == text
