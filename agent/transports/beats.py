"""Timers of an event loop that may be late by a step: all that fall into the same step share one, for there are many."""

import asyncio
import functools
from types import TracebackType
from typing import Protocol

PATIENCE_STEP_SECONDS = 0.25


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


class Patience:
    """`with patience(seconds): await …` as asyncio.timeout, up to a quarter of a second late, for a fifth of the price.

    For limits that are hardly ever reached. TimeoutError from the `with` when one is.
    """

    __slots__ = ("_beat", "_beats", "_cancelling", "_is_over", "_seconds", "_task")

    def __init__(self, beats: Beats, seconds: float) -> None:
        self._beats, self._seconds, self._is_over = beats, seconds, False
        self._task: asyncio.Task[object] | None = None

    def __enter__(self) -> None:
        task = self._task = asyncio.current_task()
        assert task is not None, "only a task can be cancelled"
        self._cancelling = task.cancelling()
        self._beat = self._beats.put(self, self._seconds)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._beats.take(self, self._beat)
        task, self._task = self._task, None
        if (
            self._is_over
            and task is not None
            and task.uncancel() <= self._cancelling
            and kind is asyncio.CancelledError
        ):
            raise TimeoutError from error

    def wake(self) -> None:
        """The time is over: what is awaited is cancelled."""
        if self._task is not None and not self._is_over:
            self._is_over = True
            self._task.cancel()


@functools.lru_cache(maxsize=2)
def _quarters(loop: asyncio.AbstractEventLoop) -> Beats:
    return Beats(loop, PATIENCE_STEP_SECONDS)


def quarters() -> Beats:
    """Beats of the running loop, up to a quarter of a second late."""
    return _quarters(asyncio.get_running_loop())


def patience(seconds: float) -> Patience:
    """Patience of the running task, from now on."""
    return Patience(quarters(), seconds)
