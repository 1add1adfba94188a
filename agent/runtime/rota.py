"""The rota: takes due checks from the scheduler and sends them out, one batch per host at a time."""

import asyncio
from collections import deque
from collections.abc import Iterable

from agent.clock import MICROSECONDS, NANOSECONDS
from agent.model.check import Check, key_of
from agent.model.look import Look, Result, Verdict
from agent.runtime.agent import Agent
from agent.runtime.lanes import Lanes
from agent.runtime.workers import guard

NEW_PER_TURN = 16  # hosts that are looked at for the first time: a fleet that is new to us is met in turn, not at once
TALLY = key_of("agent/looks", None)  # where the rota tells how it fares


class Rota:
    """No host is looked at twice at a time; a check that is still under way is not queued again but counted as late.

    What is about no host does not wait for one another: a new batch of it may begin while an earlier one goes on.
    """

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._lanes = Lanes(agent.clock)
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy: set[str] = set()  # hosts
        self._waiting: dict[str | None, dict[str, Check]] = {}
        self._under_way: set[str] = set()  # checks
        self._new: deque[list[Check]] = deque()  # never looked at, by host
        self._longest_ns = 0
        self._told = (0, 0)
        self.late = 0
        self.looked = 0

    def adopt(self) -> None:
        """Schedule the set in force; what was never looked at is due at once, so many hosts at a time."""
        book, checks = self._agent.book, self._agent.book.policies.checks
        never = [check for check in checks.values() if book.state(check.key).raw is None]
        hosts: dict[str, list[Check]] = {}
        for check in never:
            hosts.setdefault(check.host or check.key, []).append(check)
        self._new = deque(hosts.values())
        self._agent.scheduler.adopt(checks.values())
        self._agent.recorder.adopt({*checks, TALLY})
        self.hurry(checks)

    def hurry(self, keys: Iterable[str]) -> tuple[str, ...]:
        """Bring these checks into the bucket that their state asks for; the same keys."""
        given = tuple(keys)
        wanted, is_hasty = self._agent.book.wanted_proofs(), self._agent.book.is_hasty
        for key in given:
            self._agent.scheduler.hurry(key, retrying=key in wanted or is_hasty(key))
        return given

    def turn(self) -> None:
        """Send out what has come due."""
        for _ in range(min(NEW_PER_TURN, len(self._new))):
            for check in self._new.popleft():
                if check.key not in self._under_way and self._agent.book.state(check.key).raw is None:
                    self._agent.scheduler.now(check.key)
        for host, checks in self._agent.scheduler.take():
            self._send(host, checks)

    def _send(self, host: str | None, checks: Iterable[Check]) -> None:
        waiting = self._waiting.setdefault(host, {})
        for check in checks:
            if check.key in self._under_way or check.key in waiting:
                self.late += 1
            else:
                waiting[check.key] = check
        if waiting and host not in self._busy:
            task = asyncio.create_task(self._watch(host))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            self._busy.update([host] if host is not None else ())

    async def _watch(self, host: str | None) -> None:
        """Look at what waits, until nothing does."""
        try:
            while checks := self._waiting.pop(host, None):
                self._under_way.update(checks)
                await guard(f"looking at {host}", self.look(host, list(checks.values())), otherwise=lambda _: None)
                self._under_way.difference_update(checks)
        finally:
            self._busy.discard(host or "")

    async def look(self, host: str | None, checks: list[Check]) -> None:
        """Look at a host as soon as there is room, and let what was seen decide when it is looked at next."""
        policies, asked_ns = self._agent.book.policies, self._agent.clock.boottime()
        known = policies.hosts.get(host) if host else None
        async with self._lanes.place(host or checks[0].key, known.address if known else None):
            self._longest_ns = max(self._longest_ns, self._agent.clock.boottime() - asked_ns)
            now_us = self._agent.clock.now()
            awake = [check for check in checks if check.paused_until_us is None or check.paused_until_us <= now_us]
            results = await self._agent.pipeline.watch(known, awake)
        self.looked += len(results)
        self.hurry(result.key for result in results)
        self.hurry(self._agent.book.wanted_proofs())

    def tell(self) -> None:
        """Note how many looks there were since the last time, and how many were left out for they came too late."""
        looked, late = self.looked - self._told[0], self.late - self._told[1]
        self._told, waited = (self.looked, self.late), self._longest_ns / NANOSECONDS
        self._longest_ns = 0
        metrics = {"looked": float(looked), "late": float(late), "wait": waited}
        summary = f"{looked} looks, {late} left out, the longest wait {waited:.1f} s"
        verdict = Verdict.WARNING if late else Verdict.OK
        now_us = self._agent.clock.now()
        self._agent.recorder.note(
            Result(
                key=TALLY, begun_us=now_us - int(waited * MICROSECONDS), ended_us=now_us,
                look=Look(verdict=verdict, summary=summary, metrics=metrics),
            ),
        )  # fmt: skip

    async def finish(self, seconds: float) -> None:
        """Wait for what is under way, so long and no longer."""
        self._waiting.clear()
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=seconds)
            for task in left:
                task.cancel()
