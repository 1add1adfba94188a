"""The path: look → step → record → respond. Everything the agent does by itself begins on this screen."""

import asyncio
from collections.abc import Iterable, Sequence

from agent.model.check import Check
from agent.model.decision import Decision, Input, Parents, Proof, Tick, Verb, WindowEdge
from agent.model.host import Host
from agent.model.look import Result, Verdict
from agent.practices import story
from agent.runtime.asking import Asking
from agent.runtime.book import Book
from agent.runtime.desk import AGENT, Desk
from agent.runtime.doubts import Doubts
from agent.runtime.foresight import Foresight
from agent.runtime.recorder import Recorder
from agent.runtime.remedies import Remedies
from agent.runtime.windows import Windows
from agent.runtime.workers import Workers


class Pipeline:
    """From one look at the world to what is done about it."""

    def __init__(
        self, *, book: Book, looker: Foresight, desk: Desk, recorder: Recorder, remedies: Remedies, workers: Workers
    ) -> None:
        self._book = book
        self._looker = looker
        self._desk = desk
        self._recorder = recorder
        self._workers = workers
        self._doubts = Doubts(book)
        self._windows = Windows(book)
        self._turn = asyncio.Lock()
        self._asking = Asking(book=book, recorder=recorder, remedies=remedies, workers=workers, turn=self._turn)
        self._seen: set[str] = set()  # since this process began

    async def watch(self, host: Host | None, checks: Sequence[Check]) -> list[Result]:
        """Look at all that is due on one host, and follow every result through."""
        results = await self._looker.look(host, self._doubts.within_reach(host, checks))
        if doubted := self._doubts.of_host(host, results):
            results = [*await self._looker.look(host, doubted), *results]
        return await self._see_all(host, results, set())

    async def _see_all(self, host: Host | None, results: Sequence[Result], asked: set[str]) -> list[Result]:
        """Every parent before its children; what would be told asks its parents once more before it is believed."""
        seen: list[Result] = []
        for result in self._book.in_order(results):
            if doubted := self._doubts.of_parents(result, asked):
                asked.update(check.key for check in doubted)
                seen += await self._see_all(host, await self._looker.look(host, doubted), asked)
            await self.see(result)
            seen.append(result)
        return seen

    async def see(self, result: Result) -> None:
        """One result: what suppresses it first, then what it means, then whom it is evidence for."""
        if self._book.rules(result.key) is None:
            return
        self._recorder.note(result)
        await self._weigh_parents(result.key)
        is_first = result.key not in self._seen
        if is_first or self._book.state(result.key).silenced:  # it may have begun unwatched, or its window be gone
            check = self._book.policies.checks[result.key]
            await self._weigh_windows(check, self._recorder.now(), only_begun=is_first)
        await self.follow(result.key, result)
        self._recorder.settle(result.key)
        for asker in self._book.askers(result.key):
            proof = Proof(
                at_us=result.ended_us, key=result.key, begun_us=result.begun_us,
                verdict=self._book.state(result.key).raw or Verdict.UNKNOWN,
            )  # fmt: skip
            await self.follow(asker, proof)
        self._seen.add(result.key)
        await self._asking.after_look(result.key)

    async def follow(self, key: str, given: Input, *, actor: str = AGENT) -> None:
        """Whatever was given: step → record → respond."""
        rules, before = self._book.rules(key), self._book.state(key)
        if rules is None or story.step(before, given, rules) == (before, ()):
            return
        async with self._turn:
            decided = await self._workers.write(self._desk.follow, key, given, actor=actor)
        await self._respond(key, decided)
        if self._book.state(key).is_failing != before.is_failing:
            for child in self._book.children(key):
                await self._weigh_parents(child)

    async def follow_all(self, keys: Iterable[str], given: Input, *, actor: str = AGENT) -> None:
        """The same for many checks at once: what happened to the agent itself, or to its policies."""
        async with self._turn:
            decided = await self._workers.write(self._desk.follow_all, tuple(keys), given, actor=actor)
        for key, decisions in decided.items():
            await self._respond(key, decisions)

    async def _respond(self, key: str, decided: tuple[Decision, ...]) -> None:
        for one in decided:
            if one.verb is Verb.TRY_REMEDY:
                await self._asking.ask(key, one)

    def take_up(self) -> tuple[str, ...]:
        """At a start: what was being asked, and what time may decide, waits for a fresh look; what is to be looked at."""
        return (*self._asking.take_up(), *self._book.restless())

    async def resume(self, keys: Iterable[str]) -> None:
        """Other processes changed the states of these: ask again what they did not get an answer to."""
        await self._asking.resume(keys)

    async def _weigh_parents(self, key: str) -> None:
        failing = self._book.failing_parents(key)
        if failing != self._book.state(key).parents:
            await self.follow(key, Parents(at_us=self._recorder.now(), failing=failing))

    def is_restless(self, now_us: int) -> bool:
        """Whether `take_time` has anything to do."""
        return not self._seen.isdisjoint(self._book.restless()) or self._windows.have_turned(now_us)

    async def take_time(self, now_us: int) -> None:
        """Time passed: windows open and close, verifications run out, what was refused is asked again.

        For what was seen since this process began: after a pause time decides nothing before a fresh look.
        """
        for key in self._seen.intersection(self._book.restless()):
            await self.follow(key, Tick(at_us=now_us))
        if self._windows.have_turned(now_us):
            policies = self._book.policies
            for check in policies.checks.values():
                if check.key in self._seen:
                    await self._weigh_windows(check, now_us)
            if self._book.policies is policies:  # else others came into force meanwhile, and are weighed next time
                self._windows.turn(now_us)

    async def _weigh_windows(self, check: Check, now_us: int, *, only_begun: bool = False) -> None:
        silenced = self._windows.silence(check, now_us)
        if silenced != self._book.state(check.key).silenced and (silenced or not only_begun):
            await self.follow(check.key, WindowEdge(at_us=now_us, silenced=silenced))
