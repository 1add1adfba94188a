"""The daemon: start, the loops, stop. A loop that breaks is logged and goes on; the heartbeat tells if one hangs."""

import asyncio
import dataclasses
import logging
import signal
from collections.abc import Awaitable, Callable

from agent.clock import NANOSECONDS
from agent.model.decision import Gap
from agent.model.journal import Entry
from agent.runtime import once
from agent.runtime.agent import Agent
from agent.runtime.heartbeat import Heartbeat
from agent.runtime.orders import Orders
from agent.runtime.rota import Rota
from agent.runtime.summary import Summary, summarise
from agent.runtime.workers import guard
from agent.store import journal

logger = logging.getLogger(__name__)
STOP_SECONDS = 10.0  # for looks under way when the daemon is told to stop


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """How a daemon is to run."""

    for_seconds: float | None = None
    once: bool = False
    heartbeat: Heartbeat
    on_started: Callable[[], None] = lambda: None


async def run(agent: Agent, setting: Setting) -> Summary:
    """Run until told to stop, or until the time is up; what was done in that time."""
    began_us = agent.clock.now()
    stop = asyncio.Event()
    rota = Rota(agent)
    orders = Orders(agent, rota)
    _listen(stop, orders)
    await start(agent, rota)
    setting.heartbeat.notify("READY=1")
    setting.on_started()
    if setting.once:
        await once.through(agent, rota)
    else:
        await _loop(agent, setting, rota, orders, stop)
    setting.heartbeat.notify("STOPPING=1")
    await rota.finish(STOP_SECONDS)
    await agent.recorder.flush(last=True)
    await guard("last deliveries", agent.dispatcher.round(), otherwise=lambda _: 0)
    await agent.workers.write(_note, agent, "stopped", "the agent was told to stop")
    return summarise(agent, began_us)


async def start(agent: Agent, rota: Rota) -> None:
    """Take up where the last process ended: what was soft is forgotten, what ran is adopted, what was asked is asked."""
    await agent.workers.write(_note, agent, "started", "the agent was started")
    await agent.workers.write(agent.saves.watch_from_now)
    await agent.workers.look(agent.saves.sweep)
    for key in tuple(agent.book.states()):
        await agent.pipeline.follow(key, Gap(at_us=agent.clock.now(), from_us=0))
    await agent.executor.adopt()
    rota.adopt()
    for key in agent.pipeline.take_up():
        agent.scheduler.now(key)


def _note(agent: Agent, kind: str, why: str) -> None:
    with agent.store.write() as tx:
        journal.append(
            tx,
            Entry(
                actor="agent", kind=f"agent-{kind}", object_type="agent", object_id=agent.book.policies.config.name,
                why=why, policy_generation=agent.book.generation, body={"digest": agent.book.policies.digest},
            ),
        )  # fmt: skip


def _listen(stop: asyncio.Event, orders: Orders) -> None:
    loop = asyncio.get_running_loop()

    def told(number: signal.Signals) -> None:
        if stop.is_set():  # told twice: now
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told, number)
    loop.add_signal_handler(signal.SIGHUP, orders.reload_soon)


class Duties:
    """What the daemon does again and again, each in a loop of its own."""

    def __init__(self, agent: Agent, setting: Setting, rota: Rota, orders: Orders) -> None:
        self._agent = agent
        self._orders = orders
        self._heartbeat = setting.heartbeat
        self._rota = rota
        self._seen: dict[str, tuple[int, int]] = {}

    def _is_news(self, duty: str) -> bool:
        """Whether anybody has written since this duty last asked."""
        version = self._agent.store.version()
        seen = self._seen.get(duty)
        self._seen[duty] = version
        return version != seen

    async def watch_executions(self) -> None:
        """Settle what has ended; what was due may have waited for it."""
        if await self._agent.executor.poll():
            self._agent.rounds.poke()

    async def mind_the_clock(self) -> None:
        """Take note of what others wrote, of a clock that jumped, and of time itself."""
        agent = self._agent
        if step := agent.health.clock_step_seconds():
            await agent.workers.write(_note, agent, "clock-step", f"the wall clock jumped by {step:.1f} s")
            for key in tuple(agent.book.states()):  # no proof runs out, and nothing gets hard, by a clock that was set
                await agent.pipeline.follow(key, Gap(at_us=agent.clock.now(), from_us=agent.clock.now()))
        await agent.pipeline.resume(self._rota.hurry(agent.book.refresh()))
        await agent.pipeline.take_time(agent.clock.now())

    async def start_due(self) -> None:
        """Take up what others left, and start what is due."""
        if self._is_news("executions"):
            await self._agent.executor.adopt()
        await self._agent.rounds.start_due()

    async def deliver(self) -> None:
        """Tell the sinks what waits for them."""
        if self._is_news("deliveries") or self._agent.dispatcher.has_waiting:
            await self._agent.dispatcher.round()

    async def take_orders(self) -> None:
        """Do what was ordered by a signal, a command or a changed file."""
        if self._is_news("orders"):
            await self._orders.turn()
        await self._orders.look_at_files()

    async def beat(self) -> None:
        """Tell the service manager that all is well, or the log what hangs."""
        if not self._heartbeat.beat():
            logger.error("no progress: %s", ", ".join(self._heartbeat.late()))


async def _loop(agent: Agent, setting: Setting, rota: Rota, orders: Orders, stop: asyncio.Event) -> None:
    duties = Duties(agent, setting, rota, orders)
    loops: tuple[tuple[str, float, Callable[[], Awaitable[None]]], ...] = (
        ("checks", 0.25, rota.turn),
        ("executions", 0.25, duties.watch_executions),
        ("time", 1.0, duties.mind_the_clock),
        ("rounds", 1.0, duties.start_due),
        ("deliveries", 1.0, duties.deliver),
        ("looks", 2.0, agent.recorder.flush),
        ("lateness", 60.0, rota.tell),
        ("samples", 300.0, agent.recorder.pack),
        ("orders", 1.0, duties.take_orders),
        ("heartbeat", 5.0, duties.beat),
    )
    under_way: set[asyncio.Task[None]] = set()
    running = [
        asyncio.create_task(_turn(agent, setting.heartbeat, name, pause, _kept(name, work, under_way)))
        for name, pause, work in loops
    ]
    try:
        await asyncio.wait_for(stop.wait(), timeout=setting.for_seconds)
    except TimeoutError:
        logger.info("the time is up")
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    if under_way:
        await asyncio.wait(under_way, timeout=STOP_SECONDS)


def _kept(
    name: str, work: Callable[[], Awaitable[None]], under_way: set[asyncio.Task[None]]
) -> Callable[[], Awaitable[None]]:
    """The work of a loop, guarded; when its loop is cancelled a turn goes on: half a delivery would be sent again."""

    async def turn() -> None:
        await guard(f"loop {name}", work(), otherwise=lambda _: None)

    async def begin() -> None:
        task = asyncio.create_task(turn())
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        await asyncio.shield(task)

    return begin


async def _turn(
    agent: Agent, heartbeat: Heartbeat, name: str, pause_seconds: float, work: Callable[[], Awaitable[None]]
) -> None:
    heartbeat.expect(name, within_seconds=30.0 + 4 * pause_seconds)
    pause_ns = int(pause_seconds * NANOSECONDS)
    while True:
        await work()
        heartbeat.stamp(name)
        # on whole multiples: the slots of checks lie there, and all loops wake up together
        await agent.clock.sleep_until((agent.clock.boottime() // pause_ns + 1) * pause_ns)
