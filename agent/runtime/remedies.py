"""Remedies and manual playbook runs: through the gates to the executor, and back into the story when they end."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from agent.actions.playbook import Play, Playbook
from agent.clock import Clock
from agent.model.decision import ActionEnded, ActionRefused, ActionStarted, Decision, Verb
from agent.model.execution import Execution, ExecutionKind, ExecutionState
from agent.model.gate import Request, Trigger
from agent.model.host import Host
from agent.model.look import Verdict
from agent.model.remedy import Remedy
from agent.model.state import CheckState
from agent.practices import story
from agent.runtime.book import Book
from agent.runtime.desk import AGENT, Desk
from agent.runtime.executor import Executor, Finish
from agent.runtime.gates import Admission, Gatekeeper, Wanted
from agent.store import incidents
from agent.store.engine import Store
from agent.store.tx import Tx
from agent.transports.child import Ended, Packet


class Remedies:
    """Asks the gates for a remedy, and starts what they let through."""

    def __init__(
        self, *, book: Book, desk: Desk, gatekeeper: Gatekeeper, executor: Executor, store: Store, clock: Clock
    ) -> None:
        self._book = book
        self._desk = desk
        self._gatekeeper = gatekeeper
        self._executor = executor
        self._store = store
        self._clock = clock

    def ask(self, key: str, decided: Decision) -> Execution | None:
        """Ask the gates; the state learns of the answer in the same transaction. Runs in the writing thread."""
        check = self._book.policies.checks[key]
        remedy = self._book.policies.remedies.get(f"{decided.remedy}@{check.host}")
        learned: list[tuple[CheckState, int]] = []

        def learn(tx: Tx, admission: Admission) -> None:
            learned.append(self._learn(tx, key, admission))

        if remedy is None:
            return None
        with self._store.read() as reader:
            incident = incidents.open_of(reader, key)
        state = self._book.state(key)
        since = max((one.hard_since_us for one in state.instances.values()), default=0)
        admission = self._gatekeeper.admit(
            Wanted(
                request=_request(remedy, key, decided),
                kind=ExecutionKind.REMEDY,
                correlation_id=incident.id if incident else f"{key}#{since}",
                timeout_seconds=remedy.timeout_seconds,
                args={"playbook": remedy.playbook, "vars": dict(remedy.variables)},
                why=f"{decided.why} (attempt {decided.attempt})",
                check=check,
            ),
            then=learn,
        )
        for state, revision in learned:
            self._book.keep(state, revision)
        return admission.execution

    def _learn(self, tx: Tx, key: str, admission: Admission) -> tuple[CheckState, int]:
        now_us, execution, refusal = self._clock.now(), admission.execution, admission.refusal
        given = (
            ActionStarted(at_us=now_us, exec_id=execution.id)
            if execution
            else ActionRefused(
                at_us=now_us,
                gate=refusal.gate,
                reason=refusal.says,
                until_us=refusal.until_us,
                needs=refusal.needs,
                waits=refusal.gate == "risk and mode",
            )
        )
        state, decided = story.step(self._book.state(key), given, self._book.policies.checks[key].rules)
        revision = self._desk.record(tx, state, given, decided, actor=AGENT)
        incident = incidents.open_of(tx, key)
        if execution is not None and incident is not None:
            text = f"{execution.item} started as {execution.number}, attempt {execution.attempt}"
            self._desk.tell(tx, incident, "remedy-started", text)
        return state, revision

    async def start(self, execution: Execution) -> None:
        """Start what the gates let through."""
        await self._executor.start(execution)


def _request(remedy: Remedy, key: str, decided: Decision) -> Request:
    return Request(
        item=remedy.item, service=remedy.service, hosts=(remedy.host,), trigger=Trigger.AUTOMATIC, actor=AGENT,
        cause=key, episode=decided.episode or 1, attempt=decided.attempt, playbook=remedy.playbook, risk=remedy.risk,
        mode=remedy.mode, limits=remedy.limits,
    )  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Plays:
    """How a playbook is run and read: the work behind remedies and manual runs."""

    book: Book
    desk: Desk
    clock: Clock
    secrets: Callable[[Mapping[str, Any]], tuple[Mapping[str, Any], tuple[str, ...]]]
    noticed: Callable[[str], None]

    def packet(self, execution: Execution, run_dir: Path) -> Packet:
        """The play as the shim runs it."""
        config, args = self.book.policies.config, execution.args
        variables, hidden = self.secrets(args.get("vars", {}))
        play = Play(
            playbook=args["playbook"],
            hosts=tuple(args["hosts"]),
            variables=variables,
            secret=hidden,
            check=bool(args.get("check")),
            hops=self._hops(args["hosts"]),
        )
        return Playbook.packet(
            play, run_dir=run_dir, playbooks=config.playbooks, inventory=config.inventory,
            known_hosts=config.state / "known_hosts", timeout_seconds=float(args["timeout_seconds"])
        )  # fmt: skip

    def _hops(self, names: Iterable[str]) -> tuple[Host, ...]:
        known = self.book.policies.hosts
        return tuple(dict.fromkeys(hop for name in names if name in known for hop in known[name].jumps))

    def finish(self, _: Execution, run_dir: Path, ended: Ended) -> Finish:
        """What the play left behind."""
        outcome = Playbook.outcome(run_dir, ended)
        state = ExecutionState.SUCCEEDED if outcome.ok else ExecutionState.FAILED
        detail = {"failed": list(outcome.failed), "unreachable": list(outcome.unreachable), "tasks": outcome.tasks_run,
                  "last_task": outcome.last_task, "how": ended.how}  # fmt: skip
        return Finish(state=state, summary=outcome.summary, exit_code=ended.exit_code, detail=detail)

    def lost(self, _: Execution, /) -> Finish:
        """Nobody can say how far the play came; it is never blindly run again."""
        summary = "its shim is gone and left no result: nobody can say how it ended"
        return Finish(state=ExecutionState.UNCERTAIN, summary=summary)

    def record(self, tx: Tx, execution: Execution, finish: Finish) -> Callable[[], None]:
        """Let the story go on; an uncertain manual run becomes an incident, for its hosts stay locked."""
        if execution.kind is not ExecutionKind.REMEDY:
            if finish.state is ExecutionState.UNCERTAIN:
                self._file_uncertain(tx, execution, finish)
            return _nothing
        key = str(execution.args["cause"])
        if self.book.rules(key) is None:
            return _nothing
        now_us = self.clock.now()
        given: ActionEnded | ActionRefused = ActionEnded(
            at_us=now_us, exec_id=execution.id, ok=finish.state is ExecutionState.SUCCEEDED,
            uncertain=finish.state is ExecutionState.UNCERTAIN, summary=finish.summary,
        )  # fmt: skip
        if finish.state is ExecutionState.CANCELLED:
            given = ActionRefused(
                at_us=now_us, gate="restart", reason=finish.summary, until_us=now_us, exec_id=execution.id
            )
        state, decided = story.step(self.book.state(key), given, self.book.policies.checks[key].rules)
        revision = self.desk.record(tx, state, given, decided, actor=AGENT)

        def after() -> None:
            self.book.keep(state, revision)
            self.noticed(key)

        return after

    def _file_uncertain(self, tx: Tx, execution: Execution, finish: Finish) -> None:
        self.desk.open(
            tx,
            cause=f"agent/runs/{execution.number}@{execution.host or 'none'}",
            title=f"the outcome of {execution.number} ({execution.item}) is uncertain",
            decided=Decision(verb=Verb.OPEN, why=finish.summary, severity=Verdict.CRITICAL),
        )


def _nothing() -> None:
    """Nothing follows."""
