"""A forecast of when it is full: right for what grows, quiet about what comes back, quick about what runs away."""

import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.practices.forecast import DAY_US, HOUR_US, MICROSECONDS, Hour, Point, full_in, history

SIZE = 100e9
MINUTE_US = 60 * MICROSECONDS
Free = Callable[[float], float]  # free bytes after so many hours


def noisy(free: Free, share: float, seed: int = 0) -> Free:
    """The same, with a little of everyday life."""
    return lambda hours: free(hours) + random.Random(f"{seed} {hours}").uniform(-share, share) * SIZE


def clipped(free: Free) -> Free:
    """No less than nothing, no more than all."""
    return lambda hours: min(SIZE, max(0.0, free(hours)))


def past(free: Free, until: float) -> Iterator[Hour]:
    """The hours from the beginning until then, looked at every five minutes."""
    for hour in range(int(until)):
        seen = [free(hour + minute / 60) for minute in range(0, 60, 5)]
        mean = sum(seen) / len(seen)
        yield Hour(hour * HOUR_US, min(seen), mean, max(seen), 1 - mean / SIZE)


def told(free: Free, hours: float, every_minutes: int = 1) -> float | None:
    """What is told after so many hours, in hours."""
    free = clipped(free)
    minutes = range(0, 31, every_minutes)
    points = [Point(int(hours * HOUR_US) - (30 - ago) * MINUTE_US, free(hours - 0.5 + ago / 60)) for ago in minutes]
    seconds = full_in(history(list(past(free, hours))[-720:], points[-1].at_us, points[-1].free), points, points[-1])
    return None if seconds is None else seconds / 3600


@settings(max_examples=30, deadline=None)
@given(
    start=st.floats(20e9, 95e9),
    days_left=st.floats(1, 200),
    days=st.integers(5, 30),
    noise=st.floats(0, 0.02),
    seed=st.integers(0, 99),
)
def test_steady_growth_is_foretold_within_a_tenth(
    start: float, days_left: float, days: int, noise: float, seed: int
) -> None:
    daily = start / (days + days_left)
    found = told(noisy(lambda hours: start - daily * hours / 24, noise * daily / SIZE, seed), days * 24)
    assert found == pytest.approx(days_left * 24, rel=0.1)


@settings(max_examples=40, deadline=None)
@given(
    period=st.floats(0.4, 96),
    top=st.floats(20e9, 95e9),
    depth=st.floats(0.05, 0.97),
    noise=st.floats(0, 0.005),
    hours=st.integers(8 * 24, 21 * 24),
)
@example(period=0.5, top=70e9, depth=0.4, noise=0.004, hours=240)
@example(period=168.0, top=70e9, depth=0.9, noise=0.0, hours=14 * 24 - 1)
@example(period=24.0, top=70e9, depth=0.9, noise=0.0, hours=239)
def test_what_is_cleaned_up_regularly_does_not_cry_wolf(
    period: float, top: float, depth: float, noise: float, hours: int
) -> None:
    def free(now: float) -> float:
        return top - top * depth * (now % period) / period

    found = told(noisy(free, noise * top * depth / SIZE), hours)
    assert found is None or found > 7 * 24


def test_growth_beneath_a_daily_clean_up_is_seen_at_any_time_of_the_day() -> None:
    def free(hours: float) -> float:
        return 60e9 - 2e9 * hours / 24 - 10e9 * (hours % 24) / 24

    for hours in range(12 * 24, 13 * 24, 5):
        left = (60e9 - 10e9 - 2e9 * hours / 24) / 2e9 * 24
        assert told(free, hours) == pytest.approx(left, rel=0.15)


@settings(max_examples=25, deadline=None)
@given(
    quiet=st.floats(0, 0.01),
    free_before=st.floats(5e9, 95e9),
    hours_to_full=st.floats(0.8, 3.5),
    every_minutes=st.sampled_from([1, 2, 5]),
)
def test_a_sudden_fill_is_seen_within_half_an_hour(
    quiet: float, free_before: float, hours_to_full: float, every_minutes: int
) -> None:
    begins = 60.0

    def free(hours: float) -> float:
        return free_before - max(0.0, hours - begins) * free_before / hours_to_full

    wild = noisy(free, quiet * free_before / SIZE / 10)
    assert told(wild, begins, every_minutes) is None
    found = told(wild, begins + 0.5, every_minutes)
    assert found is not None
    assert 0.7 * (hours_to_full - 0.5) <= found <= 1.1 * (hours_to_full - 0.5)


def test_a_copy_that_has_ended_is_no_fill() -> None:
    assert told(lambda hours: 50e9 - 20e9 * min(0.4, max(0.0, hours - 48)), 48.5) is None


@pytest.mark.parametrize("days", [0, 1, 2, 4])
def test_with_too_little_past_nothing_is_told(days: int) -> None:
    assert told(lambda hours: 50e9 - hours * 1e8, days * 24) is None


@pytest.mark.parametrize("change", [1.0, -1.0, 0.0])
def test_what_grows_free_or_stands_still_is_not_told(change: float) -> None:
    found = told(lambda hours: 50e9 + change * hours * 1e7, 240)
    assert (found is None) == (change >= 0)


def test_after_a_clean_up_the_past_is_no_guide_until_there_is_a_new_one() -> None:
    def free(hours: float) -> float:
        return 60e9 - 5e9 * hours / 24 + (50e9 if hours >= 240 else 0.0)

    before, after, soon, later = (told(free, hours) for hours in (239, 240.5, 240 + 6 * 24, 240 + 8.5 * 24))
    assert before is not None
    assert before < 72
    assert after is None
    assert soon is None, "so far it may be a habit: the next low may be where the last one was"
    assert later == pytest.approx((60e9 - 5e9 * 8.5) / 5e9 * 24, rel=0.1)


def test_the_second_clean_up_of_the_same_kind_is_seen_at_once_as_well() -> None:
    def free(hours: float) -> float:
        return 60e9 - 5e9 * (hours % 240) / 24

    first, second = told(free, 239), told(free, 480.2)
    assert first is not None
    assert second is None or second > 7 * 24


def test_another_size_is_another_file_system() -> None:
    now_us = 20 * DAY_US
    small = [Hour(hour * HOUR_US, 50e9 - hour * 1e8, 50e9 - hour * 1e8, 50e9, 0.5 + hour * 1e-3) for hour in range(480)]
    large = [hour._replace(used=1 - hour.mean / 200e9) if hour.at_us > 17 * DAY_US else hour for hour in small]
    same = [hour._replace(used=1 - hour.mean / 100e9) for hour in small]
    for hours, is_told in ((same, True), (large, False)):
        free = hours[-1].low
        assert (full_in(history(hours, now_us, free), (), Point(now_us, free)) is not None) == is_told


def test_nothing_free_is_full_now() -> None:
    assert told(lambda hours: 50e9 - 50e9 / 239 * hours, 240) == 0.0
