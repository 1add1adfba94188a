"""The forecast at its bounds, on days that can be worked out by hand: what is exactly at a bound, and just beyond it."""

import math
from collections.abc import Callable, Sequence

import pytest

from agent.practices.forecast import DAY_US, HOUR_US, MICROSECONDS, History, Hour, Point, Trend, full_in, history

MINUTE_US = 60 * MICROSECONDS
SIZE = 20_000.0  # of the whole
YEAR_SECONDS = 365 * 86400.0


def hour(at: int, low: float, *, high: float | None = None, size: float = SIZE) -> Hour:
    """The hour that begins at that hour."""
    return Hour(at * HOUR_US, low, low, low if high is None else high, 1 - low / size)


def hours(low: Callable[[int], float], until: int, since: int = 0) -> list[Hour]:
    """One hour after the other, the last begins before `until`."""
    return [hour(at, low(at)) for at in range(since, until)]


def floor(known: Sequence[Hour], now: float) -> float:
    """The floor at an hour of the day, when as much is free as in the last one."""
    return history(known, int(now * HOUR_US), known[-1].low).floor


# slowly: a line through the troughs


@pytest.mark.parametrize(
    ("trend", "free", "seconds"),
    [
        (Trend(at_us=0, level=1000, slope=-1, steep=-2, peak=500), 400, 200),  # all that is free, by the steep end
        (Trend(at_us=0, level=300, slope=-1, steep=-2, peak=500), 400, 100),  # the line has sunk to 200
        (Trend(at_us=60 * MICROSECONDS, level=300, slope=-1, steep=-2, peak=500), 400, 130),  # to 260, in 40 s
        (Trend(at_us=0, level=300, slope=-1, steep=-2, peak=350), 400, 125),  # 50 were cleaned up out of turn
        (Trend(at_us=0, level=50, slope=-1, steep=-2, peak=500), 400, 0),  # below nothing
        (Trend(at_us=0, level=1e9, slope=-1, steep=-1, peak=1e9), YEAR_SECONDS, YEAR_SECONDS),
        (Trend(at_us=0, level=1e9, slope=-1, steep=-1, peak=1e9), YEAR_SECONDS + 1, None),  # nobody sees farther
    ],
)
def test_a_trend_says_when_its_line_meets_nothing(trend: Trend, free: float, seconds: float | None) -> None:
    assert full_in(History(trend=trend), (), Point(100 * MICROSECONDS, free)) == seconds


# fast: the last half hour


def falling(ago: Sequence[float], free: float, now_us: int = DAY_US) -> list[Point]:
    """Points so many minutes ago, on a line that sinks by one a second to what is free now."""
    return [Point(now_us - int(one * MINUTE_US), free + one * 60) for one in ago]


EVERY_MINUTE = range(30, -1, -1)
SIX = (30, 25, 15, 12, 5, 0)


@pytest.mark.parametrize(
    ("ago", "free", "seconds"),
    [
        (EVERY_MINUTE, 3600, 3600),
        (SIX, 3600, 3600),  # as few as can be, one of them just half an hour ago
        (SIX[1:], 3600, None),
        ((30.1, *SIX[1:]), 3600, None),  # too long ago
        ((25, 15, 12, 5, 0, -1), 3600, None),  # one of the future
        ((30, 28, 25, 22, 12, 5, 0), 3600, None),  # one in ten minutes says nothing
        (EVERY_MINUTE, 14400, 14400),
        (EVERY_MINUTE, 14401, None),  # slow enough to be seen by the days
    ],
)
def test_half_an_hour_says_when_it_is_full_if_each_third_of_it_says_so(
    ago: Sequence[float], free: float, seconds: float | None
) -> None:
    assert full_in(History(floor=1e9), falling(ago, free), Point(DAY_US, free)) == seconds


@pytest.mark.parametrize(("steep", "seconds"), [(-0.5, 3600), (-1e-9, 3600), (-2, 1800)])
def test_of_the_days_and_the_half_hour_the_sooner_is_told(steep: float, seconds: float) -> None:
    slowly = Trend(at_us=DAY_US, level=3600, slope=steep, steep=steep, peak=1e9)
    past = History(trend=slowly, floor=1e9)
    assert full_in(past, falling(EVERY_MINUTE, 3600), Point(DAY_US, 3600)) == seconds


@pytest.mark.parametrize(("low", "seconds"), [(3636, 3600), (3635.9, None), (3600, None), (-math.inf, None)])
def test_only_clearly_below_the_floor_is_it_a_fill(low: float, seconds: float | None) -> None:
    """By a fiftieth of what was lost in the half hour: 36 of 1800."""
    assert full_in(History(floor=low), falling(EVERY_MINUTE, 3600), Point(DAY_US, 3600)) == seconds


def test_what_is_as_free_as_half_an_hour_ago_does_not_fill() -> None:
    recent = falling(EVERY_MINUTE, 3600)
    recent[0] = recent[0]._replace(free=3600)
    assert full_in(History(floor=1e9), recent, Point(DAY_US, 3600)) is None


@pytest.mark.parametrize("third", [0, 10, 20])
def test_a_third_that_stands_still_ends_the_alarm(third: int) -> None:
    """Whatever the two others do."""
    still = range(third, third + 10)
    recent = [
        Point(one.at_us, 9000.0) if ago in still else one
        for ago, one in zip(EVERY_MINUTE, falling(EVERY_MINUTE, 3600), strict=True)
    ]
    assert full_in(History(floor=1e9), recent, Point(DAY_US, 3600)) is None


# the floor: the lowest of the last eight days, but for the last hour and a half


def test_a_past_of_a_day_has_a_floor_and_one_of_less_has_none() -> None:
    assert floor(hours(lambda at: 5000.0 - at, 24), 24) == 5000 - 22
    assert floor(hours(lambda at: 5000.0 - at, 24, since=1), 24) == -math.inf
    assert floor(hours(lambda at: 5000.0 - at, 24, since=12), 24) == -math.inf
    assert history((), DAY_US, 1.0) == History()


def test_the_floor_is_that_of_eight_days_without_the_last_hour_and_a_half() -> None:
    assert floor(hours(lambda at: 1000.0 + at, 240), 240) == 1000 + 240 - 8 * 24
    assert floor(hours(lambda at: 5000.0 - at, 50), 50.5) == 5000 - 48


# the whole had another size


def test_an_hour_that_is_too_full_says_nothing_about_the_size() -> None:
    known = hours(lambda at: 5000.0 - at, 48)
    known[40] = known[40]._replace(used=0.98)
    assert floor(known, 48) == 5000 - 46
    known[40] = known[40]._replace(used=0.97)
    assert floor(known, 48) == -math.inf


@pytest.mark.parametrize(("mean", "kept"), [(51.5, True), (51.75, False)])
def test_a_size_three_hundredths_off_is_the_same(mean: float, *, kept: bool) -> None:
    """Half of it is used: sizes of 103 and 103.5 beside 100."""
    known = [Hour(at * HOUR_US, 60.0 - at / 10, mean if at < 40 else 50.0, 60.0, 0.5) for at in range(48)]
    assert (floor(known, 48) > 0) == kept


@pytest.mark.parametrize(("now", "low"), [(34, 5000 - 32), (33, -math.inf)])
def test_what_counts_begins_with_the_hour_after_the_last_of_another_size(now: int, low: float) -> None:
    known = [hour(at, 5000.0 - at, size=SIZE if at >= 10 else 2 * SIZE) for at in range(now)]
    assert floor(known, now) == low


# somebody cleaned up


def steps(*levels: tuple[int, float]) -> list[Hour]:
    """Levels, each for so many hours."""
    return [hour(at, low) for at, low in enumerate(level for count, level in levels for _ in range(count))]


@pytest.mark.parametrize(
    ("levels", "low"),
    [
        (((30, 10_000), (30, 10_500)), 10_500),  # all that there is to see
        (((30, 10_000), (1, 10_500), (29, 10_510)), 10_500),  # it begins with the first hour after
        (((10, 1200), (20, 500), (20, 570)), 500),  # a tenth of the range, and no more
        (((10, 1200), (20, 500), (20, 571)), 571),
        (((20, 600), (20, 1000), (8, 500), (20, 1000)), 500),  # 400, and more than half a day later 500
        (((20, 750), (20, 1000), (8, 500), (20, 1000)), 500),  # one of half the size is of the same kind
        (((20, 800), (20, 1000), (8, 500), (20, 1000)), 1000),  # one of less is not
        (((20, 500), (6, 1000), (6, 500), (20, 1000)), 1000),  # half a day apart: that was one clean-up
        (((20, 500), (6, 1000), (7, 500), (20, 1000)), 500),  # more: a habit
    ],
)
def test_the_past_before_a_clean_up_without_its_like_does_not_count(
    levels: Sequence[tuple[int, float]], low: float
) -> None:
    known = steps(*levels)
    assert floor(known, len(known)) == low


# the trend


def sinking(by_day: Sequence[float], swing: float = 50.0, hours_a_day: int = 24) -> list[Hour]:
    """Days of one level each, the last one today's, with a swing above it."""
    days = len(by_day)
    return [
        hour(24 * day + of_day, level, high=level + swing)
        for day, level in zip(range(days), by_day, strict=True)
        for of_day in range(24 - hours_a_day, 24)
    ]


def trend(known: Sequence[Hour], days: float) -> Trend | None:
    """The trend in the middle of the last hour of so many days."""
    return history(known, int(days * DAY_US) - HOUR_US // 2, known[-1].low).trend


def test_a_straight_line_is_found_as_it_is() -> None:
    """A hundred an hour; the lowest of each day is its last hour, the middle of which is now."""
    found = trend(hours(lambda at: 20_000.0 - 100 * at, 6 * 24), 6)
    assert found is not None
    slope = -100 / 3600
    assert (found.slope, found.steep) == pytest.approx((slope, slope), rel=1e-12)
    assert found.level == pytest.approx(20_000 - 100 * (6 * 24 - 1), rel=1e-12)
    assert found.at_us == 6 * DAY_US - HOUR_US // 2


@pytest.mark.parametrize(
    ("falls", "slope", "steep"),
    [
        # 15 pairs: 160 120 93.3 80 *75* 62 60 *46.7* …
        ([10, 20, 40, 80, 160], 1120 / 24, 75),
        # 36 pairs: 1280 960 746.7 640 600 496 480 420 373.3 362.9 320 *318.75* 300 …
        ([10, 20, 40, 80, 160, 320, 640, 1280], None, 318.75),
    ],
)
def test_the_slope_is_the_middle_of_all_and_the_steep_one_ends_their_interval(
    falls: Sequence[float], slope: float | None, steep: float
) -> None:
    """By so much each day falls below the one before: (6 · 5 · 17 / 18)^½ · 1.2816 = 6.8 of 15 pairs lie within."""
    found = trend(sinking([5000 - sum(falls[:day]) for day in range(len(falls) + 1)]), len(falls) + 1)
    assert found is not None
    assert found.steep == pytest.approx(-steep / 86400, rel=1e-12)
    assert slope is None or found.slope == pytest.approx(-slope / 86400, rel=1e-12)


@pytest.mark.parametrize(("spike", "peak"), [(0, 5090), (1, 9000), (2, 9000), (3, 9000), (4, 5090)])
def test_the_peak_is_that_of_the_three_days_before(spike: int, peak: float) -> None:
    """Days count back from now: today is 0."""
    known = sinking([5100, 5080, 5060, 5040, 5020, 5000, 4980])
    place = len(known) - 24 * spike - 12
    known[place] = known[place]._replace(high=9000.0)
    found = trend(known, 7)
    assert found is not None
    assert found.peak == peak


@pytest.mark.parametrize(("step", "is_told"), [(1.0, False), (1.25, True), (0.5, False)])
def test_a_new_low_is_lower_by_more_than_a_fiftieth_of_the_ups_and_downs(step: float, *, is_told: bool) -> None:
    """Of 50: by more than one."""
    assert (trend(sinking([1000 - step * day for day in range(6)]), 6) is not None) == is_told


@pytest.mark.parametrize(("step", "is_told"), [(20, False), (21, True)])
def test_the_ups_and_downs_of_a_day_are_those_from_its_lowest_hour_to_its_highest(step: int, *, is_told: bool) -> None:
    """1400 are free but for two hours of each day: one lower and one higher, a thousand apart."""
    known = [
        hour(
            24 * day + of_day,
            1000.0 - step * day if of_day == 12 else 1400.0,
            high=2000.0 - step * day if of_day == 6 else 1400.0,
        )
        for day in range(6)
        for of_day in range(24)
    ]
    assert (trend(known, 6) is not None) == is_told


@pytest.mark.parametrize(
    ("levels", "is_told"),
    [
        ([1000, 1000, 1000, 1000, 900], False),  # most pairs of days say nothing
        ([1000, 1000, 800, 800, 500], False),  # two of ten: the flat end of the interval is still level
        ([1000, 990, 800, 800, 500], True),
        ([1000, 900, 800, 700], False),  # four days are too few
    ],
)
def test_a_trend_is_one_when_all_of_its_interval_sinks(levels: Sequence[float], *, is_told: bool) -> None:
    assert (trend(sinking(levels), len(levels)) is not None) == is_told


@pytest.mark.parametrize(("hours_seen", "is_told"), [(19, True), (18, False)])
def test_a_day_of_which_a_twentieth_is_missing_is_one(hours_seen: int, *, is_told: bool) -> None:
    known = sinking([1000, 900, 800, 700, 600], hours_a_day=20)
    assert (trend([*known[: 20 - (20 - hours_seen)], *known[20:]], 5) is not None) == is_told


@pytest.mark.parametrize(("days_ago", "is_told"), [(8, True), (7, False)])
def test_a_low_of_more_than_a_week_ago_does_not_stand_against_a_new_one(days_ago: int, *, is_told: bool) -> None:
    levels = [500, *[1000 - 10 * day for day in range(days_ago)]]
    assert (trend(sinking(levels), days_ago + 1) is not None) == is_told


def test_without_the_last_day_nothing_is_told() -> None:
    known = sinking([1000, 900, 800, 700, 600, 500])
    assert trend(known, 6) is not None
    assert trend(known, 7) is None


@pytest.mark.parametrize(("days_ago", "is_told"), [(30, False), (29, True)])
def test_what_is_thirty_days_old_is_too_old(days_ago: int, *, is_told: bool) -> None:
    """One hour a day, four of them of late: the fifth is the one in question."""
    known = [hour(24 * (30 - ago), 1000.0 + ago) for ago in (days_ago, 3, 2, 1, 0)]
    assert (history(known, 30 * DAY_US, known[-1].low).trend is not None) == is_told
