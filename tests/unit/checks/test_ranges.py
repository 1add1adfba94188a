"""Ranges by the table of the developer guidelines and the vectors of the Monitoring Plugins' own tests."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.checks.ranges import Range, exceeded, parse

INF = math.inf


@pytest.mark.parametrize(
    ("text", "low", "high", "inside"),
    [
        ("", 0, INF, False),
        ("6", 0, 6, False),
        ("10", 0, 10, False),
        ("10:", 10, INF, False),
        ("~:10", -INF, 10, False),
        ("10:20", 10, 20, False),
        ("@10:20", 10, 20, True),
        ("1:12%%", 1, 12, False),
        ("-7:23", -7, 23, False),
        (":5.75", 0, 5.75, False),
        ("~:-95.99", -INF, -95.99, False),
        ("12345678901234567890:", 12345678901234567890.0, INF, False),
        ("~:0", -INF, 0, False),
        ("@0:657.8210567", 0, 657.8210567, True),
        ("1:1", 1, 1, False),
        ("@1:1", 1, 1, True),
        ("~:", -INF, INF, False),
        ("5", 0, 5, False),
    ],
)
def test_a_range_is_read(text: str, low: float, high: float, inside: bool) -> None:
    assert parse(text) == Range(low=low, high=high, inside=inside)


@pytest.mark.parametrize("text", ["2:1", "-5", "x", "nan", "inf", "@", "%", "a:b"])
def test_what_is_no_range_is_none(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("text", "alerts", "quiet"),
    [
        ("6", [-1, 6.1], [0, 6]),
        ("10:", [9.9, -1], [10, 1e9]),
        ("~:10", [10.1], [10, -1e9]),
        ("10:20", [9, 21], [10, 15, 20]),
        ("@10:20", [10, 15, 20], [9, 21]),
        ("@1:1", [1], [0.9, 1.1, -1]),
        ("1:1", [0.9, 1.1, -1], [1]),
        ("~:-95.99", [-95.98, 0], [-95.99, -1000]),
        ("", [-0.1], [0, 1e9]),
    ],
)
def test_both_ends_belong_to_a_range(text: str, alerts: list[float], quiet: list[float]) -> None:
    found = parse(text)
    assert found is not None
    assert [found.alerts(value) for value in (*alerts, *quiet)] == [True] * len(alerts) + [False] * len(quiet)


@pytest.mark.parametrize(
    ("value", "state"),
    [
        (-31, "critical"),
        (-29, "warning"),
        (-11, "warning"),
        (-10, ""),
        (-2, ""),
        (-1, "warning"),
        (19, "warning"),
        (21, "critical"),
        (math.nan, ""),
        (math.inf, ""),
    ],
)
def test_critical_is_asked_before_warning(value: float, state: str) -> None:
    assert exceeded(value, "-10:-2", "-30:20") == state
    assert exceeded(value, "", "") == ""


@given(st.text(max_size=20))
def test_whatever_is_written_a_range_starts_before_it_ends(text: str) -> None:
    found = parse(text)
    assert found is None or found.low <= found.high
