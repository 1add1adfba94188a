"""Every form of `every:`, the nights in which clocks change, and the edges of windows."""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from agent.model.cadence import At, Cadence, Every
from agent.model.window import Window, WindowKind
from agent.practices import calendar

BERLIN = "Europe/Berlin"
SECOND = 1_000_000
DAY = 86400 * SECOND


def us(text: str, zone: str = BERLIN, fold: int = 0) -> int:
    """Microseconds of a local time."""
    local = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return int(local.timestamp() * 1_000_000)


def local(at_us: int | None, zone: str = BERLIN) -> str:
    """Local time with its offset, to the minute."""
    assert at_us is not None
    assert at_us % (60 * SECOND) == 0
    return datetime.fromtimestamp(at_us // SECOND, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M %z")[:-2]


def day(hour: int, minute: int = 0, zone: str = BERLIN, **more: Any) -> At:
    return At(text="day", zone=zone, rule="day", hour=hour, minute=minute, **more)


def hourly(minute: int, zone: str = BERLIN) -> At:
    return At(text="hour", zone=zone, rule="hour", minute=minute)


def monthly(monthday: int, hour: int, zone: str = BERLIN) -> At:
    return At(text="month", zone=zone, rule="monthday", hour=hour, monthday=monthday)


def cron(line: str, zone: str = BERLIN) -> At:
    return At(text="cron", zone=zone, rule="cron", cron=line)


WORKDAYS = (0, 1, 2, 3, 4)


def coming(cadence: Cadence, after: str, count: int, zone: str = BERLIN) -> list[str]:
    """The next moments, in words."""
    start = us(after, zone)
    found = calendar.upcoming(cadence, start, start + 4000 * DAY, limit=count)
    return [local(moment, zone) for moment in found]


@pytest.mark.parametrize(
    ("rule", "after", "moments"),
    [
        (day(2), "2026-11-23 01:59", ["2026-11-23 02:00 +01", "2026-11-24 02:00 +01"]),
        (day(2), "2026-11-23 02:00", ["2026-11-24 02:00 +01"]),  # strictly after
        (day(23, 59), "2026-12-31 23:59:30", ["2027-01-01 23:59 +01"]),
        (day(0), "2026-11-23 00:00", ["2026-11-24 00:00 +01"]),
        (day(2, zone="UTC"), "2026-11-23 03:30", ["2026-11-24 03:00 +01"]),
        (day(2, weekdays=WORKDAYS), "2026-11-20 03:00", ["2026-11-23 02:00 +01", "2026-11-24 02:00 +01"]),  # a Friday
        (day(3, 30, weekdays=(0,)), "2026-11-23 03:29", ["2026-11-23 03:30 +01", "2026-11-30 03:30 +01"]),
        (day(3, weekdays=(6,), nth=1), "2026-11-01 03:00", ["2026-12-06 03:00 +01", "2027-01-03 03:00 +01"]),
        (day(3, weekdays=(6,), nth=1), "2026-10-31 03:00", ["2026-11-01 03:00 +01"]),  # the 1st is a first
        (day(3, weekdays=(5,), nth=1), "2026-11-01 03:00", ["2026-11-07 03:00 +01"]),  # the 7th is one, the 8th is none
        (day(3, weekdays=(6,), nth=1), "2026-11-02 03:00", ["2026-12-06 03:00 +01"]),
        (day(22, weekdays=(4,), nth=-1), "2026-11-01 00:00", ["2026-11-27 22:00 +01", "2026-12-25 22:00 +01"]),
        (day(22, weekdays=(0,), nth=-1), "2026-11-01 00:00", ["2026-11-30 22:00 +01"]),  # the last day is a last
        (day(22, weekdays=(1,), nth=-1), "2026-11-01 00:00", ["2026-11-24 22:00 +01"]),  # 30 days: the 24th, not the 23rd
        (day(22, weekdays=(5,), nth=-1), "2026-10-01 00:00", ["2026-10-31 22:00 +01"]),
        (monthly(1, 4), "2026-11-23 00:00", ["2026-12-01 04:00 +01", "2027-01-01 04:00 +01"]),
        (monthly(31, 4), "2026-11-23 00:00", ["2026-12-31 04:00 +01", "2027-01-31 04:00 +01", "2027-03-31 04:00 +02"]),
        (monthly(29, 4), "2027-01-30 00:00", ["2027-03-29 04:00 +02"]),
        (monthly(29, 4), "2028-01-30 00:00", ["2028-02-29 04:00 +01"]),
        (hourly(15), "2026-11-23 01:14", ["2026-11-23 01:15 +01", "2026-11-23 02:15 +01"]),
        (hourly(15), "2026-11-23 01:15", ["2026-11-23 02:15 +01"]),
        (hourly(0), "2026-11-23 23:00", ["2026-11-24 00:00 +01"]),
        (hourly(59), "2026-11-23 23:58:59", ["2026-11-23 23:59 +01", "2026-11-24 00:59 +01"]),
        (hourly(15, "Asia/Kolkata"), "2026-11-23 00:00", ["2026-11-23 00:45 +01", "2026-11-23 01:45 +01"]),
        (cron("30 2 * * *"), "2026-11-23 02:30", ["2026-11-24 02:30 +01"]),
        (cron("*/20 8 * * 1-5"), "2026-11-21 00:00", ["2026-11-23 08:00 +01", "2026-11-23 08:20 +01"]),
        (cron("0 0 29 2 *"), "2026-11-21 00:00", ["2028-02-29 00:00 +01"]),
    ],
)  # fmt: skip
def test_a_rule_comes_up(rule: At, after: str, moments: list[str]) -> None:
    assert coming((rule,), after, len(moments)) == moments


@pytest.mark.parametrize(
    ("rule", "after", "moments"),
    [
        # 2027-03-28: 02:00 to 03:00 does not exist
        (day(2, 30), "2027-03-27 12:00", ["2027-03-28 03:00 +02", "2027-03-29 02:30 +02"]),
        (day(2, 0), "2027-03-27 12:00", ["2027-03-28 03:00 +02", "2027-03-29 02:00 +02"]),
        (day(2, 59), "2027-03-27 12:00", ["2027-03-28 03:00 +02", "2027-03-29 02:59 +02"]),
        (day(3, 0), "2027-03-27 12:00", ["2027-03-28 03:00 +02", "2027-03-29 03:00 +02"]),
        (day(1, 59), "2027-03-27 12:00", ["2027-03-28 01:59 +01", "2027-03-29 01:59 +02"]),
        (monthly(28, 2), "2027-03-27 12:00", ["2027-03-28 03:00 +02", "2027-04-28 02:00 +02"]),
        (hourly(30), "2027-03-28 01:00", ["2027-03-28 01:30 +01", "2027-03-28 03:30 +02"]),  # an hour later
        (cron("30 2 * * *"), "2027-03-27 12:00", ["2027-03-28 03:00 +02", "2027-03-29 02:30 +02"]),
        # 2026-10-25: 02:00 to 03:00 comes twice
        (day(2, 30), "2026-10-24 12:00", ["2026-10-25 02:30 +02", "2026-10-26 02:30 +01"]),
        (day(2, 0), "2026-10-24 12:00", ["2026-10-25 02:00 +02", "2026-10-26 02:00 +01"]),
        (day(3, 0), "2026-10-24 12:00", ["2026-10-25 03:00 +01", "2026-10-26 03:00 +01"]),
        (hourly(30), "2026-10-25 01:00",
         ["2026-10-25 01:30 +02", "2026-10-25 02:30 +02", "2026-10-25 02:30 +01", "2026-10-25 03:30 +01"]),
        (cron("30 2 * * *"), "2026-10-24 12:00", ["2026-10-25 02:30 +02", "2026-10-26 02:30 +01"]),
    ],
)  # fmt: skip
def test_in_the_nights_in_which_clocks_change(rule: At, after: str, moments: list[str]) -> None:
    """In a gap once, at its end; of two passings the first. Hours that pass are hours that pass."""
    assert coming((rule,), after, len(moments)) == moments


def test_between_the_two_passings_of_an_hour_a_daily_rule_is_over() -> None:
    second = us("2026-10-25 02:10", fold=1)
    assert local(calendar.next_due((day(2, 30),), second)) == "2026-10-26 02:30 +01"


def test_two_rules_in_one_gap_come_up_once() -> None:
    assert coming((day(2, 15), day(2, 45)), "2027-03-28 01:00", 2) == ["2027-03-28 03:00 +02", "2027-03-29 02:15 +02"]


def test_a_gap_of_half_an_hour() -> None:
    assert coming((day(2, 15, zone="Australia/Lord_Howe"),), "2026-10-03 12:00", 2, "Australia/Lord_Howe") == [
        "2026-10-04 02:30 +11", "2026-10-05 02:15 +11",
    ]  # fmt: skip


def test_an_hour_is_found_where_the_offset_changes_by_half_of_one() -> None:
    rule = hourly(15, "Australia/Lord_Howe")
    assert coming((rule,), "2026-10-04 01:00", 3, "Australia/Lord_Howe") == [
        "2026-10-04 01:15 +10", "2026-10-04 03:15 +11", "2026-10-04 04:15 +11",
    ]  # fmt: skip
    assert coming((rule,), "2027-04-04 01:00", 3, "Australia/Lord_Howe") == [
        "2027-04-04 01:15 +11", "2027-04-04 02:15 +10", "2027-04-04 03:15 +10",
    ]  # fmt: skip


def test_a_day_that_a_country_left_out_comes_up_at_its_end() -> None:
    assert coming((day(4, zone="Pacific/Apia"),), "2011-12-29 05:00", 2, "Pacific/Apia") == [
        "2011-12-31 00:00 +14", "2011-12-31 04:00 +14",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "after_us", "following_us"),
    [
        (30.0, 0, 30 * SECOND),
        (30.0, 30 * SECOND - 1, 30 * SECOND),
        (30.0, 30 * SECOND, 60 * SECOND),
        (21600.0, us("2026-11-23 05:59", "UTC"), us("2026-11-23 06:00", "UTC")),  # aligned to the clock
        (1.5, 0, 1_500_000),
    ],
)
def test_an_interval_is_aligned_to_the_clock(seconds: float, after_us: int, following_us: int) -> None:
    assert calendar.next_due((Every(seconds=seconds),), after_us) == following_us


@pytest.mark.parametrize(
    ("every", "found"),
    [
        ((Every(seconds=60.0),), "2026-11-23 03:29"),  # from its last run
        ((Every(seconds=3600.0),), "2026-11-23 04:28"),
        ((Every(seconds=7200.0),), "2026-11-23 05:00"),  # from the clock: 04:00 in UTC
        ((day(4),), "2026-11-23 04:00"),
        ((day(4), Every(seconds=3600.0), Every(seconds=7200.0)), "2026-11-23 04:00"),
        ((monthly(32, 4), Every(seconds=60.0)), "2026-11-23 03:29"),
    ],
)
def test_what_ran_comes_again(every: Cadence, found: str) -> None:
    assert calendar.following(every, us("2026-11-23 03:28")) == us(found)
    assert calendar.following((monthly(32, 4),), 0) is None


def test_of_several_rules_the_next_one_counts() -> None:
    cadence: Cadence = (day(22), Every(seconds=6 * 3600.0), day(2, weekdays=(0,)))
    assert coming(cadence, "2026-11-22 21:00", 4) == [
        "2026-11-22 22:00 +01", "2026-11-23 01:00 +01", "2026-11-23 02:00 +01", "2026-11-23 07:00 +01",
    ]  # fmt: skip


@pytest.mark.parametrize("cadence", [(), (monthly(32, 4),), (day(2, weekdays=(0,), nth=6),)])
def test_what_never_comes_up_is_said_so(cadence: Cadence) -> None:
    assert calendar.next_due(cadence, us("2026-11-23 00:00")) is None
    assert calendar.upcoming(cadence, 0, DAY) == ()


def test_what_never_comes_up_hides_nothing_that_does() -> None:
    assert coming((monthly(32, 4), day(2)), "2026-11-23 00:00", 1) == ["2026-11-23 02:00 +01"]


def test_a_span_gives_its_moments_end_included_and_so_many_at_most() -> None:
    every = (Every(seconds=10.0),)
    assert calendar.upcoming(every, 0, 30 * SECOND) == (10 * SECOND, 20 * SECOND, 30 * SECOND)
    assert calendar.upcoming(every, 0, 30 * SECOND - 1) == (10 * SECOND, 20 * SECOND)
    assert calendar.upcoming(every, 0, 30 * SECOND, limit=2) == (10 * SECOND, 20 * SECOND)
    assert len(calendar.upcoming(every, 0, DAY)) == 100


RULES = some.one_of(
    some.builds(
        day, some.integers(0, 23), some.integers(0, 59), zone=some.sampled_from([BERLIN, "UTC", "America/St_Johns"])
    ),
    some.builds(hourly, some.integers(0, 59), some.sampled_from([BERLIN, "Australia/Lord_Howe"])),
    some.builds(monthly, some.integers(1, 31), some.integers(0, 23)),
    some.builds(Every, seconds=some.integers(1, 90000).map(float)),
)


@settings(max_examples=100)
@given(RULES, some.integers(us("2026-01-01 00:00"), us("2028-01-01 00:00")))
def test_the_next_moment_is_after_now_and_nothing_lies_between(rule: At | Every, now_us: int) -> None:
    following = calendar.next_due((rule,), now_us)
    assert following is not None
    assert following > now_us
    for between in (now_us + 1, (now_us + following) // 2, following - 1):
        if now_us <= between < following:
            assert calendar.next_due((rule,), between) == following


@settings(max_examples=60)
@given(some.integers(0, 23), some.integers(0, 59), some.integers(0, 800))
def test_a_daily_rule_comes_up_once_on_every_day(hour: int, minute: int, days: int) -> None:
    midnight = datetime(2026, 1, 1, tzinfo=ZoneInfo(BERLIN)) + timedelta(days=days)
    start = int(midnight.timestamp()) * SECOND - 1
    end = int((midnight + timedelta(days=1)).timestamp()) * SECOND - 1
    assert len(calendar.upcoming((day(hour, minute),), start, end)) == 1


# windows


def window(**more: Any) -> Window:
    usual: dict[str, Any] = {"item": "shop/windows/nightly", "service": "shop", "kind": WindowKind.SILENCE}
    return Window(**{**usual, **more})


NIGHTLY = window(every=(day(1),), duration_seconds=4 * 3600.0)


@pytest.mark.parametrize(
    ("its_window", "now", "is_open"),
    [
        (NIGHTLY, "2026-11-23 00:59:59.999999", False),
        (NIGHTLY, "2026-11-23 01:00:00", True),
        (NIGHTLY, "2026-11-23 04:59:59.999999", True),
        (NIGHTLY, "2026-11-23 05:00:00", False),  # end exclusive
        (window(every=(day(23),), duration_seconds=7200.0), "2026-11-23 00:30", True),  # over midnight
        (window(every=(day(1),), duration_seconds=86400.0), "2026-11-23 01:00", True),  # no gap where they meet
        (window(every=(day(1),), duration_seconds=2 * 86400.0), "2026-11-23 00:30", True),
        (window(every=(monthly(32, 1),), duration_seconds=60.0), "2026-11-23 01:00", False),
        (NIGHTLY, "2027-03-28 05:30", True),  # four hours are four hours: 01:00 +01 to 06:00 +02
        (NIGHTLY, "2027-03-28 06:00", False),
        (window(every=(day(2, 30),), duration_seconds=3600.0), "2027-03-28 03:59", True),  # from the end of the gap
        (window(every=(day(2, 30),), duration_seconds=3600.0), "2027-03-28 04:00", False),
    ],
)
def test_a_window_that_comes_again(its_window: Window, now: str, is_open: bool) -> None:
    assert calendar.is_open(its_window, us(now)) is is_open


@pytest.mark.parametrize(("now_us", "is_open"), [(9, False), (10, True), (19, True), (20, False)])
def test_a_window_once(now_us: int, is_open: bool) -> None:
    assert calendar.is_open(window(start_us=10, end_us=20), now_us) is is_open


@pytest.mark.parametrize("now_us", [9, 10, 11])
def test_a_window_without_an_end_never_opens(now_us: int) -> None:
    assert not calendar.is_open(window(start_us=10), now_us)


OPEN = {"start_us": 10, "end_us": 20}


@pytest.mark.parametrize(
    ("its_window", "service", "host", "silenced"),
    [
        (window(**OPEN), "shop", "web1", True),
        (window(**OPEN), "shop", None, True),
        (window(**OPEN), "db", "web1", False),
        (window(service="", **OPEN), "db", "web1", True),  # company-wide
        (window(hosts=("web1",), **OPEN), "shop", "web1", True),
        (window(hosts=("web1",), **OPEN), "shop", "web2", False),
        (window(hosts=("web1",), **OPEN), "shop", None, False),
        (window(start_us=20, end_us=30), "shop", "web1", False),
    ],
)
def test_a_silence_is_about_some_service_and_some_hosts(
    its_window: Window, service: str, host: str | None, silenced: bool
) -> None:
    found = calendar.silence([its_window], service, host, 15)
    assert found == ("shop/windows/nightly" if silenced else "")


def test_a_window_for_changes_silences_nothing() -> None:
    assert calendar.silence([window(kind=WindowKind.CHANGE, **OPEN)], "shop", "web1", 15) == ""


@pytest.mark.parametrize(
    ("its_window", "since_us", "until_us", "was_open"),
    [
        (window(**OPEN), 0, 9, False),
        (window(**OPEN), 0, 10, True),  # opened at the last moment
        (window(**OPEN), 12, 14, True),
        (window(**OPEN), 19, 30, True),
        (window(**OPEN), 20, 30, False),  # end exclusive
        (window(**OPEN), 0, 30, True),  # opened and shut within
        (NIGHTLY, us("2026-11-22 05:00"), us("2026-11-23 00:59"), False),
        (NIGHTLY, us("2026-11-22 05:00"), us("2026-11-23 01:00"), True),
        (NIGHTLY, us("2026-11-22 04:59"), us("2026-11-22 06:00"), True),
        (NIGHTLY, us("2026-11-22 12:00"), us("2026-11-24 00:00"), True),
    ],
)
def test_a_window_that_was_open_at_some_moment_of_a_span(
    its_window: Window, since_us: int, until_us: int, was_open: bool
) -> None:
    changes = dataclasses.replace(its_window, kind=WindowKind.CHANGE)
    assert calendar.was_open(changes, since_us, until_us) is was_open
    named = calendar.change_window([its_window, changes], "shop", "web1", since_us, until_us)
    assert named == ("shop/windows/nightly" if was_open else "")


@pytest.mark.parametrize(
    ("its_window", "now_us", "opens"),
    [
        (window(**OPEN), 9, 10),
        (window(**OPEN), 10, None),  # it opens at this very moment, and no more later
        (window(**OPEN), 20, None),
        (NIGHTLY, us("2026-11-23 00:59"), us("2026-11-23 01:00")),
        (NIGHTLY, us("2026-11-23 01:00"), us("2026-11-24 01:00")),
    ],
)
def test_when_a_window_opens_next(its_window: Window, now_us: int, opens: int | None) -> None:
    assert calendar.next_opening(its_window, now_us) == opens


def test_the_first_open_window_gives_the_name() -> None:
    windows = [
        window(item="a", service="db", **OPEN),
        window(item="b", start_us=20, end_us=30),
        window(item="c", **OPEN),
    ]
    assert calendar.silence([*windows, window(item="d", **OPEN)], "shop", "web1", 15) == "c"
    assert calendar.silence([], "shop", "web1", 15) == ""


# the beat of a check


@pytest.mark.parametrize(
    ("cadence", "seconds"),
    [
        ((Every(seconds=60.0),), 60.0),
        ((Every(seconds=60.0), Every(seconds=30.0)), 30.0),
        ((hourly(15),), 3600.0),
        ((day(2),), 86400.0),
        ((day(2, weekdays=WORKDAYS),), 3 * 86400.0),  # over a weekend
        ((day(2), Every(seconds=36000.0)), 36000.0),
        ((hourly(15), Every(seconds=36000.0)), 3600.0),  # the most frequent of them
        ((monthly(1, 4),), 31 * 86400.0),
        ((day(22, weekdays=(4,), nth=-1),), 35 * 86400.0),
        ((monthly(32, 1),), 86400.0),
        ((cron("0 0 1 1 *"),), 366 * 86400.0),  # once a year: 2028 is a leap year
        ((cron("0 0 3-12 * *"),), 86400.0),  # ten days in a row: the pause after them is not among the next ten
    ],
)
def test_how_long_one_has_to_wait(cadence: Cadence, seconds: float) -> None:
    assert calendar.shortest_seconds(cadence, us("2026-11-02 12:00")) == seconds


def test_a_splay_is_always_the_same_for_a_key_and_spreads_keys() -> None:
    shares = [calendar.splay_seconds(f"shop/backups/files@web{number}", 600.0) for number in range(200)]
    assert shares == [calendar.splay_seconds(f"shop/backups/files@web{number}", 600.0) for number in range(200)]
    assert all(0.0 <= share < 600.0 for share in shares)
    tenths = {int(share // 60) for share in shares}
    assert tenths == set(range(10))
    assert calendar.splay_seconds("shop/backups/files@web1", 0.0) == 0.0


def test_moments_are_whole_seconds_of_utc() -> None:
    moment = calendar.next_due((day(2),), us("2026-11-23 01:59:59.5"))
    assert moment == int(datetime(2026, 11, 23, 1, tzinfo=UTC).timestamp()) * SECOND
