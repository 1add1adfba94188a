"""The agent's own health: reasons for safe mode, and steps of the wall clock."""

import os
from pathlib import Path

from agent.clock import MICROSECONDS, Clock

LEAST_FREE_BYTES = 64 * 1024 * 1024  # an incident and its audit trail must always find room
STEP_SECONDS = 2.0  # a difference between the clocks that is an event
FROZEN_SECONDS = 300.0  # a step after which calendars are not to be trusted until the agent is restarted


class Health:
    """What the agent finds out about itself while it runs."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._offset_us = self._offset()
        self._stepped_seconds = 0.0

    def _offset(self) -> int:
        return self._clock.now() - self._clock.boottime() // 1_000

    def clock_step_seconds(self) -> float:
        """How far the wall clock jumped since the last question; 0.0 when it did not."""
        offset = self._offset()
        step = (offset - self._offset_us) / MICROSECONDS
        self._offset_us = offset
        if abs(step) < STEP_SECONDS:
            return 0.0
        self._stepped_seconds = max(self._stepped_seconds, abs(step))
        return step

    def safe_mode(self) -> str:
        """Why nothing may be changed now; "" when all is well."""
        found = os.statvfs(self._folder)
        free = found.f_bavail * found.f_frsize
        if free < LEAST_FREE_BYTES:
            return f"only {free // 1_000_000} MB are free in {self._folder}"
        if self._stepped_seconds > FROZEN_SECONDS:
            return f"the clock jumped by {self._stepped_seconds:.0f} s; restart the agent when it is right"
        return ""
