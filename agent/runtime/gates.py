"""The one door in front of every change to the world: gathers facts, asks the gates, reserves — one transaction."""

import dataclasses
from collections.abc import Callable
from typing import Any

from agent.actions.play_risk import raised_risk
from agent.actions.playbook import exists
from agent.clock import MICROSECONDS, NANOSECONDS, Clock
from agent.errors import ConflictError
from agent.model.check import Check, host_of, reach_key
from agent.model.execution import Execution, ExecutionKind, ExecutionState
from agent.model.gate import Answer, Evidence, Facts, Floor, Past, Request, Scope, Trigger
from agent.model.journal import Entry
from agent.model.look import Verdict
from agent.model.remedy import Risk
from agent.practices import calendar
from agent.practices import gates as practice
from agent.practices.surroundings import AROUND
from agent.runtime import holds
from agent.runtime.book import Book
from agent.runtime.executor import this_process
from agent.store import counters, executions, ids, journal, leases, looks, switches
from agent.store.engine import Store
from agent.store.tx import Tx

KILL_SWITCH = "kill-switch"
LEDGER_SECONDS = 86400.0  # the longest budget the language's defaults know; longer ones of a policy stretch it
_CHANGES = frozenset({ExecutionKind.REMEDY, ExecutionKind.PLAYBOOK, ExecutionKind.RESTORE, *AROUND})
UNHEALTHY_KINDS = frozenset({ExecutionState.INTENT, ExecutionState.DISPATCHED})


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """A request with what the execution needs beyond it."""

    request: Request
    kind: ExecutionKind
    correlation_id: str
    timeout_seconds: float
    args: dict[str, Any]
    why: str
    check: Check | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Admission:
    """What came of it: an execution that may start, or the answer that refused it."""

    answers: tuple[Answer, ...]
    execution: Execution | None = None

    @property
    def refusal(self) -> Answer:
        """The answer that said no."""
        return self.answers[-1]


class Gatekeeper:
    """Asks the gates and reserves; after `admit` the intent is durable and the hosts are locked."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        book: Book,
        *,
        safe_mode: Callable[[], str],
        failpoint: Callable[[str], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._book = book
        self._safe_mode = safe_mode
        self._failpoint = failpoint

    def admit(self, wanted: Wanted, *, then: Callable[[Tx, Admission], None]) -> Admission:
        """Ask, and reserve if all say yes; `then` writes what follows from it in the same transaction."""
        self._failpoint("before-intent")
        with self._store.write() as tx:
            facts = self._facts(tx, wanted)
            answers = practice.ask(dataclasses.replace(wanted.request, correlation_id=wanted.correlation_id), facts)
            admission = Admission(answers=answers)
            if answers[-1].passes:
                admission = self._reserve(tx, wanted, answers)
            elif answers[-1].trips:
                scope = answers[-1].trips
                switches.turn(tx, f"breaker:{scope}", on=True, by="agent", why=answers[-1].says)
            self._write_down(tx, wanted, admission)
            then(tx, admission)
        self._failpoint("after-intent")
        return admission

    def _reserve(self, tx: Tx, wanted: Wanted, answers: tuple[Answer, ...]) -> Admission:
        request = wanted.request
        identity = ids.ulid(self._clock)
        deadline_ns = self._clock.boottime() + int(wanted.timeout_seconds * NANOSECONDS)
        execution = Execution(
            id=identity, number=counters.next_number(tx, "RUN"), kind=wanted.kind, item=request.item,
            service=request.service, host=request.hosts[0] if len(request.hosts) == 1 else None,
            state=ExecutionState.INTENT, actor=request.actor, why=wanted.why, correlation_id=wanted.correlation_id,
            episode=request.episode, attempt=request.attempt, boot_id=self._clock.boot_id, deadline_ns=deadline_ns,
            intent_at_us=self._clock.now(), risk=int(request.risk), run_dir=f"runs/{identity}",
            policy_generation=self._book.generation,
            args={**wanted.args, "hosts": list(request.hosts), "cause": request.cause,
                  "timeout_seconds": wanted.timeout_seconds, "automatic": request.trigger is Trigger.AUTOMATIC, "filed_by": this_process(self._clock)},
        )  # fmt: skip
        try:
            executions.insert(tx, execution)
        except ConflictError as error:
            return Admission(answers=(*answers, Answer(gate="suppression", passes=False, says=str(error))))
        for host in request.hosts:
            leases.acquire(tx, name=host, owner=identity, pid=0, started=0, deadline_ns=deadline_ns)
        return Admission(answers=answers, execution=execution)

    def _write_down(self, tx: Tx, wanted: Wanted, admission: Admission) -> None:
        execution, last = admission.execution, admission.answers[-1]
        journal.append(
            tx,
            Entry(
                actor=wanted.request.actor,
                kind="gate-passed" if execution else "gate-refused",
                object_type="execution" if execution else "item",
                object_id=execution.number if execution else wanted.request.item,
                why=wanted.why if execution else f"{last.gate}: {last.says}",
                body={
                    "request": _document(wanted.request),
                    "answers": [_document(answer) for answer in admission.answers],
                    "args": wanted.args,
                },
                policy_generation=self._book.generation,
                exec_id=execution.id if execution else "",
            ),
        )

    # the facts

    def _facts(self, tx: Tx, wanted: Wanted) -> Facts:
        request, policies, now_us = wanted.request, self._book.policies, self._clock.now()
        service = policies.services.get(request.service)
        unhealthy = self._unhealthy()
        hosts = frozenset(policies.hosts)
        mine = frozenset(service.hosts) if service else frozenset(request.hosts)
        unreachable = frozenset(host for host in hosts if self._book.state(reach_key(host)).is_failing)
        check = wanted.check
        state = self._book.state(check.key) if check else None
        remedy = policies.remedies.get(f"{request.item}@{request.hosts[0]}") if request.hosts else None
        return Facts(
            now_us=now_us,
            fleet=Scope(name="the fleet", hosts=hosts, unhealthy=unhealthy),
            global_budget=policies.config.safety.global_budget,
            breaker_cooldown_seconds=policies.config.safety.breaker_cooldown_seconds,
            kill_switch=self._kill_switch(tx),
            safe_mode=self._safe_mode(),
            evidence=self._evidence(tx, check),
            unreachable=unreachable,
            distrusted=self._distrusted(tx, request.hosts),
            scopes=self._scopes(tx, request.service, mine, hosts, unhealthy),
            unhealthy=unhealthy,
            floors=self._floors(request.hosts),
            silenced=calendar.silence(policies.windows, request.service, wanted.request.hosts[0], now_us)
            if request.hosts
            else "",
            parents=state.parents if state else (),
            paused=_paused(remedy.paused_until_us, remedy.paused_why, now_us) if remedy else "",
            ledger=(*self._ledger(tx, now_us, self._span(request)), *holds.prepared(tx, wanted.correlation_id)),
            locks=(
                *((lease.name, self._holder(tx, lease.owner)) for lease in leases.held(tx)),
                *(() if wanted.kind is ExecutionKind.RESTORE else holds.saving(tx, wanted.correlation_id)),
            ),
            playbook_missing=self._missing(request.playbook),
            raised_risk=self._raised(request.playbook),
        )

    def _floors(self, hosts: tuple[str, ...]) -> tuple[Floor, ...]:
        """Whoever acts, and for whatever service: every service of these hosts keeps what it needs."""
        return tuple(
            Floor(service=service.name, hosts=frozenset(service.hosts), min_healthy=service.min_healthy)
            for service in self._book.policies.services.values()
            if service.min_healthy and not set(service.hosts).isdisjoint(hosts)
        )

    def _scopes(
        self, tx: Tx, service: str, mine: frozenset[str], fleet: frozenset[str], unhealthy: frozenset[str]
    ) -> tuple[Scope, ...]:
        def scope(name: str, hosts: frozenset[str]) -> Scope:
            switch = switches.get(tx, f"breaker:{name}")
            if calendar.is_ahead(
                switch.at_us, tx.clock.now()
            ):  # the clock was set back since: it cools down from now on
                switch = switches.turn(tx, switch.name, on=switch.is_on, by=switch.by, why=switch.why)
            return Scope(name=name, hosts=hosts, unhealthy=unhealthy & hosts, tripped_us=switch.at_us or None)

        return scope("the fleet", fleet), scope(f"service {service}", mine)

    def _span(self, request: Request) -> float:
        limits = request.limits
        everyone = self._book.policies.config.safety.global_budget
        budgets = (limits.per_host, limits.per_policy, limits.same_symptom, everyone)
        return max(LEDGER_SECONDS, *(budget.seconds for budget in budgets))

    def _unhealthy(self) -> frozenset[str]:
        states = list(self._book.states().items())  # at once: others may read in what is new
        return frozenset(
            host for key, state in states if state.hard is Verdict.CRITICAL and (host := host_of(key)) is not None
        )

    def _kill_switch(self, tx: Tx) -> str:
        switch = switches.get(tx, KILL_SWITCH)
        if switch.is_on:
            return f"by {switch.by}: {switch.why}"
        file = self._book.policies.config.state / KILL_SWITCH
        return f"the file {file.name} exists" if file.exists() else ""

    def _evidence(self, tx: Tx, check: Check | None) -> Evidence | None:
        if check is None:
            return None
        seen = looks.latest(tx, [check.key]).get(check.key)
        if seen is None:
            return None
        now_us = self._clock.now()
        beat = calendar.shortest_seconds(check.every, now_us)
        age = (now_us - seen.at_us) / MICROSECONDS
        hard = self._book.state(check.key).hard is not Verdict.OK
        return Evidence(age_seconds=age, fresh_for_seconds=2 * beat + check.timeout_seconds, is_hard=hard)

    def _distrusted(self, tx: Tx, hosts: tuple[str, ...]) -> frozenset[str]:
        seen = looks.latest(tx, [reach_key(host) for host in hosts])
        return frozenset(
            host
            for host in hosts
            if (look := seen.get(reach_key(host))) is not None and look.metrics.get("failure") == "host-key"
        )

    def _ledger(self, tx: Tx, now_us: int, span_seconds: float) -> tuple[Past, ...]:
        since = now_us - int(span_seconds * MICROSECONDS)
        return tuple(
            Past(
                item=one.item, service=one.service, hosts=tuple(one.args.get("hosts", ())),
                cause=str(one.args.get("cause", "")), episode=one.episode, correlation_id=one.correlation_id,
                automatic=bool(one.args.get("automatic")), at_us=_begun_us(one, self._clock),
                running=one.state in UNHEALTHY_KINDS, verified=one.verified, planned=one.kind in AROUND,
            )
            for one in executions.begun_since(tx, _CHANGES, since)
            if one.state is not ExecutionState.CANCELLED
        )  # fmt: skip

    def _holder(self, tx: Tx, owner: str) -> str:
        execution = executions.get(tx, owner)
        return f"{execution.number} ({execution.item})" if execution else owner

    def _missing(self, name: str) -> str:
        if not name or exists(self._book.policies.config.playbooks, name):
            return ""
        return f"there is no playbook {name}"

    def _raised(self, name: str) -> tuple[Risk, str] | None:
        if not name or self._missing(name):
            return None
        return raised_risk(self._book.policies.config.playbooks, name)


def _begun_us(one: Execution, clock: Clock) -> int:
    """When it began, by the clock as it is set now: a moment of the future was told by a clock that was wrong.

    Of this boot, the boot clock knows. What was begun in an earlier one may have been as late as its end: so it counts
    for longer, and yet not until that future has come.
    """
    now_us, age_ns = clock.now(), clock.boottime()
    if not calendar.is_ahead(one.intent_at_us, now_us):
        return one.intent_at_us
    if one.boot_id == clock.boot_id:
        age_ns -= one.deadline_ns - int(float(one.args.get("timeout_seconds", 0.0)) * NANOSECONDS)
    return now_us - max(0, age_ns) // 1_000


def _paused(until_us: int | None, why: str, now_us: int) -> str:
    return why or "no reason given" if until_us is not None and now_us < until_us else ""


def _document(value: Request | Answer) -> dict[str, Any]:
    document = dataclasses.asdict(value)
    return {
        name: inner if isinstance(inner, str | int | bool | None) else _plain(inner) for name, inner in document.items()
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return list(value) if isinstance(value, tuple) else value
