"""Timers that share a beat: nobody is woken too soon, nobody who left is woken, and nothing is left behind."""

import asyncio

from agent.transports.beats import Beats

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
