"""What others ask of the running daemon: a signal, a command, or a file that changed; all of it means reload."""

from typing import Any

from agent.clock import NANOSECONDS
from agent.model.decision import Reload
from agent.model.state import Phase
from agent.runtime import garbage
from agent.runtime.agent import Agent
from agent.runtime.reload import Outcome
from agent.runtime.rota import Rota
from agent.store import orders
from agent.store.orders import Order

LOOK_SECONDS = 2.0  # how often the files are compared at most
AGAIN_SECONDS = 10.0  # after a reload that broke: the disk may have room again
SHARE = 0.001  # of one core, at most, for comparing them: thousands of files are compared less often


class Orders:
    """Takes orders out of the store, and watches the files."""

    def __init__(self, agent: Agent, rota: Rota) -> None:
        self._agent = agent
        self._rota = rota
        self._soon = False
        self._look_ns = self._again_ns = 0
        self._asked_ns = agent.clock.boottime()

    def reload_soon(self) -> None:
        """A signal asked for it."""
        self._soon = True

    def are_files_news(self) -> bool:
        """Whether a signal asked for a reload, or a file has other content."""
        now_ns = self._agent.clock.boottime()
        every_ns = int(self._agent.book.policies.config.inventory_every_seconds * NANOSECONDS)
        if now_ns - self._asked_ns > every_ns:
            self._asked_ns = now_ns
            self._soon = self._soon or self._agent.reloader.asks_a_program()
        if now_ns >= self._look_ns:
            self._soon = self._soon or self._agent.reloader.has_changed()
            took_ns = self._agent.clock.boottime() - now_ns
            self._look_ns = now_ns + max(int(LOOK_SECONDS * NANOSECONDS), int(took_ns / SHARE))
        return self._soon and now_ns >= self._again_ns

    async def turn(self, *, is_news: bool = True) -> None:
        """Do what was ordered since the last time; `is_news`: somebody has written to the store."""
        if is_news:
            await self._take()
        if self.are_files_news():
            self._soon = False
            try:
                await self._reload(consent=False, actor="agent")
            except BaseException:
                self._soon, self._again_ns = True, self._agent.clock.boottime() + int(AGAIN_SECONDS * NANOSECONDS)
                raise

    async def _take(self) -> None:
        for order in await self._agent.workers.look(self._waiting):
            if order.verb == "reload":
                outcome = await self._reload(consent=bool(order.args.get("yes")), actor=order.actor)
                await self._settle(order.id, outcome.document())
            else:
                await self._settle(order.id, {"error": f"this daemon does not know {order.verb}"})

    def _waiting(self) -> list[Order]:
        with self._agent.store.read() as reader:
            return orders.waiting(reader)

    def _waits(self, key: str) -> bool:
        climb = self._agent.book.state(key).climb
        return climb is not None and climb.phase is Phase.WAITING

    async def _settle(self, order_id: str, outcome: dict[str, Any]) -> None:
        def settle() -> None:
            with self._agent.store.write() as tx:
                orders.settle(tx, order_id, outcome)

        await self._agent.workers.write(settle)

    async def _reload(self, *, consent: bool, actor: str) -> Outcome:
        before = dict(self._agent.book.policies.checks)
        workers, reloader = self._agent.workers, self._agent.reloader
        loaded = await workers.look(reloader.read)
        outcome = await workers.write(reloader.reload, loaded, consent=consent, actor=actor)
        if outcome.applied:
            stirred = [
                key
                for key, check in self._agent.book.policies.checks.items()
                if key in before and (before[key].rules != check.rules or self._waits(key))
            ]
            await self._agent.pipeline.follow_all(stirred, Reload(at_us=self._agent.clock.now()))
            self._rota.adopt()
            if outcome.changed:
                await workers.write(self._agent.watch_from_now)
                garbage.settle()
        return outcome
