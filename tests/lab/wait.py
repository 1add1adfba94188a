"""Waiting on a condition, with a deadline: the only sleep that tests know. And holding others to theirs."""

import contextlib
import time
from collections.abc import Callable, Iterator

from agent.clock import Deadline, SystemClock

LATE_SECONDS = 10.0  # beyond its deadline, for a machine that has much to do


def until(condition: Callable[[], bool], seconds: float, what: str, *, pause_seconds: float = 0.01) -> None:
    """Return as soon as the condition holds; AssertionError naming `what` when it does not within the time."""
    deadline = Deadline.after(SystemClock(), seconds)
    while not condition():
        assert not deadline.is_over(), f"not within {seconds} s: {what}"
        time.sleep(pause_seconds)


@contextlib.contextmanager
def in_time(seconds: float) -> Iterator[None]:
    """Fail when the block takes longer; what it waits for must take much longer, so that one who misses it is seen."""
    deadline = Deadline.after(SystemClock(), seconds + LATE_SECONDS)
    yield
    assert not deadline.is_over(), f"not in time: {seconds:g} s and {LATE_SECONDS:g} s were allowed"
