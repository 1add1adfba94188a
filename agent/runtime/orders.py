"""What others ask of the running daemon: a signal, a command, or a file that changed; all of it means reload."""

from typing import Any

from agent.clock import NANOSECONDS
from agent.model.decision import Reload
from agent.model.state import Phase
from agent.runtime.agent import Agent
from agent.runtime.reload import Outcome
from agent.runtime.rota import Rota
from agent.store import orders

LOOK_EVERY_TURNS = 2  # how often the files are compared, in turns of this loop


class Orders:
    """Takes orders out of the store, and watches the files."""

    def __init__(self, agent: Agent, rota: Rota) -> None:
        self._agent = agent
        self._rota = rota
        self._soon = False
        self._turns = 0
        self._asked_ns = agent.clock.boottime()

    def reload_soon(self) -> None:
        """A signal asked for it."""
        self._soon = True

    async def turn(self) -> None:
        """Do what was ordered since the last time."""
        with self._agent.store.read() as reader:
            waiting = orders.waiting(reader)
        for order in waiting:
            if order.verb == "reload":
                outcome = await self._reload(consent=bool(order.args.get("yes")), actor=order.actor)
                await self._settle(order.id, outcome.document())
            else:
                await self._settle(order.id, {"error": f"this daemon does not know {order.verb}"})

    async def look_at_files(self) -> None:
        """Reload when a signal asked for it or a file has other content."""
        self._turns += 1
        every_ns = int(self._agent.book.policies.config.inventory_every_seconds * NANOSECONDS)
        if self._agent.clock.boottime() - self._asked_ns > every_ns:
            self._asked_ns = self._agent.clock.boottime()
            self._soon = self._soon or self._agent.reloader.asks_a_program()
        if self._soon or (self._turns % LOOK_EVERY_TURNS == 0 and self._agent.reloader.has_changed()):
            self._soon = False
            await self._reload(consent=False, actor="agent")

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
        outcome = await self._agent.workers.write(self._agent.reloader.reload, consent=consent, actor=actor)
        if outcome.applied:
            for key, check in self._agent.book.policies.checks.items():
                if key in before and (before[key].rules != check.rules or self._waits(key)):
                    await self._agent.pipeline.follow(key, Reload(at_us=self._agent.clock.now()))
            self._rota.adopt()
        return outcome
