"""The clockwork on a clock that is told: who has nothing to do is no task, who is slow is not begun twice."""

import asyncio
from collections.abc import Awaitable, Callable

from agent.runtime.clockwork import LENIENT_SECONDS, Clockwork, Duty
from agent.runtime.heartbeat import Heartbeat
from tests.fakes.clock import ToldClock


def clockwork_of(clock: ToldClock, *duties: Duty) -> tuple[Clockwork, Heartbeat]:
    heartbeat = Heartbeat(clock, None)
    return Clockwork(clock, heartbeat, duties), heartbeat


def test_every_duty_comes_up_on_multiples_of_its_seconds_and_none_twice_to_catch_up() -> None:
    clock, turns = ToldClock(), {"quick": 0, "slow": 0}

    def counting(name: str) -> Callable[[], None]:
        def turn() -> None:
            turns[name] += 1

        return turn

    clockwork, _ = clockwork_of(
        clock,
        Duty(name="quick", seconds=0.25, turn=counting("quick")),
        Duty(name="slow", seconds=1.0, turn=counting("slow")),
    )
    for _ in range(8):
        clockwork.beat()
        clock.pass_seconds(0.25)
    assert turns == {"quick": 8, "slow": 2}
    clock.pass_seconds(100)
    clockwork.beat()
    assert turns == {"quick": 9, "slow": 3}


def test_who_has_nothing_to_do_rests_longer_and_the_agent_sleeps_until_somebody_is_due() -> None:
    async def scene() -> None:
        clock, works, turns = ToldClock(), [True], [0]

        async def work() -> None:
            turns[0] += 1

        clockwork, _ = clockwork_of(
            clock,
            Duty(name="jobs", seconds=0.25, idle_seconds=1.0, turn=lambda: work() if works[0] else None),
            Duty(name="slow", seconds=2.0, turn=lambda: None),
        )
        clock.pass_seconds(2 - clock.boottime() % 2_000_000_000 / 1e9)
        begun_ns, rested = clock.boottime(), []
        for busy in (True, True, False, False, True):
            works[0] = busy
            clockwork.beat()
            await clockwork.finish(5)
            due_ns = clockwork.beat()  # it is under way no longer
            rested.append((due_ns - clock.boottime()) / 1e9)
            clock.pass_seconds(rested[-1])
        assert rested == [0.25, 0.25, 0.5, 1.0, 0.25]
        assert (turns[0], (clock.boottime() - begun_ns) / 1e9) == (3, sum(rested))

    asyncio.run(scene())


def test_a_duty_that_waits_for_others_hangs_only_when_it_takes_longer_than_they_may() -> None:
    """Else systemd ends an agent whose inventory is slow, or whose host does not answer."""

    async def scene() -> None:
        clock, end = ToldClock(), asyncio.Event()
        duty = Duty(name="asking", seconds=1.0, turn=end.wait, lenient_seconds=180.0)
        clockwork, heartbeat = clockwork_of(clock, duty)
        clockwork.beat()
        clock.pass_seconds(180)
        assert heartbeat.late() == ()
        clock.pass_seconds(5)
        assert heartbeat.late() == ("asking",)
        end.set()
        await clockwork.finish(1)

    asyncio.run(scene())


def test_a_turn_under_way_is_not_begun_again_and_holds_nobody_up() -> None:
    async def scene() -> None:
        clock, begun, quick = ToldClock(), [0], [0]
        end = asyncio.Event()

        def slow() -> Awaitable[bool]:
            begun[0] += 1
            return end.wait()

        def count() -> None:
            quick[0] += 1

        clockwork, heartbeat = clockwork_of(
            clock, Duty(name="slow", seconds=1.0, turn=slow), Duty(name="quick", seconds=1.0, turn=count)
        )
        for _ in range(40):
            clockwork.beat()
            await asyncio.sleep(0)
            clock.pass_seconds(1)
        assert (begun, quick) == ([1], [40])
        assert heartbeat.late() == ("slow",)  # the agent says what hangs
        end.set()
        await clockwork.finish(5)
        assert heartbeat.late() == ()
        clockwork.beat()
        assert begun == [2]
        await clockwork.finish(5)

    asyncio.run(scene())


def test_a_duty_that_breaks_at_once_or_later_comes_again_in_its_turn() -> None:
    async def scene() -> None:
        clock, turns = ToldClock(), [0, 0]

        def at_once() -> None:
            turns[0] += 1
            raise ValueError("at once")

        async def failing() -> None:
            turns[1] += 1
            raise OSError("later")

        clockwork, heartbeat = clockwork_of(
            clock, Duty(name="one", seconds=1.0, turn=at_once), Duty(name="other", seconds=1.0, turn=failing)
        )
        for _ in range(3):
            clockwork.beat()
            await clockwork.finish(5)
            clock.pass_seconds(1)
        assert turns == [3, 3]
        clock.pass_seconds(LENIENT_SECONDS)
        assert heartbeat.late() == ()

    asyncio.run(scene())
