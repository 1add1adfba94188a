"""Which share is read next, when retention rests, what is overdue: by table and by property."""

import dataclasses
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.cadence import At, Cadence, Every
from agent.model.look import Verdict
from agent.model.proof import Point
from agent.model.upkeep import CheckPlan
from agent.practices import upkeep
from agent.practices.upkeep import MICROSECONDS, Facts

HOUR_US, DAY_US = 3_600 * MICROSECONDS, 86_400 * MICROSECONDS
NOON = (At(text="day at 12:00", zone="UTC", rule="day", hour=12),)
SUNDAY = (At(text="sunday at 12:00", zone="UTC", rule="day", hour=12, weekdays=(6,)),)
NOW_US = 1_795_435_200 * MICROSECONDS  # a Monday, 12:00 UTC


@pytest.mark.parametrize(
    ("every", "cover_days", "parts"),
    [
        (NOON, 30, 30),
        (NOON, 1, 1),
        (NOON, 0.5, 1),
        (SUNDAY, 30, 4),
        (SUNDAY, 2, 1),
        ((Every(seconds=3600.0),), 30, 256),
    ],
    ids=["daily", "each-day", "less", "weekly", "a-week-in-two-days", "hourly"],
)
def test_as_many_parts_as_checks_within_the_time(every: Cadence, cover_days: float, parts: int) -> None:
    assert upkeep.parts(CheckPlan(every=every, cover_seconds=cover_days * 86400), NOW_US) == parts


def unread_seconds(read_at: Mapping[int, int], of: int, now_us: int) -> float:
    """The longest time for which a byte of the data has not been read."""
    assert set(read_at) == set(range(1, of + 1)), "all of it was, at least once"
    return (now_us - min(read_at.values())) / MICROSECONDS


@given(st.integers(2, 30), st.lists(st.booleans(), min_size=120, max_size=120), st.integers(0, 29))
def test_every_share_is_read_within_the_time_whatever_days_are_missed(
    parts: int, runs: list[bool], broken: int
) -> None:
    """120 days of which some are missed, at most two in a row; one share is unreadable until the 60th day."""
    read_at: dict[int, int] = {}
    cover = parts * 86400.0
    missed = 0
    for day, is_there in enumerate(runs):
        now_us = NOW_US + day * DAY_US
        if not is_there and missed < 2:
            missed += 1
            continue
        missed = 0
        due = upkeep.shares(read_at, parts, since_us=NOW_US, next_us=now_us + DAY_US, cover_seconds=cover)
        assert 1 <= len(due) <= upkeep.MOST_AT_ONCE
        for share in due:
            if share == broken % parts + 1 and day < 60:
                break  # the check stops at what is not sound
            read_at[share] = now_us
        else:
            continue
        assert upkeep.shares(read_at, parts, since_us=NOW_US, next_us=now_us + DAY_US, cover_seconds=cover)[0] == share
    slack = (2 + 2) * 86400 + 86400
    assert unread_seconds(read_at, parts, NOW_US + 119 * DAY_US) <= cover + slack


def test_without_a_missed_day_one_share_is_read_a_day_and_all_within_the_time() -> None:
    read_at: dict[int, int] = {}
    for day in range(90):
        now_us = NOW_US + day * DAY_US
        due = upkeep.shares(read_at, 30, since_us=NOW_US, next_us=now_us + DAY_US, cover_seconds=30 * 86400.0)
        assert len(due) == 1
        read_at |= dict.fromkeys(due, now_us)
        if day >= 29:
            assert unread_seconds(read_at, 30, now_us + DAY_US - 1) <= 30 * 86400.0


@pytest.mark.parametrize(("read_at", "first"), [({}, 1), ({1: 1}, 2), ({1: 2, 2: 1}, 2), ({1: 1, 2: 1}, 1)])
def test_what_waits_longest_is_read_first_and_what_was_never_read_before_all(
    read_at: dict[int, int], first: int
) -> None:
    assert upkeep.shares(read_at, 2, since_us=0, next_us=None, cover_seconds=60.0) == (first,)


@pytest.mark.parametrize(
    ("done_hours", "is_late"),
    [(0, False), (23, False), (29, False), (30, False), (31, True)],
    ids=["now", "due", "in-grace", "at-its-end", "late"],
)
def test_overdue_is_what_is_late_by_more_than_its_grace(done_hours: int, is_late: bool) -> None:
    assert upkeep.is_overdue(NOON, NOW_US, NOW_US + done_hours * HOUR_US) is is_late


def test_grace_is_no_longer_than_the_interval_and_no_shorter_than_a_minute() -> None:
    assert upkeep.patience((Every(seconds=2.0),), NOW_US) == 60.0
    assert upkeep.patience((Every(seconds=900.0),), NOW_US) == 900.0
    assert upkeep.patience(SUNDAY, NOW_US) == 6 * 3600.0


USUAL = Point(key="a/backups/b@c", exec_id="", snapshot="", at_us=0, files=1000, size_bytes=10_000, added_bytes=100)


@pytest.mark.parametrize(
    ("newest_first", "why"),
    [
        ([{}], ""),
        ([{}, {}, {}, {}], ""),
        ([{"files": 499}, {}, {}, {}], "499 files, where there were 1000"),
        ([{"files": 499}, {}, {}, {}, {}], "499 files, where there were 1000"),
        ([{"files": 500}, {}, {}, {}], ""),
        ([{"size_bytes": 4_999}, {}, {}, {}], "4999 bytes, where there were 10000"),
        ([{"size_bytes": 5_000}, {}, {}, {}], ""),
        ([{"added_bytes": 5_000}, {}, {}, {}], ""),
        ([{"added_bytes": 5_001}, {}, {}, {}], "5001 of 10000 bytes are new, where 100 were usual"),
        ([{"added_bytes": 6_000}, *[{"added_bytes": 600}] * 3], ""),  # ten times what is usual
        ([{"added_bytes": 6_001}, *[{"added_bytes": 600}] * 3], "6001 of 10000 bytes are new, where 600 were usual"),
        ([{"added_bytes": 9_000}, {}, {}, {}], "9000 of 10000 bytes are new, where 100 were usual"),
        ([{"added_bytes": 9_000}, {"added_bytes": 9_000}, {"added_bytes": 9_000}, {}], ""),  # that is how it always was
        ([{}, {"files": 1}, {}, {}, {}], "1 files, where there were 1000"),  # still in sight
        ([{}, {}, {}, {"files": 1}, {}, {}, {}], ""),  # three good ones since
        ([{"files": 1}, {"files": 1}, {"files": 1}, {"files": 1}, {}, {}], "1 files, where there were 1000"),
        ([{"files": 1}, {"files": 1}, {"files": 1}, {"files": 1}, {"files": 1}, {}], ""),  # the new usual
        ([{"files": 1}, {}, {}], ""),  # too young to say what is usual
    ],
)  # fmt: skip
def test_a_mass_change_is_told_from_what_is_usual(newest_first: list[dict[str, int]], why: str) -> None:
    points = [dataclasses.replace(USUAL, **change) for change in newest_first]  # type: ignore[arg-type]  # whole numbers all
    assert upkeep.mass_change(points) == (f"a/backups/b@c: {why}" if why else "")


@pytest.mark.parametrize(
    ("facts", "verdict", "words"),
    [
        (Facts(), Verdict.OK, "not yet checked"),
        (Facts(checked_at_us=1), Verdict.OK, "sound"),
        (Facts(damage="pack 1", hint="do this"), Verdict.CRITICAL, "damaged: pack 1; nothing is removed; do this"),
        (Facts(findings=("a", "b")), Verdict.CRITICAL, "nothing is removed: a; b"),
        (Facts(changes=("c",)), Verdict.CRITICAL, "nothing is removed: c"),
        (
            Facts(findings=("a", "b", "c", "d"), hint="do this"),
            Verdict.CRITICAL,
            "nothing is removed: a; b; c; do this",
        ),
        (Facts(late=("its check is overdue",), failed=("locked",)), Verdict.CRITICAL, "its check is overdue; locked"),
        (Facts(failed=("the last copy failed: locked",)), Verdict.WARNING, "the last copy failed: locked"),
    ],
    ids=["new", "sound", "damaged", "touched", "changed", "many", "late", "failed"],
)
def test_the_verdict_over_a_repository(facts: Facts, verdict: Verdict, words: str) -> None:
    found = upkeep.look(facts)
    assert found.verdict is verdict
    assert words in found.summary
    assert bool(upkeep.rests(facts)) is bool(facts.damage or facts.findings or facts.changes)
