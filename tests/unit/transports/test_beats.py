"""Timers that share a beat: nobody is woken too soon, nobody who left is woken, and nothing is left behind."""

import asyncio

import pytest

from agent.transports.beats import Beats, _quarters, patience

STEP = 0.01


class Sleeper:
    """Notes when it was woken, and may do something then."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.woken: list[float] = []
        self.all_up = asyncio.Event()

    def wake(self) -> None:
        self.woken.append(self._loop.time())
        self.all_up.set()


def test_nobody_is_woken_before_his_time_and_everybody_after_it() -> None:
    async def slept() -> list[tuple[float, float]]:
        loop = asyncio.get_running_loop()
        beats = Beats(loop, STEP)
        waits = [0.0, 0.001, 0.012, 0.012, 0.04]
        sleepers = [(loop.time() + seconds, Sleeper(loop)) for seconds in waits]
        for seconds, (_, sleeper) in zip(waits, sleepers, strict=True):
            beats.put(sleeper, seconds)
        for _, sleeper in sleepers:
            await asyncio.wait_for(sleeper.all_up.wait(), 10)
        return [(due, at) for due, sleeper in sleepers for at in sleeper.woken]

    found = asyncio.run(slept())
    assert len(found) == 5, "each of them once"
    assert all(at >= due for due, at in found)


def test_who_left_is_not_woken_and_an_empty_beat_holds_no_timer() -> None:
    async def left() -> tuple[list[float], int]:
        loop = asyncio.get_running_loop()
        beats = Beats(loop, STEP)
        gone, stays = Sleeper(loop), Sleeper(loop)
        beat = beats.put(gone, 0.02)
        beats.put(stays, 0.03)
        beats.take(gone, beat)
        beats.take(gone, beat)
        beats.take(stays, beat + 100)
        await asyncio.wait_for(stays.all_up.wait(), 10)
        beats.take(gone, beats.put(gone, 60))
        return gone.woken, len(beats._waiting)

    assert asyncio.run(left()) == ([], 0)


def test_patience_ends_what_takes_too_long_and_nothing_else() -> None:
    async def tried() -> tuple[str, int, int]:
        task = asyncio.current_task()
        assert task is not None
        try:
            with patience(0.01):
                await asyncio.sleep(60)
        except TimeoutError:
            await asyncio.sleep(0)  # the task itself goes on
            with patience(60):
                await asyncio.sleep(0)
            return "timed out", task.cancelling(), len(_quarters(asyncio.get_running_loop())._waiting)
        return "went on", task.cancelling(), 0

    assert asyncio.run(tried()) == ("timed out", 0, 0)


def test_patience_is_not_over_when_somebody_else_cancels_what_waits() -> None:
    async def cancelled(*, inner_seconds: float) -> str:
        async def waits() -> None:
            with patience(60), patience(inner_seconds):
                await asyncio.sleep(60)

        waiting = asyncio.create_task(waits())
        await asyncio.sleep(0)
        if inner_seconds > 1:
            waiting.cancel()
        try:
            await waiting
        except asyncio.CancelledError:
            return "cancelled"
        except TimeoutError:
            return "timed out"
        return "went on"

    assert asyncio.run(cancelled(inner_seconds=30)) == "cancelled"
    assert asyncio.run(cancelled(inner_seconds=0.01)) == "timed out"


def test_what_fails_in_time_fails_by_its_own_error() -> None:
    async def failed() -> None:
        with patience(60):
            raise ValueError("its own")

    with pytest.raises(ValueError, match="its own"):
        asyncio.run(failed())
