"""Timers of an event loop that may be late by a step: all that fall into the same step share one, for there are many."""

import asyncio
from typing import Protocol


class Sleeper(Protocol):
    """Who waits for a beat."""

    def wake(self) -> None:
        """The time has come; may happen once more after `take`, by a beat that was under way."""


class Beats:
    """Wakes whoever waits, up to a step later than asked. A loop's own timer costs three times as much to set and end."""

    def __init__(self, loop: asyncio.AbstractEventLoop, step_seconds: float) -> None:
        self._loop = loop
        self._step_seconds = step_seconds
        self._waiting: dict[int, tuple[asyncio.TimerHandle, dict[Sleeper, None]]] = {}

    def put(self, sleeper: Sleeper, seconds: float) -> int:
        """Wake it that many seconds from now: the beat at which that will be."""
        return self.put_at(sleeper, self._loop.time() + seconds)

    def put_at(self, sleeper: Sleeper, at_seconds: float) -> int:
        """As `put`, at a time of the loop's clock."""
        beat = int(at_seconds / self._step_seconds) + 1
        due = self._waiting.get(beat)
        if due is None:
            timer = self._loop.call_at(beat * self._step_seconds, self._strike, beat)
            self._waiting[beat] = timer, {sleeper: None}
        else:
            due[1][sleeper] = None
        return beat

    def take(self, sleeper: Sleeper, beat: int) -> None:
        """It waits no longer for this beat."""
        due = self._waiting.get(beat)
        if due is None:
            return
        timer, sleepers = due
        sleepers.pop(sleeper, None)
        if not sleepers:
            timer.cancel()
            del self._waiting[beat]

    def _strike(self, beat: int) -> None:
        for sleeper in self._waiting.pop(beat)[1]:
            sleeper.wake()
