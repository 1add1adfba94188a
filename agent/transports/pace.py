"""How fast connections are opened, all hosts together: a lost network gives back hundreds of hosts at one moment."""

import threading

from agent.clock import NANOSECONDS, Clock

PER_SECOND = 50  # logins: each costs us and the far side some milliseconds of key exchange
AT_ONCE = 10  # may start without any pause


class Pace:
    """Says how long to wait, and does not wait itself; thread-safe. Each gets a moment of its own (GCRA)."""

    def __init__(self, clock: Clock, *, per_second: float = PER_SECOND, at_once: int = AT_ONCE) -> None:
        self._clock = clock
        self._step_ns = int(NANOSECONDS / per_second)
        self._ahead_ns = (at_once - 1) * self._step_ns
        self._next_ns = 0
        self._lock = threading.Lock()

    def turn(self) -> float:
        """Take the next turn: seconds until it comes."""
        with self._lock:
            now = self._clock.boottime()
            at = max(self._next_ns, now - self._ahead_ns)
            self._next_ns = at + self._step_ns
        return max(0, at - now) / NANOSECONDS
