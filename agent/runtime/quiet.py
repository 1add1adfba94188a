"""Repositories at which nothing is due before a known moment: they are not asked about again until then, or until somebody writes about them."""

from collections.abc import Iterator, Mapping

from agent.clock import MICROSECONDS
from agent.practices import places
from agent.practices.places import Place
from agent.store import executions, journal
from agent.store.tx import Reader

LONGEST_SECONDS = 3600.0  # after which each is asked about anyhow


class Quiet:
    """Which places rest, from when until when; whatever the journal says of one wakes it."""

    def __init__(self) -> None:
        self._places: Mapping[str, Place] = {}
        self._about: dict[str, set[str]] = {}  # whose work tells something of which places
        self._resting: dict[str, tuple[int, int]] = {}
        self._seq = 0

    def listen(self, reader: Reader, known: Mapping[str, Place]) -> None:
        """Wake what was written about since the last time; all of them when others are in force."""
        if known is not self._places:
            self._places, self._about, self._resting = known, _about(known), {}
        elif self._resting:
            for cause in executions.written_about(reader, self._seq):
                for one in self._about.get(cause, ()):
                    self._resting.pop(one, None)
        self._seq = journal.head(reader).seq

    def awake(self, now_us: int) -> Iterator[Place]:
        """Those to ask about now; all that rest from a moment of the future are awake: the clock was wrong."""
        for cause, place in self._places.items():
            from_us, until_us = self._resting.get(cause, (0, 0))
            if places.needs_upkeep(place) and not from_us <= now_us < until_us:
                yield place

    def rest(self, place: Place, now_us: int, until_us: int | None) -> None:
        """Nothing is due there before that (µs UTC)."""
        latest_us = now_us + int(LONGEST_SECONDS * MICROSECONDS)
        self._resting[place.cause] = (now_us, latest_us if until_us is None else min(until_us, latest_us))

    def ends_us(self) -> int | None:
        """When the first of them wakes by itself; None while none rests."""
        return min((until_us for _, until_us in self._resting.values()), default=None)


def _about(known: Mapping[str, Place]) -> dict[str, set[str]]:
    """Its own work, the backups that it holds, and what is copied out of it."""
    found: dict[str, set[str]] = {}
    for cause, place in known.items():
        for key in (cause, *(backup.key for backup in place.backups)):
            found.setdefault(key, set()).add(cause)
        for source in place.sources:
            found.setdefault(cause, set()).add(source)
    return found
