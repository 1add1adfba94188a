"""Two readings of a counter: wraps are undone, restarts and resets are not taken for traffic."""

import pytest

from agent.checks.counting import Moment, gained, seconds_between

MINUTE = 60 * 10**9
WEEKS = 4_294_960_000  # hundredths of a second, just before TimeTicks wrap


@pytest.mark.parametrize(
    ("before", "after", "ours_ns", "seconds"),
    [
        (1_000, 7_000, MINUTE, 60.0),
        (1_000, 7_400, MINUTE, 64.0),  # its clock is a little fast, and its own counters go by it
        (WEEKS, 6_000 - 7_296, MINUTE, 60.0),  # 497 days
        (900_000, 3_000, MINUTE, None),  # restarted half a minute ago
        (1_000, 5_000, 10 * MINUTE, None),  # restarted, and has been up for longer than before
        (1_000, 1_000, 0, None),
        (1_000, 1_000, 10**8, 0.1),  # less than a tick
    ],
)
def test_the_time_between_two_readings(before: int, after: int, ours_ns: int, seconds: float | None) -> None:
    first = Moment(ticks=before, at_ns=5)
    assert seconds_between(first, Moment(ticks=after % 2**32, at_ns=5 + ours_ns)) == seconds


@pytest.mark.parametrize(
    ("before", "after", "size", "rise"),
    [
        (10, 15, 2**64, 5),
        (10, 10, 2**32, 0),
        (2**32 - 10, 5, 2**32, 15),  # came round
        (2**31 + 9, 5, 2**32, 2**31 - 4),
        (900, 5, 2**32, None),  # set back: to come round it would have had to rise by almost all there is
        (2**64 - 10, 5, 2**64, None),
        (900, 5, 2**64, None),
    ],
)
def test_what_a_counter_gained(before: int, after: int, size: int, rise: int | None) -> None:
    assert gained(before, after, size) == rise
