"""Long work, from a durable intent to a recorded end: started in its shim, found again after a restart, settled once."""

import dataclasses
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from agent.clock import NANOSECONDS, Clock
from agent.errors import ConflictError, WatchkeeperError
from agent.model.execution import Execution, ExecutionKind, ExecutionState
from agent.model.journal import Entry
from agent.runtime.book import Book
from agent.runtime.workers import Workers, guard
from agent.store import executions, journal, leases
from agent.store.engine import Store
from agent.store.tx import Tx
from agent.transports import child
from agent.transports.child import Ended, Packet, Shim

logger = logging.getLogger(__name__)
AGAIN_SECONDS = 5.0  # after an end that could not be read or written down: the disk may have room again


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Finish:
    """How a piece of work ended."""

    state: ExecutionState
    summary: str
    exit_code: int | None = None
    detail: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def this_process(clock: Clock) -> list[object]:
    """Who files an intent: pid, start and boot of this process; while it lives, nobody else takes its work up."""
    found = child.process_start(os.getpid())
    return [os.getpid(), found or 0, clock.boot_id]


class Work(Protocol):
    """What one kind of execution knows: what to run, what its end means, what else is written with it."""

    def packet(self, execution: Execution, run_dir: Path) -> Packet:
        """What the shim is to run; a WatchkeeperError means that nothing was started."""

    def finish(self, execution: Execution, run_dir: Path, ended: Ended, /) -> Finish:
        """What the run folder says of the end."""

    def lost(self, execution: Execution, /) -> Finish:
        """What it means that the shim is gone and left no result."""

    def record(self, tx: Tx, execution: Execution, finish: Finish) -> Callable[[], None]:
        """Write what follows, in the same transaction; the callable runs once it is durable."""


class Executor:
    """Starts executions, watches them, settles each exactly once."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        book: Book,
        workers: Workers,
        works: Mapping[ExecutionKind, Work],
        failpoint: Callable[[str], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._book = book
        self._workers = workers
        self._works = works
        self._failpoint = failpoint
        self._running: dict[str, Execution] = {}
        self._put_off: dict[str, int] = {}
        self._never_began: dict[str, Finish] = {}  # by execution, until that is written down
        self._behind_ns: int | None = None  # something could not be adopted, and is tried again from then on
        self._attend: Callable[[Execution], Awaitable[None]] | None = None

    def attend_by(self, attend: Callable[[Execution], Awaitable[None]]) -> None:
        """At every look at what runs: give it what it waits for."""
        self._attend = attend

    def running(self) -> tuple[Execution, ...]:
        """What runs now, as far as this process watches it."""
        return tuple(self._running.values())

    def run_dir(self, execution: Execution) -> Path:
        """The folder of an execution."""
        return self._book.policies.config.state / execution.run_dir

    async def start(self, execution: Execution) -> None:
        """Hand an intended execution to a shim; what cannot be started is settled at once."""
        started = await guard(
            f"start of {execution.number}",
            self._workers.look(self._launch, execution),
            otherwise=lambda error: f"it could not be started: {error}",
        )
        if isinstance(started, str):
            self._never_began[execution.id] = Finish(state=ExecutionState.FAILED, summary=started)
            self._running[execution.id] = execution  # so that an end that cannot be written down now is settled later
            await self._settle(execution, self._never_began[execution.id])
            return
        watched = execution
        try:
            watched = await self._workers.write(self._dispatched, execution, started)
        finally:
            self._running[execution.id] = watched  # it runs, also when that could not be written down
        self._failpoint("after-dispatch")

    def _launch(self, execution: Execution) -> Shim:
        run_dir = self.run_dir(execution)
        return child.launch(run_dir, self._works[execution.kind].packet(execution, run_dir), self._clock)

    def _dispatched(self, execution: Execution, shim: Shim) -> Execution:
        changed = dataclasses.replace(
            execution, state=ExecutionState.DISPATCHED, shim_pid=shim.pid, shim_started=shim.started,
            boot_id=shim.boot_id, dispatched_at_us=self._clock.now(), revision=execution.revision + 1,
        )  # fmt: skip
        with self._store.write() as tx:
            executions.update(tx, changed)
            for host in execution.args.get("hosts", ()):
                leases.renew_owner(tx, host, execution.id, shim.pid, shim.started)
            self._note(tx, changed, "dispatched", f"its shim is process {shim.pid}")
        return changed

    async def adopt(self) -> None:
        """After a start: take up what runs, settle what ended meanwhile, cancel what never began."""
        adopted = [
            await guard(f"adopting {execution.number}", self._adopt(execution), otherwise=lambda _: False)
            for execution in await self._workers.look(self._left)
        ]
        again_ns = self._clock.boottime() + int(AGAIN_SECONDS * NANOSECONDS)
        self._behind_ns = None if all(adopted) else again_ns

    def is_behind(self) -> bool:
        """Whether something could not be adopted, and it is time to try again."""
        return self._behind_ns is not None and self._clock.boottime() >= self._behind_ns

    def _left(self) -> list[Execution]:
        """What has not ended by the record, and is looked after by no process; what has no shim is taken up elsewhere."""
        with self._store.read() as reader:
            found = executions.open_ones(reader)
        return [one for one in found if one.kind in self._works and not self._is_looked_after(one)]

    async def _adopt(self, execution: Execution) -> bool:
        if execution.id in self._running:
            return True
        shim = await self._workers.look(child.kept_by, self.run_dir(execution))
        if execution.state is ExecutionState.INTENT and (shim is None or shim.pid == 0):
            if await self._workers.look(child.forbid, self.run_dir(execution)):
                finish = Finish(state=ExecutionState.CANCELLED, summary="the agent stopped before it began")
                await self._settle(execution, finish)
                return True
            shim = await self._workers.look(child.kept_by, self.run_dir(execution))
        if execution.state is ExecutionState.INTENT and shim is not None:
            execution = await self._workers.write(self._dispatched, execution, shim)
        self._running[execution.id] = execution
        return True

    def _is_looked_after(self, execution: Execution) -> bool:
        """Whether the process that filed it lives: another one, or this one, which may just be starting it."""
        pid, started, boot_id = execution.args.get("filed_by", (0, 0, ""))
        return child.is_alive(Shim(pid=int(pid), started=int(started), boot_id=str(boot_id)), self._clock)

    async def poll(self) -> int:
        """Settle everything that has ended; how many that were. One that cannot be settled now holds up no other."""
        settled, now_ns = 0, self._clock.boottime()
        for execution in self.running():
            if now_ns < self._put_off.get(execution.id, 0):
                continue
            is_over = await guard(f"the end of {execution.number}", self._follow(execution), otherwise=lambda _: None)
            self._put_off.pop(execution.id, None)
            if is_over is None:
                self._put_off[execution.id] = now_ns + int(AGAIN_SECONDS * NANOSECONDS)
            settled += bool(is_over)
        return settled

    async def _follow(self, execution: Execution) -> bool:
        """Settle it if it has ended; whether it has."""
        if execution.id in self._never_began:
            await self._settle(execution, self._never_began[execution.id])
            return True
        finish = await self._workers.look(self._ending, execution)
        if finish is not None:
            await self._settle(execution, finish)
            return True
        if self._attend is not None:
            await guard(f"attending {execution.number}", self._attend(execution), otherwise=lambda _: None)
        return False

    def _ending(self, execution: Execution) -> Finish | None:
        """How it ended; None while it runs."""
        ended = child.peek(self.run_dir(execution), _shim(execution), self._clock)
        return None if isinstance(ended, child.Running) else self._judge(execution, ended)

    def _judge(self, execution: Execution, ended: Ended | child.Lost) -> Finish:
        if isinstance(ended, child.Lost):
            child.sweep(self.run_dir(execution))  # what it started must not run on while we say that it is over
            return self._works[execution.kind].lost(execution)
        try:
            return self._works[execution.kind].finish(execution, self.run_dir(execution), ended)
        except (WatchkeeperError, OSError, ValueError) as error:
            summary = f"it ended with {ended.exit_code}, and its record cannot be read: {error}"
            lost = self._works[execution.kind].lost(execution)  # as good as that
            return dataclasses.replace(lost, summary=summary, exit_code=ended.exit_code)

    async def _settle(self, execution: Execution, finish: Finish) -> None:
        try:
            after = await self._workers.write(self._record, execution, finish)
        except ConflictError:
            logger.debug("%s was settled by another process", execution.number)
            after = _nothing
        self._running.pop(execution.id, None)  # not before: what could not be written down is settled later
        self._never_began.pop(execution.id, None)
        after()

    def _record(self, execution: Execution, finish: Finish) -> Callable[[], None]:
        changed = dataclasses.replace(
            execution, state=finish.state, summary=finish.summary, exit_code=finish.exit_code,
            detail=finish.detail, ended_at_us=self._clock.now(), revision=execution.revision + 1,
        )  # fmt: skip
        with self._store.write() as tx:
            executions.update(tx, changed)
            if finish.state is not ExecutionState.UNCERTAIN:
                release(tx, changed)
            self._note(tx, changed, finish.state.value, finish.summary)
            return self._works[execution.kind].record(tx, changed, finish)

    def _note(self, tx: Tx, execution: Execution, kind: str, why: str) -> None:
        journal.append(
            tx,
            Entry(
                actor="agent", on_behalf_of=execution.actor, kind=f"execution-{kind}", object_type="execution",
                object_id=execution.number, revision=execution.revision, why=why, exec_id=execution.id,
                body={"exit_code": execution.exit_code, "shim_pid": execution.shim_pid, "detail": dict(execution.detail)},
                policy_generation=self._book.generation,
            ),
        )  # fmt: skip


def _nothing() -> None:
    """Another process saw to what follows."""


def release(tx: Tx, execution: Execution) -> None:
    """Free everything that an execution holds."""
    leases.release_all(tx, execution.id)


def _shim(execution: Execution) -> Shim | None:
    if execution.shim_pid is None or execution.shim_started is None:
        return None
    return Shim(pid=execution.shim_pid, started=execution.shim_started, boot_id=execution.boot_id)
