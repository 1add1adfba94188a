"""Connections lost at one moment come back one after the other."""

from agent.transports.pace import AT_ONCE, PER_SECOND, Pace
from tests.fakes.clock import ToldClock

SECOND = 1_000_000_000


def test_a_few_start_at_once() -> None:
    pace = Pace(ToldClock())
    assert [pace.turn() for _ in range(AT_ONCE)] == [0.0] * AT_ONCE
    assert pace.turn() > 0


def test_of_two_hundred_at_one_moment_no_second_sees_more_than_its_share() -> None:
    pace = Pace(ToldClock())
    moments = [pace.turn() for _ in range(200)]
    assert moments == sorted(moments)
    assert len(set(moments[AT_ONCE:])) == 200 - AT_ONCE, "each has a moment of its own"
    for begin in moments:
        assert sum(begin <= one < begin + 1 for one in moments) <= PER_SECOND + AT_ONCE
    assert moments[-1] < 5
