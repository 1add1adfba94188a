"""Waiting on a condition, with a deadline: the only sleep that tests know."""

import time
from collections.abc import Callable

from agent.clock import Deadline, SystemClock


def until(condition: Callable[[], bool], seconds: float, what: str, *, pause_seconds: float = 0.01) -> None:
    """Return as soon as the condition holds; AssertionError naming `what` when it does not within the time."""
    deadline = Deadline.after(SystemClock(), seconds)
    while not condition():
        assert not deadline.is_over(), f"not within {seconds} s: {what}"
        time.sleep(pause_seconds)
