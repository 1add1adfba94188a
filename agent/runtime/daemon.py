"""The daemon: start, the loops, stop. A loop that breaks is logged and goes on; the heartbeat tells if one hangs."""

import asyncio
import dataclasses
import logging
import signal
from collections.abc import Awaitable, Callable

from agent.model.decision import Gap
from agent.model.journal import Entry
from agent.runtime import attic, descriptors, garbage, once
from agent.runtime.agent import Agent
from agent.runtime.clockwork import Clockwork, Duty
from agent.runtime.heartbeat import Heartbeat
from agent.runtime.orders import Orders
from agent.runtime.rota import Rota
from agent.runtime.scheduler import SLOT_SECONDS
from agent.runtime.summary import Summary, summarise
from agent.runtime.workers import guard
from agent.store import journal

logger = logging.getLogger(__name__)
WAITING_SECONDS = 180.0  # an inventory has two minutes, a host that is asked for its consent a minute after its login
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
    descriptors.raise_limit()
    garbage.share_heap()
    stop = asyncio.Event()
    rota = Rota(agent)
    orders = Orders(agent, rota)
    _listen(stop, orders)
    await start(agent, rota)
    setting.heartbeat.notify("READY=1")
    setting.on_started()
    left: tuple[str, ...] = ()
    if setting.once:
        left = await once.through(agent, rota, stop)
    else:
        await _loop(agent, setting, rota, orders, stop)
    setting.heartbeat.notify("STOPPING=1")
    await rota.finish(STOP_SECONDS)
    await agent.recorder.flush(last=True)
    await guard("last deliveries", agent.dispatcher.round(), otherwise=lambda _: 0)
    await agent.workers.write(_note, agent, "stopped", "the agent was told to stop")
    return dataclasses.replace(summarise(agent, began_us), left=left)


async def start(agent: Agent, rota: Rota) -> None:
    """Take up where the last process ended: what was soft is forgotten, what ran is adopted, what was asked is asked."""
    scripts = agent.reloader.scripts()
    await agent.workers.write(_note, agent, "started", "the agent was started", scripts=scripts)
    await agent.workers.write(agent.watch_from_now)
    await agent.workers.look(agent.saves.sweep)
    await agent.pipeline.follow_all(tuple(agent.book.states()), Gap(at_us=agent.clock.now(), from_us=0))
    await agent.executor.adopt()
    rota.adopt()
    for key in agent.pipeline.take_up():
        agent.scheduler.now(key)
    garbage.settle()


def _note(agent: Agent, kind: str, why: str, **more: object) -> None:
    with agent.store.write() as tx:
        journal.append(
            tx,
            Entry(
                actor="agent", kind=f"agent-{kind}", object_type="agent", object_id=agent.book.policies.config.name,
                why=why, policy_generation=agent.book.generation, body={"digest": agent.book.policies.digest, **more},
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
    """What the daemon does again and again. Each says at once that there is nothing to do, or returns what is to be awaited."""

    def __init__(self, agent: Agent, heartbeat: Heartbeat, rota: Rota, orders: Orders) -> None:
        self._agent = agent
        self._orders = orders
        self._heartbeat = heartbeat
        self._rota = rota
        self._seen: dict[str, tuple[int, int]] = {}

    def all(self) -> tuple[Duty, ...]:
        """How often each is done."""
        recorder = self._agent.recorder
        return (
            Duty(name="checks", seconds=SLOT_SECONDS, turn=self._rota.turn),
            Duty(name="executions", seconds=0.25, turn=self.watch_executions, idle_seconds=SLOT_SECONDS),
            Duty(name="time", seconds=1.0, turn=self.mind_the_clock),
            Duty(name="rounds", seconds=1.0, turn=self.start_due, lenient_seconds=WAITING_SECONDS),
            Duty(name="recoveries", seconds=1.0, turn=self.recover, lenient_seconds=WAITING_SECONDS),
            Duty(name="deliveries", seconds=1.0, turn=self.deliver),
            Duty(name="looks", seconds=2.0, turn=recorder.flush_if_needed),
            Duty(name="lateness", seconds=60.0, turn=self._rota.tell),
            Duty(name="samples", seconds=300.0, turn=recorder.pack),
            Duty(name="attic", seconds=3600.0, turn=self.clear_attic, lenient_seconds=WAITING_SECONDS),
            Duty(name="orders", seconds=1.0, turn=self.take_orders, lenient_seconds=WAITING_SECONDS),
            Duty(name="heartbeat", seconds=5.0, turn=self.beat),
        )

    def _is_news(self, duty: str) -> bool:
        """Whether anybody has written since this duty last asked."""
        version = self._agent.store.version()
        seen = self._seen.get(duty)
        self._seen[duty] = version
        return version != seen

    def watch_executions(self) -> Awaitable[None] | None:
        """Settle what has ended; what was due may have waited for it."""
        return self._settle() if self._agent.executor.running() else None

    async def _settle(self) -> None:
        if await self._agent.executor.poll():
            self._agent.rounds.waking.poke()
            self._agent.caretaker.waking.poke()
            self._agent.recoveries.waking.poke()

    def mind_the_clock(self) -> Awaitable[None] | None:
        """Take note of what others wrote, of a clock that jumped, and of time itself."""
        step = self._agent.health.clock_step_seconds()
        if (
            not step
            and not self._agent.pipeline.is_restless(self._agent.clock.now())
            and not self._agent.book.is_stale()
        ):
            return None
        return self._follow_time(step)

    async def _follow_time(self, step_seconds: float) -> None:
        agent = self._agent
        if step_seconds:
            await agent.workers.write(_note, agent, "clock-step", f"the wall clock jumped by {step_seconds:.1f} s")
            now_us = agent.clock.now()  # no proof runs out, and nothing gets hard, by a clock that was set
            await agent.pipeline.follow_all(tuple(agent.book.states()), Gap(at_us=now_us, from_us=now_us))
        changed = await agent.workers.write(agent.book.refresh)  # where states are kept
        await agent.pipeline.resume(self._rota.hurry(changed))
        await agent.pipeline.take_time(agent.clock.now())

    def start_due(self) -> Awaitable[None] | None:
        """Take up what others left, and start what is due."""
        is_news = self._is_news("executions") or self._agent.executor.is_behind()
        return self._start_due(is_news=is_news) if is_news or self._are_due() else None

    def _are_due(self) -> bool:
        return self._agent.rounds.waking.is_due() or self._agent.caretaker.waking.is_due()

    async def _start_due(self, *, is_news: bool) -> None:
        if is_news:
            await self._agent.executor.adopt()
        await self._agent.rounds.start_due()
        await self._agent.caretaker.start_due()

    def recover(self) -> Awaitable[None] | None:
        """Go on with recoveries that nobody drives, and begin the rehearsals that are due."""
        is_news = self._is_news("recoveries")
        return self._agent.recoveries.turn() if self._agent.recoveries.are_due(is_news=is_news) else None

    def deliver(self) -> Awaitable[int] | None:
        """Tell the sinks what waits for them."""
        if self._is_news("deliveries") or self._agent.dispatcher.has_waiting:
            return self._agent.dispatcher.round()
        return None

    async def clear_attic(self) -> None:
        """Remove what nobody needs a month later."""
        agent, now_us = self._agent, self._agent.clock.now()
        await agent.workers.look(attic.clear, agent.store, agent.book.policies.config.state / "runs", now_us)
        await agent.workers.write(attic.forget_delivered, agent.store, now_us)

    def take_orders(self) -> Awaitable[None] | None:
        """Do what was ordered by a signal, a command or a changed file."""
        is_news = self._is_news("orders")
        return self._orders.turn(is_news=is_news) if is_news or self._orders.are_files_news() else None

    def beat(self) -> None:
        """Tell the service manager that all is well, or the log what hangs."""
        if not self._heartbeat.beat():
            logger.error("no progress: %s", ", ".join(self._heartbeat.late()))


async def _loop(agent: Agent, setting: Setting, rota: Rota, orders: Orders, stop: asyncio.Event) -> None:
    clockwork = Clockwork(agent.clock, setting.heartbeat, Duties(agent, setting.heartbeat, rota, orders).all())
    running = asyncio.create_task(clockwork.keep())
    try:
        await asyncio.wait_for(stop.wait(), timeout=setting.for_seconds)
    except TimeoutError:
        logger.info("the time is up")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await clockwork.finish(STOP_SECONDS)
