"""The rota: takes due checks from the scheduler and sends them out, one batch per host at a time."""

import asyncio
import logging
from collections.abc import Iterable

from agent.model.check import Check
from agent.practices import story
from agent.runtime.agent import Agent
from agent.runtime.scheduler import batches
from agent.runtime.workers import guard

logger = logging.getLogger(__name__)
AT_ONCE = 64  # hosts


class Rota:
    """No host is looked at twice at a time; a check that is still under way is not queued again but counted as late."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._tasks: dict[str | None, asyncio.Task[None]] = {}
        self._waiting: dict[str | None, dict[str, Check]] = {}
        self._under_way: dict[str | None, frozenset[str]] = {}
        self._room = asyncio.Semaphore(AT_ONCE)
        self.late = 0
        self.looked = 0

    def adopt(self) -> None:
        """Schedule the set in force; what was never looked at is due at once."""
        book, checks = self._agent.book, self._agent.book.policies.checks
        never = [key for key in checks if book.state(key).raw is None]
        self._agent.scheduler.adopt(checks.values(), soon=never)
        self.hurry(checks)

    def hurry(self, keys: Iterable[str]) -> tuple[str, ...]:
        """Bring these checks into the bucket that their state asks for; the same keys."""
        given = tuple(keys)
        wanted = self._agent.book.wanted_proofs()
        for key in given:
            retrying = key in wanted or story.wants_retry(self._agent.book.state(key))
            self._agent.scheduler.hurry(key, retrying=retrying)
        return given

    async def turn(self) -> None:
        """Send out what has come due."""
        for key in self._agent.book.stirred():
            self._agent.scheduler.now(key)
        for host, checks in batches(self._agent.scheduler.take()):
            self._send(host, checks)

    def _send(self, host: str | None, checks: Iterable[Check]) -> None:
        under_way = self._under_way.get(host, frozenset())
        waiting = self._waiting.setdefault(host, {})
        for check in checks:
            if check.key in under_way or check.key in waiting:
                self.late += 1
            else:
                waiting[check.key] = check
        if waiting and host not in self._tasks:
            self._tasks[host] = asyncio.create_task(self._watch(host))

    async def _watch(self, host: str | None) -> None:
        try:
            while checks := self._waiting.pop(host, None):
                self._under_way[host] = frozenset(checks)
                async with self._room:
                    await guard(f"looking at {host}", self.look(host, list(checks.values())), otherwise=lambda _: None)
        finally:
            self._under_way.pop(host, None)
            self._tasks.pop(host, None)

    async def look(self, host: str | None, checks: list[Check]) -> None:
        """Look at a host, and let what was seen decide when it is looked at next."""
        policies, now_us = self._agent.book.policies, self._agent.clock.now()
        awake = [check for check in checks if check.paused_until_us is None or check.paused_until_us <= now_us]
        results = await self._agent.pipeline.watch(policies.hosts.get(host) if host else None, awake)
        self.looked += len(results)
        self.hurry(result.key for result in results)
        self.hurry(self._agent.book.wanted_proofs())

    async def finish(self, seconds: float) -> None:
        """Wait for what is under way, so long and no longer."""
        self._waiting.clear()
        if self._tasks:
            _, left = await asyncio.wait(self._tasks.values(), timeout=seconds)
            for task in left:
                task.cancel()
