"""The record of recoveries: filed before the first step, driven by one process at a time, ended once."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from agent.clock import NANOSECONDS, Clock
from agent.errors import AgentError, RefusedError
from agent.model.check import Check
from agent.model.execution import OPEN_STATES, Execution, ExecutionKind, ExecutionState
from agent.model.journal import Entry
from agent.model.look import Look
from agent.model.recovery import Attempt, Past, Recovery
from agent.practices import recoveries as practice
from agent.practices.recoveries import MICROSECONDS
from agent.runtime.book import Book
from agent.runtime.desk import AGENT
from agent.runtime.executor import this_process
from agent.store import backups, counters, dues, executions, ids, journal, leases
from agent.store.engine import Store
from agent.store.tx import Reader, Tx
from agent.transports import child
from agent.transports.child import Shim

LOCK = "recovery:"
KINDS = frozenset({ExecutionKind.RECOVERY, ExecutionKind.REHEARSAL})
_ENDED = frozenset({ExecutionState.SUCCEEDED, ExecutionState.FAILED})
_DEADLINE_SECONDS = 86400.0 * 7  # of its lock, which falls with its end


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What somebody wants: whose recovery, onto which host, as of when; `planned`: the policy itself says so."""

    recovery: Recovery
    onto: str
    actor: str
    why: str
    at_us: int | None = None
    planned: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Records:
    """Recoveries in the store."""

    store: Store
    clock: Clock
    book: Book

    def file(self, order: Order) -> Execution:
        """File the intent; RefusedError while the same recovery is under way."""
        recovery, identity = order.recovery, ids.ulid(self.clock)
        kind = ExecutionKind.RECOVERY if order.onto == recovery.host else ExecutionKind.REHEARSAL
        deadline_ns = self.clock.boottime() + int(_DEADLINE_SECONDS * NANOSECONDS)
        with self.store.write() as tx:
            lock = LOCK + recovery.key
            held = leases.acquire(tx, name=lock, owner=identity, pid=0, started=0, deadline_ns=deadline_ns)
            if isinstance(held, leases.Held):
                raise RefusedError(f"{recovery.key} is under way already", hint="watchkeeper recovery list")
            plan = Execution(
                id=identity, number=counters.next_number(tx, "RUN"), kind=kind, item=recovery.item,
                service=recovery.service, host=order.onto, state=ExecutionState.DISPATCHED, actor=order.actor,
                why=order.why, correlation_id=recovery.key, episode=1, attempt=1, boot_id=self.clock.boot_id,
                deadline_ns=deadline_ns, intent_at_us=self.clock.now(), risk=0, run_dir=f"runs/{identity}",
                policy_generation=self.book.generation,
                args={"onto": order.onto, "of": recovery.host, "at_us": order.at_us, "planned": order.planned,
                      "begun_ns": self.clock.boottime(), "filed_by": this_process(self.clock)},
            )  # fmt: skip
            executions.insert(tx, plan)
            if kind is ExecutionKind.REHEARSAL:
                dues.mark(tx, f"rehearsal-tried:{recovery.key}", self.clock.now())
            self._note(tx, plan, "begun", order.why)
        return plan

    def rehearse(self, recovery: Recovery, onto: str) -> Execution:
        """File a rehearsal because it is due."""
        return self.file(Order(recovery=recovery, onto=onto, actor=AGENT, why="a rehearsal is due", planned=True))

    def open_ones(self) -> list[Execution]:
        """Those that are under way."""
        with self.store.read() as reader:
            return [one for one in executions.open_ones(reader) if one.kind in KINDS]

    def get(self, plan: Execution) -> Execution:
        """The newest revision."""
        with self.store.read() as reader:
            found = executions.get(reader, plan.id)
        if found is None:
            raise AgentError(f"{plan.number} is not in the record any more", hint="watchkeeper doctor")
        return found

    def newest(self, plan: Execution) -> Mapping[int, Execution]:
        """The newest execution of each step, by the step's index."""
        with self.store.read() as reader:
            found = executions.listing(reader, correlation_id=plan.id)
        steps: dict[int, Execution] = {}
        for one in found:
            steps.setdefault(one.attempt - 1, one)
        return steps

    def is_driven(self, plan: Execution) -> bool:
        """Whether another process that lives goes on with it."""
        mine = this_process(self.clock)
        pid, started, boot_id = plan.args.get("filed_by", (0, 0, ""))
        if [pid, started, boot_id] == mine:
            return False
        return child.is_alive(Shim(pid=int(pid), started=int(started), boot_id=str(boot_id)), self.clock)

    def moved(self, plan: Execution) -> Execution:
        """The next revision, driven by this process."""
        args = {**plan.args, "filed_by": this_process(self.clock)}
        return dataclasses.replace(plan, args=args, revision=plan.revision + 1)

    def update(self, tx: Tx, plan: Execution) -> None:
        """Store a revision; ConflictError when somebody else moved it first."""
        executions.update(tx, plan)

    def take(self, plan: Execution) -> Execution:
        """Drive it from here on."""
        if plan.args.get("filed_by") == this_process(self.clock):
            return plan
        taken = self.moved(plan)
        with self.store.write() as tx:
            self.update(tx, taken)
            self._note(tx, taken, "taken-over", "the process that drove it is gone")
        return taken

    def seconds(self, plan: Execution) -> float:
        """How long it has taken until now; by the clock on the wall when the machine was started meanwhile."""
        if plan.boot_id == self.clock.boot_id:
            return (self.clock.boottime() - int(plan.args["begun_ns"])) / NANOSECONDS
        return max(0.0, (self.clock.now() - plan.intent_at_us) / MICROSECONDS)

    def end(
        self, plan: Execution, state: ExecutionState, summary: str, *, names: Sequence[str], detail: Mapping[str, Any]
    ) -> Execution:
        """Settle it, with what every step took; ConflictError when that was done, or it was moved, by another."""
        steps = self.newest(plan)
        seconds, rto = self.seconds(plan), detail.get("rto_s")
        told = [
            {"name": name, "number": one.number, "state": str(one.state), "seconds": _took(one)}
            if (one := steps.get(index)) is not None
            else {"name": name, "number": "", "state": "not begun", "seconds": None}
            for index, name in enumerate(names)
        ]
        more = {"seconds": seconds, "within_rto": None if rto is None else seconds <= rto, "steps": told}
        ended = dataclasses.replace(
            plan, state=state, summary=summary, detail={**detail, **more}, ended_at_us=self.clock.now(),
            revision=plan.revision + 1,
        )  # fmt: skip
        with self.store.write() as tx:
            executions.update(tx, ended)
            leases.release_all(tx, plan.id)
            if plan.kind is ExecutionKind.REHEARSAL and state in _ENDED:
                dues.mark(tx, f"rehearsal:{plan.correlation_id}", plan.intent_at_us)
            self._note(tx, ended, str(state), summary)
        return ended

    def _note(self, tx: Tx, plan: Execution, kind: str, why: str) -> None:
        journal.append(
            tx,
            Entry(
                actor=plan.actor, kind=f"{plan.kind}-{kind}", object_type="execution", object_id=plan.number,
                revision=plan.revision, why=why, exec_id=plan.id, policy_generation=self.book.generation,
                body={"recovery": plan.correlation_id, "onto": plan.args["onto"], "at_us": plan.args["at_us"],
                      "detail": dict(plan.detail)},
            ),
        )  # fmt: skip

    # rehearsals

    def watch_from_now(self) -> None:
        """Note since when each recovery is watched: a rehearsal that never was is due since then."""
        with self.store.write() as tx:
            dues.watch(tx, self.book.policies.recoveries)

    def due(self) -> list[Recovery]:
        """The recoveries whose rehearsal is due, and possible: there is something to restore."""
        now_us = self.clock.now()
        with self.store.read() as reader:
            last = dues.last_runs(reader)
            busy = {one.correlation_id for one in executions.open_ones(reader)}
            return [
                one
                for one in self.book.policies.recoveries.values()
                if one.key not in busy
                and practice.is_due(
                    one, last.get(f"rehearsal:{one.key}"), last.get(f"rehearsal-tried:{one.key}"), now_us
                )
                and all(backups.last_point(reader, step.backup) for step in one.steps if step.backup)
            ]

    def fresh(self, check: Check) -> Look:
        """The standing of a recovery as a look."""
        recovery = self.book.policies.recoveries.get(check.key)
        if recovery is None:
            raise AgentError(f"{check.key} is no recovery of the policies in force")
        return practice.judge(recovery, self.past(recovery), self.clock.now())

    def past(self, recovery: Recovery) -> Past:
        """What is on record of it."""
        with self.store.read() as reader:
            watched_us = dues.last_run(reader, dues.WATCHED + recovery.key)
            return Past(
                watched_us=self.clock.now() if watched_us is None else watched_us,
                rehearsal=_last(reader, recovery, ExecutionKind.REHEARSAL),
                run=_last(reader, recovery, ExecutionKind.RECOVERY),
            )

    def runs(self, recovery: Recovery) -> list[Execution]:
        """Its runs and rehearsals, the newest first."""
        with self.store.read() as reader:
            return [
                one for one in executions.listing(reader, correlation_id=recovery.key, limit=20) if one.kind in KINDS
            ]


def _last(reader: Reader, recovery: Recovery, kind: ExecutionKind) -> Attempt | None:
    """The newest of that kind that came to an end; one that a gate refused never began."""
    for one in executions.listing(reader, kind=kind, correlation_id=recovery.key, limit=20):
        if one.state in _ENDED:
            return Attempt(
                at_us=one.intent_at_us, host=str(one.args["onto"]), passed=one.state is ExecutionState.SUCCEEDED,
                seconds=float(one.detail.get("seconds", 0.0)), why=one.summary,
            )  # fmt: skip
    return None


def _took(one: Execution) -> float | None:
    if one.ended_at_us is None or one.state in OPEN_STATES:
        return None
    return (one.ended_at_us - one.intent_at_us) / MICROSECONDS
