"""The service desk: the one door through which a record is opened or changed.

State, journal line, incident, timeline and outbox row are one transaction: all of it is durable, or nothing happened.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence

from agent.clock import Clock
from agent.errors import ConflictError
from agent.model import decision as decisions
from agent.model.check import Rules, host_of, item_of
from agent.model.decision import Decision, Input, Verb
from agent.model.incident import Incident, IncidentState, TimelineEntry
from agent.model.journal import Entry
from agent.model.look import Result, Verdict
from agent.model.outbox import Message
from agent.model.service import Importance, Service
from agent.model.state import CheckState, as_document
from agent.practices import incidents as practice
from agent.practices import story
from agent.runtime import dependence, documents
from agent.runtime.book import Book
from agent.store import counters, executions, ids, incidents, journal, leases, outbox, states
from agent.store.engine import Store
from agent.store.tx import Tx

AGENT = "agent"
TRIES = 5  # a state lost to another process is read again so often; more means two daemons fight
AT_ONCE = 500  # states to a transaction: others may write in between
EVIDENCE_LIMIT = 4_000  # characters of evidence that one journal line keeps


class Desk:
    """Opens, changes and closes records; every change carries who and why."""

    def __init__(self, store: Store, clock: Clock, book: Book) -> None:
        self._store = store
        self._clock = clock
        self._book = book

    def follow(self, key: str, given: Input, *, actor: str = AGENT) -> tuple[Decision, ...]:
        """Take one input through the step and record what it decided; nothing is written when nothing changed."""
        for attempt in range(TRIES):
            rules = self._book.rules(key)
            if rules is None:
                return ()
            before = self._book.state(key)
            after, decided = story.step(before, given, rules)
            if after is before and not decided:
                return ()
            try:
                with self._store.write() as tx:
                    revision = self.record(tx, after, given, decided, actor=actor)
            except ConflictError:
                if attempt == TRIES - 1:
                    raise
                self._book.reread()
                continue
            self._book.keep(after, revision)
            return decided
        return ()

    def follow_all(self, keys: Sequence[str], given: Input, *, actor: str = AGENT) -> dict[str, tuple[Decision, ...]]:
        """The same input for many checks, many to a transaction; what was decided of each that changed."""
        found: dict[str, tuple[Decision, ...]] = {}
        for some in (keys[begin : begin + AT_ONCE] for begin in range(0, len(keys), AT_ONCE)):
            try:
                found |= self._follow_some(some, given, actor)
            except ConflictError:  # another process wrote one of them: each by itself, and that one read again
                found |= {key: self.follow(key, given, actor=actor) for key in some}
        return found

    def _follow_some(self, keys: Sequence[str], given: Input, actor: str) -> dict[str, tuple[Decision, ...]]:
        changed: dict[str, tuple[CheckState, tuple[Decision, ...]]] = {}
        for key in keys:
            if (rules := self._book.rules(key)) is not None:
                before = self._book.state(key)
                after, decided = story.step(before, given, rules)
                if after is not before or decided:
                    changed[key] = after, decided
        if not changed:
            return {}
        with self._store.write() as tx:
            revisions = {
                key: self.record(tx, after, given, decided, actor=actor) for key, (after, decided) in changed.items()
            }
        for key, (after, _) in changed.items():
            self._book.keep(after, revisions[key])
        return {key: decided for key, (_, decided) in changed.items()}

    def record(self, tx: Tx, state: CheckState, given: Input, decided: tuple[Decision, ...], *, actor: str) -> int:
        """Write a state and its decisions within a transaction; the state's new revision."""
        revision = states.save(tx, state.key, as_document(state), revision=self._book.revision(state.key))
        journal.append(
            tx,
            Entry(
                actor=actor,
                kind="check",
                object_type="check",
                object_id=state.key,
                revision=revision,
                why=_in_words(decided) or "counted",
                body={
                    "input": decisions.as_document(_bounded(given)),
                    "decisions": [decisions.as_document(one) for one in decided],
                },
                policy_generation=self._book.generation,
            ),
        )
        for one in decided:
            self._perform(tx, state.key, one)
        return revision

    def _perform(self, tx: Tx, key: str, decided: Decision) -> None:
        perform: dict[Verb, Callable[[Tx, str, Decision], None]] = {
            Verb.OPEN: self._open,
            Verb.REOPEN: self._reopen,
            Verb.WORSEN: self._worsen,
            Verb.RESOLVE: self._resolve,
            Verb.COMMENT: self._comment,
            Verb.REMEDY_PROVEN: self._remedy,
            Verb.REMEDY_FAILED: self._remedy,
            Verb.OPEN_AGENT: self._open_agent,
            Verb.RESOLVE_AGENT: self._resolve_agent,
        }
        if decided.verb in perform:
            perform[decided.verb](tx, key, decided)

    # what the agent decides

    def _open(self, tx: Tx, key: str, decided: Decision) -> None:
        check = self._book.policies.checks[key]
        title = check.title or f"{check.item} is {decided.severity}" + (f" on {check.host}" if check.host else "")
        self.open(tx, cause=key, title=title, decided=decided, owner=check.owner, runbook=check.runbook)

    def open(  # noqa: PLR0913  an incident is all of this
        self,
        tx: Tx,
        *,
        cause: str,
        title: str,
        decided: Decision,
        owner: str = "",
        runbook: str = "",
        actor: str = AGENT,
    ) -> Incident:
        """File an incident for a cause, unless it has an open one: then that one is told."""
        existing = incidents.open_of(tx, cause)
        if existing is not None:
            self.tell(tx, existing, "comment", decided.why, actor=actor)
            return existing
        service = self._service_of(cause)
        severity = decided.severity or Verdict.CRITICAL
        declared = rules.urgency if (rules := self._rules(cause)) else None
        urgency = practice.urgency_of(severity, declared)
        last = incidents.last_of(tx, cause)
        incident = Incident(
            id=ids.ulid(self._clock), number=counters.next_number(tx, "INC"), cause=cause,
            episode=max(1, decided.episode), state=IncidentState.OPEN, service=service.name, item=item_of(cause) or cause,
            host=host_of(cause) if "@" in cause else None, severity=severity, impact=service.importance, urgency=urgency,
            priority=practice.priority(service.importance, urgency), title=title, why=decided.why,
            owner=owner or service.owner, opened_at_us=self._clock.now(), runbook=runbook,
            recurrence_of=last.number if last else None,
        )  # fmt: skip
        incidents.insert(tx, incident)
        self._announce(tx, incident, "opened", decided.why, actor)
        self._tell_around(tx, incident)
        return incident

    def _tell_around(self, tx: Tx, opened: Incident) -> None:
        for one, text in dependence.lines(tx, opened, self._services()):
            self.tell(tx, one, "comment", text)

    def _services(self) -> Mapping[str, Service]:
        return self._book.policies.services if self._book.has_policies else {}

    def _rules(self, cause: str) -> Rules | None:
        return self._book.rules(cause) if self._book.has_policies else None

    def _service_of(self, cause: str) -> Service:
        name = cause.partition("/")[0]
        known = self._services()
        owner = self._book.policies.config.owner if self._book.has_policies else ""
        return known.get(name) or Service(name=name, owner=owner, importance=Importance.MEDIUM)

    def _reopen(self, tx: Tx, key: str, decided: Decision) -> None:
        last = incidents.last_of(tx, key)
        if last is None or last.state is not IncidentState.RESOLVED:
            self._open(tx, key, decided)
            return
        self.reopen(tx, last, decided.why, episode=decided.episode)

    def reopen(self, tx: Tx, incident: Incident, why: str, *, episode: int, actor: str = AGENT) -> Incident:
        """The same cause again: same number, next episode."""
        changed = dataclasses.replace(
            incident, state=IncidentState.OPEN, episode=episode, resolved_at_us=None, resolution="",
            acknowledged_at_us=None, acknowledged_by=None, why=why,
        )  # fmt: skip
        reopened = self.change(tx, changed, "reopened", why, actor=actor)
        self._tell_around(tx, reopened)
        return reopened

    def _worsen(self, tx: Tx, key: str, decided: Decision) -> None:
        incident = incidents.open_of(tx, key)
        if incident is None or decided.severity is None:
            return
        declared = rules.urgency if (rules := self._rules(key)) else None
        urgency = practice.urgency_of(decided.severity, declared)
        changed = dataclasses.replace(
            incident, severity=decided.severity, urgency=urgency, priority=practice.priority(incident.impact, urgency)
        )
        self.change(tx, changed, "worsened", decided.why)

    def _resolve(self, tx: Tx, key: str, decided: Decision) -> None:
        incident = incidents.open_of(tx, key)
        if incident is not None:
            self.resolve(tx, incident, decided.why)

    def resolve(self, tx: Tx, incident: Incident, why: str, *, actor: str = AGENT) -> Incident:
        """The cause is gone, by evidence or by a person's word."""
        changed = dataclasses.replace(
            incident, state=IncidentState.RESOLVED, resolved_at_us=self._clock.now(), resolution=why
        )
        return self.change(tx, changed, "resolved", why, actor=actor)

    def _comment(self, tx: Tx, key: str, decided: Decision) -> None:
        incident = incidents.open_of(tx, key)
        if incident is not None:
            self.tell(tx, incident, "comment", decided.why)

    def _remedy(self, tx: Tx, key: str, decided: Decision) -> None:
        worked = decided.verb is Verb.REMEDY_PROVEN
        execution = executions.get(tx, decided.exec_id) if decided.exec_id else None
        if execution is not None and execution.verified is None:
            executions.update(tx, dataclasses.replace(execution, verified=worked, revision=execution.revision + 1))
            if worked:  # also one whose end was uncertain is settled by evidence
                leases.release_all(tx, execution.id)
        incident = incidents.open_of(tx, key)
        if incident is not None:
            self.tell(tx, incident, "remedy-worked" if worked else "remedy-failed", decided.why)

    def _open_agent(self, tx: Tx, key: str, decided: Decision) -> None:
        self.open(tx, cause=f"agent/unknown/{key}", title=f"the agent cannot judge {key}", decided=decided)

    def _resolve_agent(self, tx: Tx, key: str, decided: Decision) -> None:
        incident = incidents.open_of(tx, f"agent/unknown/{key}")
        if incident is not None:
            self.resolve(tx, incident, decided.why)

    # what every change of an incident has in common

    def change(self, tx: Tx, incident: Incident, verb: str, why: str, *, actor: str = AGENT) -> Incident:
        """Store the next revision of an incident, and tell it everywhere."""
        changed = dataclasses.replace(incident, revision=incident.revision + 1)
        incidents.update(tx, changed)
        self._announce(tx, changed, verb, why, actor)
        return changed

    def tell(self, tx: Tx, incident: Incident, verb: str, text: str, *, actor: str = AGENT) -> None:
        """Add a line to an incident's timeline; the record itself stays as it is."""
        incidents.add_line(tx, self._line(incident, verb, text, actor))
        self._journal(tx, incident, verb, text, actor)

    def _announce(self, tx: Tx, incident: Incident, verb: str, why: str, actor: str) -> None:
        incidents.add_line(tx, self._line(incident, verb, why, actor))
        self._journal(tx, incident, verb, why, actor)
        if not self._book.has_policies:
            return
        payload = {
            "event": verb, "why": why, "actor": actor, "labels": self._labels(incident),
            "incident": documents.incident(incident),
        }  # fmt: skip
        for sink in self._book.policies.config.sinks:
            text = "\n".join((incident.id, str(incident.episode), str(incident.revision), sink.name, verb))
            outbox.add(
                tx,
                Message(
                    id=ids.ulid(self._clock), sink=sink.name, key=hashlib.sha256(text.encode()).hexdigest(),
                    order_key=incident.id, payload=payload, created_at_us=self._clock.now(),
                ),
            )  # fmt: skip

    def _labels(self, incident: Incident) -> dict[str, str]:
        """What people call it by: the labels of its service, and above these those of its check."""
        service, check = self._services().get(incident.service), self._book.policies.checks.get(incident.cause)
        return {**dict(service.labels if service else ()), **dict(check.labels if check else ())}

    def _line(self, incident: Incident, verb: str, text: str, actor: str) -> TimelineEntry:
        return TimelineEntry(incident_id=incident.id, at_us=self._clock.now(), actor=actor, verb=verb, text=text)

    def _journal(self, tx: Tx, incident: Incident, verb: str, why: str, actor: str) -> None:
        journal.append(
            tx,
            Entry(
                actor=actor,
                kind=f"incident-{verb}",
                object_type="incident",
                object_id=incident.number,
                revision=incident.revision,
                why=why,
                body=documents.incident(incident),
                policy_generation=self._book.generation,
            ),
        )


def _in_words(decided: tuple[Decision, ...]) -> str:
    """Every reason once; one that is part of another is not repeated."""
    reasons = list(dict.fromkeys(one.why for one in decided))
    return "; ".join(one for one in reasons if not any(one != other and one in other for other in reasons))


def _bounded(given: Input) -> Input:
    if not isinstance(given, Result) or len(given.look.evidence) <= EVIDENCE_LIMIT:
        return given
    look = dataclasses.replace(given.look, evidence=given.look.evidence[:EVIDENCE_LIMIT])
    return dataclasses.replace(given, look=look)
