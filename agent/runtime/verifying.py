"""Playbooks against what drills restored: a drill waits with its sandbox while one is run through the gates, on record."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.backups import ANSWER, QUESTION, papers
from agent.clock import NANOSECONDS, Clock
from agent.model.execution import OPEN_STATES, Execution, ExecutionKind, ExecutionState
from agent.model.gate import Request, Trigger
from agent.model.host import Connection
from agent.model.remedy import Mode, Risk
from agent.runtime.book import Book
from agent.runtime.desk import AGENT
from agent.runtime.executor import Executor, Finish
from agent.runtime.gates import Gatekeeper, Wanted
from agent.runtime.remedies import Plays
from agent.runtime.workers import Workers
from agent.store import executions
from agent.store.engine import Store
from agent.store.tx import Tx
from agent.transports.child import Ended, Packet

_PUT_OFF_SECONDS = 15.0  # when a gate says no by what passes: the drill waits as long as its own time lasts
_PASSING_GATES = frozenset({"lock", "suppression"})
_SPARE_SECONDS = 5.0  # of the drill's time, to read the answer in


class Verifying:
    """Runs the playbooks that drills ask for, and answers them."""

    def __init__(
        self, *, store: Store, clock: Clock, book: Book, gatekeeper: Gatekeeper, executor: Executor, workers: Workers
    ) -> None:
        self._store = store
        self._clock = clock
        self._book = book
        self._gatekeeper = gatekeeper
        self._executor = executor
        self._workers = workers
        self._put_off: dict[str, int] = {}

    async def attend(self, drill: Execution) -> None:
        """Take the next step for a drill that runs, when it waits for one."""
        if not self.is_asking(drill):
            return
        begun = await self._workers.look(self._found, drill)
        if begun is None:
            await self._begin(drill)
        elif begun.state not in OPEN_STATES:
            passed = begun.state is ExecutionState.SUCCEEDED
            self._answer(drill, passed=passed, says=f"{begun.number}: {begun.summary or begun.state}")

    def is_asking(self, drill: Execution) -> bool:
        """Whether it is a drill that waits for an answer."""
        run_dir = self._executor.run_dir(drill)
        asks = drill.kind is ExecutionKind.DRILL and (run_dir / QUESTION).exists()
        return asks and not (run_dir / ANSWER).exists()

    def _found(self, drill: Execution) -> Execution | None:
        with self._store.read() as reader:
            return next(iter(executions.listing(reader, correlation_id=_about(drill), limit=1)), None)

    async def _begin(self, drill: Execution) -> None:
        now_ns = self._clock.boottime()
        if now_ns < self._put_off.get(drill.id, 0):
            return
        host = self._here(drill)
        if host is None:
            says = "no host of the inventory is this machine: give one `connection: local`"
            self._answer(drill, passed=False, says=says)
            return
        question = json.loads((self._executor.run_dir(drill) / QUESTION).read_text(encoding="utf-8"))
        wanted = _wanted(drill, question, host, (drill.deadline_ns - now_ns) / NANOSECONDS - _SPARE_SECONDS)
        admission = await self._workers.write(lambda: self._gatekeeper.admit(wanted, then=lambda _, __: None))
        if admission.execution is not None:
            await self._executor.start(admission.execution)
        elif admission.refusal.gate in _PASSING_GATES:
            self._put_off[drill.id] = now_ns + int(_PUT_OFF_SECONDS * NANOSECONDS)
        else:
            says = f"refused by the gate {admission.refusal.gate}: {admission.refusal.says}"
            self._answer(drill, passed=False, says=says)

    def _here(self, drill: Execution) -> str | None:
        """The name of this machine in the inventory: the sandbox is here, wherever the backup's host is."""
        hosts = self._book.policies.hosts
        names = [name for name, host in hosts.items() if host.connection is Connection.LOCAL]
        return drill.host if drill.host in names else next(iter(sorted(names)), None)

    def _answer(self, drill: Execution, *, passed: bool, says: str) -> None:
        answer = json.dumps({"passed": passed, "says": says})
        papers.replace(self._executor.run_dir(drill) / ANSWER, answer, is_durable=False)
        self._put_off.pop(drill.id, None)


def _about(drill: Execution) -> str:
    return f"{drill.id}/verify"


def _wanted(drill: Execution, question: dict[str, Any], host: str, seconds: float) -> Wanted:
    playbook = str(question["playbook"])
    request = Request(
        item=drill.item, service=drill.service, hosts=(host,), trigger=Trigger.PLANNED, actor=AGENT,
        cause=f"{drill.number} of {drill.item}", playbook=playbook, risk=Risk.OBSERVE, mode=Mode.AUTO,
    )  # fmt: skip
    variables = {
        "sandbox": question["sandbox"], "snapshot": question["snapshot"], "backup": drill.item,
        "backup_host": drill.host or "",
    }  # fmt: skip
    return Wanted(
        request=request, kind=ExecutionKind.VERIFY, correlation_id=_about(drill), timeout_seconds=max(1.0, seconds),
        args={"playbook": playbook, "vars": variables}, why=f"{drill.number} asks whether what it restored works",
    )  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class VerifyPlays:
    """How such a playbook is run and read: as every play, but what is lost is a failure of the drill and no more."""

    plays: Plays

    def packet(self, execution: Execution, run_dir: Path) -> Packet:
        """The play as the shim runs it."""
        return self.plays.packet(execution, run_dir)

    def finish(self, execution: Execution, run_dir: Path, ended: Ended, /) -> Finish:
        """What the play left behind."""
        return self.plays.finish(execution, run_dir, ended)

    def lost(self, _: Execution, /) -> Finish:
        """Nobody can say how it ended: nothing is proven by it."""
        return Finish(state=ExecutionState.FAILED, summary="its shim is gone and left no result")

    def record(self, _: Tx, __: Execution, ___: Finish) -> Callable[[], None]:
        """The drill learns of it by its answer."""
        return lambda: None
