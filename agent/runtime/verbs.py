"""What people do with incidents: open, acknowledge, assign, comment, resolve after a look, reopen.

A state guard comes first, then one transaction. Resolving is verified: the check that caused the incident looks once
more, and only its ok, or a person's explicit override with a reason, closes the matter.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from agent.errors import ConflictError, InputError, RefusedError
from agent.model.check import NO_HOST
from agent.model.decision import Decision, Person, Verb
from agent.model.execution import Execution
from agent.model.incident import Incident, IncidentState
from agent.model.look import Verdict
from agent.model.state import CheckState
from agent.practices import incidents as practice
from agent.practices import story
from agent.runtime import executor
from agent.runtime.agent import Agent
from agent.store import executions, ids, incidents, journal
from agent.store.engine import Store
from agent.store.tx import Reader, Tx

TRIES = 5  # a record lost to another process is read again so often
Value = TypeVar("Value")


def find(reader: Reader, number: str) -> Incident:
    """The incident that a person means; InputError when there is none."""
    found = incidents.by_number(reader, number)
    if found is None:
        raise InputError(f"there is no incident {number!r}", hint="see: watchkeeper incident list")
    return found


class People:
    """The verbs of people; `who` is the login name of the one who types."""

    def __init__(self, agent: Agent, who: str) -> None:
        self._agent = agent
        self._who = who

    def open(
        self, *, title: str, service: str, host: str | None, severity: Verdict, why: str, owner: str = ""
    ) -> Incident:
        """File what no check has seen."""
        policies = self._agent.book.policies
        if service not in policies.services:
            raise InputError(f"unknown service {service!r}", hint=f"known: {', '.join(sorted(policies.services))}")
        if host is not None and host not in policies.hosts:
            raise InputError(f"unknown host {host!r}", hint="see: watchkeeper host list")
        cause = f"{service}/person/{ids.ulid(self._agent.clock)}@{host or NO_HOST}"
        decided = Decision(verb=Verb.OPEN, why=why, severity=severity)
        with self._agent.store.write() as tx:
            return self._agent.desk.open(tx, cause=cause, title=title, decided=decided, owner=owner, actor=self._who)

    def acknowledge(self, number: str) -> Incident:
        """Say that somebody is on it."""

        def act(tx: Tx, incident: Incident) -> Incident:
            changed = dataclasses.replace(
                incident, state=IncidentState.ACKNOWLEDGED, acknowledged_at_us=self._agent.clock.now(),
                acknowledged_by=self._who,
            )  # fmt: skip
            return self._agent.desk.change(tx, changed, "acknowledged", f"by {self._who}", actor=self._who)

        return self._do(number, "ack", act)

    def assign(self, number: str, to: str) -> Incident:
        """Give it to a team, or to a member of one."""
        teams = self._agent.book.policies.config.teams
        known = {*teams, *(member for team in teams.values() for member in team.members)}
        if known and to not in known:
            raise InputError(f"nobody is called {to!r}", hint=f"teams and members: {', '.join(sorted(known))}")

        def act(tx: Tx, incident: Incident) -> Incident:
            changed = dataclasses.replace(incident, assigned_to=to)
            return self._agent.desk.change(tx, changed, "assigned", f"to {to}", actor=self._who)

        return self._do(number, "assign", act)

    def comment(self, number: str, text: str) -> Incident:
        """Add a line to its timeline."""

        def act(tx: Tx, incident: Incident) -> Incident:
            self._agent.desk.tell(tx, incident, "comment", text, actor=self._who)
            return incident

        return self._do(number, "comment", act)

    async def resolve(self, number: str, *, reason: str, override: bool) -> Incident:
        """Close it after a look; RefusedError when that look says that it still fails, and nobody overrides it."""
        with self._agent.store.read() as reader:
            incident = find(reader, number)
        self._guard("resolve", incident)
        if override and not reason:
            raise InputError("an override needs a reason", hint="add --reason TEXT")
        seen = "" if override else await self._look_again(incident)
        if not seen and not reason:
            raise InputError("no check can verify this one: say how it was resolved", hint="add --reason TEXT")
        why = "; ".join(part for part in ("overridden" if override else "", seen, reason) if part)
        return self._settle(number, why)

    def _settle(self, number: str, why: str) -> Incident:
        def act(tx: Tx, incident: Incident) -> Incident:
            if incident.state not in practice.ALLOWED["resolve"]:  # the look itself resolved it: by evidence
                self._agent.desk.tell(tx, incident, "comment", why, actor=self._who)
                return incident
            self._free(tx, incident)
            return self._agent.desk.resolve(tx, incident, why, actor=self._who)

        return self._do(number, "comment", act, person="resolve", why=why)

    def reopen(self, number: str, reason: str) -> Incident:
        """The cause is not gone after all: same number, next episode."""

        def act(tx: Tx, incident: Incident) -> Incident:
            other = incidents.open_of(tx, incident.cause)
            if other is not None:
                raise RefusedError(f"its cause has another open incident, {other.number}", hint="work on that one")
            state = self._agent.book.state(incident.cause)
            episode = max(incident.episode, state.mark.episode if state.mark else 0) + 1
            return self._agent.desk.reopen(tx, incident, reason, episode=episode, actor=self._who)

        return self._do(number, "reopen", act, person="reopen", why=reason)

    # what they have in common

    def _guard(self, verb: str, incident: Incident) -> None:
        if refusal := practice.refusal(verb, incident.state):
            raise RefusedError(
                f"{incident.number}: {refusal}", hint=f"see: watchkeeper incident show {incident.number}"
            )

    def _do(
        self, number: str, verb: str, act: Callable[[Tx, Incident], Incident], *, person: str = "", why: str = ""
    ) -> Incident:
        """Guard and act on the newest revision; with `person` the counters of the causing check learn of it too."""
        for attempt in range(TRIES):
            kept: list[tuple[CheckState, int]] = []
            try:
                with self._agent.store.write() as tx:
                    incident = find(tx, number)
                    self._guard(verb, incident)
                    changed = act(tx, incident)
                    if person:
                        kept = self._tell_story(tx, changed.cause, person, why)
            except ConflictError:
                if attempt == TRIES - 1:
                    raise
                self._agent.book.reread()
                continue
            for state, revision in kept:
                self._agent.book.keep(state, revision)
            return changed
        raise AssertionError("the loop returns or raises")

    def _tell_story(self, tx: Tx, cause: str, verb: str, why: str) -> list[tuple[CheckState, int]]:
        book = self._agent.book
        rules = book.rules(cause)
        if rules is None:
            return []
        before = book.state(cause)
        given = Person(at_us=self._agent.clock.now(), verb=verb, who=self._who, why=why)
        after, decided = story.step(before, given, rules)
        if after is before:
            return []
        return [(after, self._agent.desk.record(tx, after, given, decided, actor=self._who))]

    async def _look_again(self, incident: Incident) -> str:
        """What the causing check says now, in words; "" when no check stands behind the incident."""
        agent = self._agent
        key = incident.cause.removeprefix("agent/unknown/")
        check = agent.book.policies.checks.get(key)
        if check is None:
            return ""
        host = agent.book.policies.hosts.get(check.host) if check.host else None
        results = {result.key: result for result in await agent.pipeline.watch(host, [check])}
        await agent.recorder.flush()
        result, state = results.get(key), agent.book.state(key)
        told = result.look.summary if result else "it could not be looked at: its host is out of reach"
        proven = key != incident.cause and state.raw is not Verdict.UNKNOWN
        if result is None or not (proven or state.raw is Verdict.OK):
            raise RefusedError(
                f"{incident.number} is not resolved: {key} is {state.raw if result else Verdict.UNKNOWN}: {told}",
                hint=f"mend it, or insist: watchkeeper incident resolve {incident.number} --override --reason TEXT",
            )
        return f"verified: {key} is {state.raw}: {told}"

    def _free(self, tx: Tx, incident: Incident) -> None:
        """A person's word ends an uncertainty: what its execution still holds is released."""
        for execution in _uncertain_of(tx, incident):
            executor.release(tx, execution)
            self._agent.desk.tell(
                tx, incident, "released", f"the hosts that {execution.number} held are free again", actor=self._who
            )


def _uncertain_of(reader: Reader, incident: Incident) -> list[Execution]:
    run = incident.cause.removeprefix("agent/runs/").partition("@")[0]
    return [
        execution
        for execution in executions.uncertain(reader)
        if execution.number == run or execution.args.get("cause") == incident.cause
    ]


def remedies_of(reader: Reader, incident: Incident) -> list[Execution]:
    """What was run because of an incident, the oldest first."""
    return executions.listing(reader, correlation_id=incident.id)[::-1]


def story_of(store: Store, key: str, *, limit: int) -> list[Mapping[str, Any]]:
    """The last journal lines about a record as plain values, the oldest first."""
    with store.read() as reader:
        lines = journal.lines(reader, object_id=key)[-limit:]
    return [
        {"seq": line.seq, "at_us": line.recorded_at_us, "kind": line.entry.kind, "actor": line.entry.actor,
         "why": line.entry.why, "body": line.entry.body, "generation": line.entry.policy_generation}
        for line in lines
    ]  # fmt: skip
