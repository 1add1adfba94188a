"""The forms of `every:`."""

import pytest

from agent.model.cadence import At, Every
from agent.policy import when

MONDAY, SUNDAY, FRIDAY = 0, 6, 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30s", Every(seconds=30.0)),
        ("6h", Every(seconds=21600.0)),
        ("hour at 15m", At(text="hour at 15m", zone="", rule="hour", minute=15)),
        ("day at 2:05", At(text="day at 2:05", zone="", rule="day", hour=2, minute=5)),
        ("day at 02:00 UTC", At(text="day at 02:00 UTC", zone="UTC", rule="day", hour=2)),
        ("monday at 03:30", At(text="monday at 03:30", zone="", rule="day", hour=3, minute=30, weekdays=(MONDAY,))),
        (
            "first sunday at 03:00",
            At(text="first sunday at 03:00", zone="", rule="day", hour=3, weekdays=(SUNDAY,), nth=1),
        ),
        (
            "last friday at 22:00",
            At(text="last friday at 22:00", zone="", rule="day", hour=22, weekdays=(FRIDAY,), nth=-1),
        ),
        ("month on 31 at 04:00", At(text="month on 31 at 04:00", zone="", rule="monthday", hour=4, monthday=31)),
        ({"cron": "30 2 * * *"}, At(text="cron 30 2 * * *", zone="", rule="cron", cron="30 2 * * *")),
    ],
)
def test_each_form_is_a_value(text: object, expected: Every | At) -> None:
    assert when.cadence(text) == (expected,)


def test_a_list_means_any_of_them() -> None:
    assert when.cadence(["30s", "day at 02:00"]) == (*when.cadence("30s"), *when.cadence("day at 02:00"))


def test_a_rule_without_a_zone_takes_the_agent_s() -> None:
    found = when.in_zone(when.cadence(["30s", "day at 02:00", "day at 02:00 UTC"]), "Europe/Berlin")
    assert [getattr(rule, "zone", None) for rule in found] == [None, "Europe/Berlin", "UTC"]


def test_a_cadence_reads_as_it_was_written() -> None:
    assert when.text_of(when.cadence(["90s", "6h", "first sunday at 03:00"])) == "90s, 6h, first sunday at 03:00"


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2026-07-01", "Europe/Berlin", 1782856800000000),
        ("2026-07-01T12:00", "Europe/Berlin", 1782900000000000),
        ("2026-07-01 12:00:30", "UTC", 1782907230000000),
        ("2026-07-01T12:00Z", "Europe/Berlin", 1782907200000000),
        ("2026-07-01T12:00+02:00", "UTC", 1782900000000000),
    ],
)
def test_a_moment_is_in_the_zone_unless_it_says_otherwise(text: str, zone: str, expected: int) -> None:
    assert when.microseconds(when.instant(text), zone) == expected


@pytest.mark.parametrize(
    "text", ["2026-13-01", "2026-07-01T25:00", "20260701", "tomorrow", "", "2026-W01-1", "2026-07-01T12"]
)
def test_what_is_no_moment_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"date"):
        when.instant(text)


@pytest.mark.parametrize("name", ["Europe/Berlni", "../../etc/passwd", "/etc/localtime", "", "a" * 5000, "Europe"])
def test_what_is_no_zone_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="is not a time zone"):
        when.known_zone(name)
