"""When it is time to look for what is due: after a pause, sooner where something is known to come up, at once when poked."""

from agent.clock import NANOSECONDS, Clock

LOOK_SECONDS = 30.0  # how often it is looked when nothing is known to come up


class Waking:
    """The next look of one part of the agent; the first one is due at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._at_ns = 0

    def poke(self) -> None:
        """Something ended or changed: look again."""
        self._at_ns = 0

    def is_due(self) -> bool:
        """Whether it is time."""
        return self._clock.boottime() >= self._at_ns

    def rest(self) -> None:
        """A look begins: the next one is due after a while."""
        self._at_ns = self._clock.boottime() + int(LOOK_SECONDS * NANOSECONDS)

    def no_later_than(self, at_us: int | None, now_us: int) -> None:
        """Something comes up at that time, in microseconds UTC as `now_us`; None for nobody knows when."""
        if at_us is not None:
            self._at_ns = min(self._at_ns, self._clock.boottime() + max(0, at_us - now_us) * 1_000)
