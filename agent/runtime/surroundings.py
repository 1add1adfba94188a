"""Rounds of backups with playbooks around them: each step an execution through the gates, each next one read from the record."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agent.clock import NANOSECONDS, Clock
from agent.errors import ConflictError
from agent.model.backup import Around, Backup
from agent.model.check import host_of, item_of
from agent.model.execution import Execution, ExecutionKind, ExecutionState
from agent.model.gate import Request, Trigger
from agent.model.journal import Entry
from agent.model.remedy import Mode, Risk
from agent.practices import surroundings as practice
from agent.practices.surroundings import Begin, Over, Step
from agent.runtime import holds
from agent.runtime.book import Book
from agent.runtime.executor import Finish
from agent.runtime.gates import Admission, Gatekeeper, Wanted
from agent.runtime.remedies import Plays
from agent.runtime.saves import Saves
from agent.store import counters, dues, executions, ids, journal, leases
from agent.store.engine import Store
from agent.store.tx import Reader, Tx
from agent.transports.child import Ended, Packet

RECENT = 50  # executions of a backup among which the steps of its round are looked for
_PUT_OFF_SECONDS = 60.0  # when a gate says no by what passes
_PASSING_GATES = frozenset({"kill switch", "lock", "suppression"})


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Order:
    """Whose step is to be taken and why, with what; `seen` are the steps that it follows."""

    key: str
    actor: str
    why: str
    args: Mapping[str, Any]
    seen: tuple[Execution, ...] = ()

    @property
    def mark(self) -> int | None:
        """Which round it belongs to; None for a backup with nothing around it."""
        return self.args.get("round")


class Surroundings:
    """Takes the steps of rounds, one after the other; everything here runs in the writing thread."""

    def __init__(self, *, store: Store, clock: Clock, book: Book, gatekeeper: Gatekeeper, saves: Saves) -> None:
        self._store = store
        self._clock = clock
        self._book = book
        self._gatekeeper = gatekeeper
        self._saves = saves
        self._put_off: dict[str, tuple[int, str]] = {}

    def begin(self, backup: Backup, *, actor: str, why: str, attempt: int) -> Execution | None:
        """The first step of a backup; None while its host, its repository or a gate does not let it begin."""
        args: dict[str, Any] = {"attempt": attempt}
        if backup.prepare is not None or backup.cleanup is not None:
            args |= {
                "round": self._clock.now(),
                "prepares": backup.prepare is not None,
                "cleanup": _plain(backup.cleanup),
            }
        order = _Order(key=backup.key, actor=actor, why=why, args=args)
        if backup.prepare is None:
            return self._save(backup, order)
        return self._play(ExecutionKind.PREPARE, backup.prepare, order)

    def go_on(self, key: str, mark: int) -> Execution | None:
        """The next step of an open round; None when it is over, or has to wait."""
        with self._store.read() as reader:
            taken = steps(reader, key, mark)
        found = self.following(taken)
        if isinstance(found, Over):
            self._close(key, taken, found.why)
        if not isinstance(found, Begin) or not taken:
            return None
        first = taken[0]
        args = {name: first.args[name] for name in ("attempt", "round", "prepares", "cleanup")}
        order = _Order(key=key, actor=first.actor, why=found.why, args=args, seen=tuple(taken))
        if found.kind is ExecutionKind.CLEANUP:
            self._let_go(taken)
            cleanup = Around(**{**args["cleanup"], "variables": tuple(args["cleanup"]["variables"].items())})
            return self._play(found.kind, cleanup, order)
        backup = self._book.policies.backups.get(key)
        if backup is None:
            self.note(found.kind, key, ExecutionState.FAILED, "its policy is gone", actor=first.actor, args=args)
            return None
        return self._save(backup, order)

    def why_not(self, reader: Reader, key: str) -> str:
        """Why no step of a backup may be taken on its host now; "" when nothing is known against it."""
        until_ns, refusal = self._put_off.get(key, (0, ""))
        return refusal if self._clock.boottime() < until_ns else holds.in_the_way(reader, key, host_of(key) or "")

    def following(self, taken: "list[Execution]") -> Begin | practice.Wait | Over:
        """What comes after these steps of a round."""
        if not taken:
            return Over(why="nothing of it is on record")
        done = [Step(kind=one.kind, state=one.state, ended_us=one.ended_at_us) for one in taken]
        args = taken[0].args
        return practice.following(
            done, self._clock.now(), prepares=bool(args["prepares"]), cleans_up=args["cleanup"] is not None
        )

    def _save(self, backup: Backup, order: _Order) -> Execution | None:
        def allows(tx: Tx) -> bool:
            if order.seen and order.mark is not None:
                return len(steps(tx, order.key, order.mark)) == len(order.seen)
            is_free = order.key not in holds.rounds(tx)
            return is_free and not holds.in_the_way(tx, order.key, backup.host)

        return self._saves.file(
            ExecutionKind.BACKUP, backup, actor=order.actor, why=order.why, args=order.args, allows=allows
        )

    def _play(self, kind: ExecutionKind, around: Around, order: _Order) -> Execution | None:
        with self._store.read() as reader:
            if self.why_not(reader, order.key):
                return None
        try:
            admission = self._gatekeeper.admit(
                _wanted(kind, around, order), then=lambda tx, answer: self._begun(tx, answer, order)
            )
        except ConflictError:
            return None
        if admission.execution is None:
            self._refused(kind, admission, order)
        return admission.execution

    def _begun(self, tx: Tx, admission: Admission, order: _Order) -> None:
        """The step is taken, and with the first one its round begins; ConflictError when another process was quicker."""
        if admission.execution is None or order.mark is None:
            return
        is_taken = order.key in holds.rounds(tx)
        if order.seen:
            is_taken = len(steps(tx, order.key, order.mark)) > len(order.seen) + 1
        if is_taken:
            raise ConflictError(f"{order.key}: another process took this step", hint="watchkeeper backup list")
        if not order.seen:
            holds.note_begin(tx, order.key, order.mark)
            dues.mark(tx, f"{ExecutionKind.BACKUP}:{order.key}", self._clock.now())

    def _refused(self, kind: ExecutionKind, admission: Admission, order: _Order) -> None:
        """What passes is waited for; what does not is how this step ended."""
        answer = admission.refusal
        summary = f"refused by the gate {answer.gate}: {answer.says}"
        if answer.gate in _PASSING_GATES:
            until_ns = self._clock.boottime() + int(_PUT_OFF_SECONDS * NANOSECONDS)
            self._put_off[order.key] = (until_ns, summary)
            return
        args = order.args if order.seen else {"attempt": order.args["attempt"]}  # no round begins by a refusal
        self.note(kind, order.key, ExecutionState.FAILED, summary, actor=order.actor, args=args)

    def note(  # noqa: PLR0913  all that is recorded of it
        self,
        kind: ExecutionKind,
        key: str,
        state: ExecutionState,
        summary: str,
        *,
        actor: str,
        args: Mapping[str, Any],
        detail: Mapping[str, Any] | None = None,
    ) -> Execution:
        """Record a step that ended before anything was started: skipped, refused, or not to be asked for."""
        now_us, identity, item = self._clock.now(), ids.ulid(self._clock), item_of(key)
        with self._store.write() as tx:
            execution = Execution(
                id=identity, number=counters.next_number(tx, "RUN"), kind=kind, item=item,
                service=item.partition("/")[0], host=host_of(key), state=state, actor=actor, why="it is due",
                correlation_id=key, episode=1, attempt=1, boot_id=self._clock.boot_id,
                deadline_ns=self._clock.boottime(), intent_at_us=now_us, ended_at_us=now_us, risk=0, summary=summary,
                args=args, detail=detail or {}, policy_generation=self._book.generation,
            )  # fmt: skip
            executions.insert(tx, execution)
            if kind is not ExecutionKind.CLEANUP:
                dues.mark(tx, f"{ExecutionKind.BACKUP}:{key}", now_us)
                holds.note_end(tx, execution)
            journal.append(
                tx,
                Entry(actor=actor, kind=f"{kind}-{state}", object_type="execution", object_id=execution.number,
                      why=summary, body={"backup": key, **args}, exec_id=identity, policy_generation=self._book.generation),
            )  # fmt: skip
        return execution

    def _let_go(self, taken: "list[Execution]") -> None:
        """What an earlier step holds by a doubtful end must not keep the cleanup from its host."""
        with self._store.write() as tx:
            for one in taken:
                leases.release_all(tx, one.id)

    def _close(self, key: str, taken: "list[Execution]", why: str) -> None:
        with self._store.write() as tx:
            holds.close_round(tx, key)
            journal.append(
                tx,
                Entry(actor="agent", kind="backup-round-over", object_type="item", object_id=key, why=why,
                      body={"steps": [f"{one.number} {one.kind} {one.state}" for one in taken]},
                      policy_generation=self._book.generation),
            )  # fmt: skip


def _wanted(kind: ExecutionKind, around: Around, order: _Order) -> Wanted:
    item = item_of(order.key)
    request = Request(
        item=item, service=item.partition("/")[0], hosts=(host_of(order.key) or "",), trigger=Trigger.PLANNED,
        actor=order.actor, cause=f"{kind} of {item}", playbook=around.playbook, risk=Risk.REVERSIBLE, mode=Mode.AUTO,
        brings_back=kind is ExecutionKind.CLEANUP,
    )  # fmt: skip
    return Wanted(
        request=request, kind=kind, correlation_id=order.key, timeout_seconds=around.timeout_seconds, why=order.why,
        args={**order.args, "playbook": around.playbook, "vars": dict(around.variables)},
    )  # fmt: skip


def steps(reader: Reader, key: str, mark: int) -> list[Execution]:
    """The steps of a round that are on record, the oldest first."""
    found = [
        one for one in executions.listing(reader, correlation_id=key, limit=RECENT) if one.args.get("round") == mark
    ]
    return sorted(found, key=lambda one: (len(one.number), one.number))


def _plain(around: Around | None) -> dict[str, Any] | None:
    if around is None:
        return None
    return {**dataclasses.asdict(around), "variables": dict(around.variables)}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class AroundPlays:
    """How a playbook around a backup is run and read: as every play, but what is lost is a failure that cleanup follows."""

    plays: Plays
    noticed: Callable[[str], None]

    def packet(self, execution: Execution, run_dir: Path) -> Packet:
        """The play as the shim runs it."""
        return self.plays.packet(execution, run_dir)

    def finish(self, execution: Execution, run_dir: Path, ended: Ended, /) -> Finish:
        """What the play left behind."""
        return self.plays.finish(execution, run_dir, ended)

    def lost(self, _: Execution, /) -> Finish:
        """Nobody can say how far it came; the cleanup puts back whatever it was."""
        words = "its shim is gone and left no result: nobody can say how far it came"
        return Finish(state=ExecutionState.FAILED, summary=words, detail={"how": "lost"})

    def record(self, tx: Tx, execution: Execution, _: Finish) -> Callable[[], None]:
        """A prepare that failed may be tried again; the backup's check looks at once."""
        holds.note_end(tx, execution)
        return lambda: self.noticed(execution.correlation_id)
