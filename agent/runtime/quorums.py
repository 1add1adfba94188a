"""Quorums: their looks are made of the states in the book, and due again as soon as one of those states changes."""

from agent.clock import Clock
from agent.model.check import Check
from agent.model.look import Look
from agent.practices import quorum
from agent.runtime.book import Book


class Quorums:
    """Counts members by what the book knows of them."""

    def __init__(self, book: Book, clock: Clock) -> None:
        self._book = book
        self._clock = clock

    def look(self, check: Check) -> Look:
        """All members but those that are paused now."""
        now_us, checks = self._clock.now(), self._book.policies.checks
        awake = [key for key in check.members if key in checks and not now_us < (checks[key].paused_until_us or 0)]
        return quorum.tally(quorum.standing(self._book.state(key)) for key in awake)
