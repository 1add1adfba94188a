"""Asking for remedies: the gates answer, and what they let through is started; what stayed unanswered is asked again."""

import asyncio
from collections.abc import Iterable

from agent.model.decision import Decision, Verb
from agent.model.state import Phase
from agent.runtime.book import Book
from agent.runtime.recorder import Recorder
from agent.runtime.remedies import Remedies
from agent.runtime.workers import Workers


class Asking:
    """Between the story, which wants a remedy to be tried, and the gates: a process may end, or a disk be full, before they answer."""

    def __init__(
        self, *, book: Book, recorder: Recorder, remedies: Remedies, workers: Workers, turn: asyncio.Lock
    ) -> None:
        self._book = book
        self._recorder = recorder
        self._remedies = remedies
        self._workers = workers
        self._turn = turn
        self._unanswered: set[str] = set()  # what these checks asked for

    async def ask(self, key: str, decided: Decision) -> None:
        """Ask the gates, who go by what is durable; start what they let through."""
        self._unanswered.add(key)
        await self._recorder.flush()
        async with self._turn:
            execution = await self._workers.write(self._remedies.ask, key, decided)
        self._unanswered.discard(key)
        if execution is not None:
            await self._remedies.start(execution)

    def take_up(self) -> tuple[str, ...]:
        """At a start: what was being asked when the last process ended waits for a fresh look; whose looks these are."""
        self._unanswered = {key for key in self._book.states() if self._asked(key) is not None}
        return tuple(self._unanswered)

    async def after_look(self, key: str) -> None:
        """A fresh look is there: ask again what stayed unanswered."""
        if key in self._unanswered:
            self._unanswered.discard(key)
            await self.resume((key,))

    async def resume(self, keys: Iterable[str]) -> None:
        """Ask again what is being asked by the record: a process ended before the gates answered, here or elsewhere."""
        for key in keys:
            decided = self._asked(key)
            if decided is not None and self._book.rules(key) is not None:
                await self.ask(key, decided)

    def _asked(self, key: str) -> Decision | None:
        climb, mark = self._book.state(key).climb, self._book.state(key).mark
        if climb is None or climb.phase is not Phase.ASKED:
            return None
        return Decision(
            verb=Verb.TRY_REMEDY, why="it was about to be tried", severity=climb.severity, remedy=climb.remedy,
            rung=climb.rung, attempt=climb.attempt, episode=mark.episode if mark else 1,
        )  # fmt: skip
