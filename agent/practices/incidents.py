"""Incidents: when one opens, reopens, worsens and resolves; what priority it gets; which verbs a state allows."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from agent.model.check import Rules
from agent.model.decision import Decision, Verb
from agent.model.incident import IncidentState
from agent.model.look import Verdict
from agent.model.service import Importance, Priority, Urgency
from agent.model.state import UNDER_WAY, CheckState, Climb, Mark, Phase

MICROSECONDS = 1_000_000

_PRIORITIES: Mapping[tuple[Importance, Urgency], Priority] = MappingProxyType(
    {
        (Importance.CRITICAL, Urgency.HIGH): Priority.P1,
        (Importance.CRITICAL, Urgency.MEDIUM): Priority.P1,
        (Importance.CRITICAL, Urgency.LOW): Priority.P2,
        (Importance.HIGH, Urgency.HIGH): Priority.P1,
        (Importance.HIGH, Urgency.MEDIUM): Priority.P2,
        (Importance.HIGH, Urgency.LOW): Priority.P3,
        (Importance.MEDIUM, Urgency.HIGH): Priority.P2,
        (Importance.MEDIUM, Urgency.MEDIUM): Priority.P3,
        (Importance.MEDIUM, Urgency.LOW): Priority.P4,
        (Importance.LOW, Urgency.HIGH): Priority.P3,
        (Importance.LOW, Urgency.MEDIUM): Priority.P4,
        (Importance.LOW, Urgency.LOW): Priority.P5,
    }
)

ALLOWED: Mapping[str, frozenset[IncidentState]] = MappingProxyType(
    {
        "ack": frozenset({IncidentState.OPEN}),
        "assign": frozenset({IncidentState.OPEN, IncidentState.ACKNOWLEDGED}),
        "comment": frozenset(IncidentState),
        "resolve": frozenset({IncidentState.OPEN, IncidentState.ACKNOWLEDGED}),
        "reopen": frozenset({IncidentState.RESOLVED}),
    }
)


def priority(impact: Importance, urgency: Urgency) -> Priority:
    """Impact and urgency give the order of work, by the usual matrix."""
    return _PRIORITIES[impact, urgency]


def urgency_of(severity: Verdict, declared: Urgency | None) -> Urgency:
    """What the policy says, else high for critical and low for a warning."""
    if declared is not None:
        return declared
    return Urgency.HIGH if severity is Verdict.CRITICAL else Urgency.LOW


def refusal(verb: str, state: IncidentState) -> str:
    """Why a person may not do this now; "" when they may."""
    if state in ALLOWED[verb]:
        return ""
    states = " or ".join(sorted(ALLOWED[verb]))
    return f"an incident that is {state} cannot be {_PAST[verb]}: it must be {states}"


_PAST = MappingProxyType(
    {"ack": "acknowledged", "assign": "assigned", "comment": "commented", "resolve": "resolved", "reopen": "reopened"}
)


def follow(
    state: CheckState, rules: Rules, at_us: int, why: str, *, well: str = ""
) -> tuple[CheckState, tuple[Decision, ...]]:
    """What the check's hard state means for its incident: `why` it fails, or the words of a look that found it `well`."""
    hard, mark = state.hard, state.mark
    if hard is Verdict.OK:
        return _calm(state, at_us, well)
    if rules.incident_from is None or state.parents or state.silenced:
        return state, ()
    if mark is not None and mark.open:
        return _worse(state, mark, hard, why)
    if hard.weight < rules.incident_from.weight or is_overridden(state):
        return state, ()
    return _open(state, rules, at_us, why)


def is_overridden(state: CheckState) -> bool:
    """Whether a person resolved the incident although the check fails, and it fails no worse now."""
    mark = state.mark
    return mark is not None and mark.overridden and state.hard.weight <= mark.severity.weight


def _calm(state: CheckState, at_us: int, well: str) -> tuple[CheckState, tuple[Decision, ...]]:
    mark = state.mark
    if mark is None or mark.held or state.parents or (not mark.open and not mark.overridden):
        return state, ()
    if state.climb is not None and state.climb.phase in {Phase.RUNNING, Phase.VERIFYING}:
        return state, ()  # the remedy is still to be proven: resolved means verified
    if not mark.open:
        return dataclasses.replace(state, mark=dataclasses.replace(mark, overridden=False)), ()
    after = dataclasses.replace(state, mark=dataclasses.replace(mark, open=False, resolved_us=at_us))
    told = f"{state.key} is ok again" + (f": {well}" if well and state.raw is Verdict.OK else "")
    return after, (Decision(verb=Verb.RESOLVE, why=told, severity=mark.severity, episode=mark.episode),)


def _worse(state: CheckState, mark: Mark, hard: Verdict, why: str) -> tuple[CheckState, tuple[Decision, ...]]:
    if mark.held:
        mark = dataclasses.replace(mark, held=False)
        state = dataclasses.replace(state, mark=mark)
    if hard.weight <= mark.severity.weight:
        return state, ()
    after = dataclasses.replace(state, mark=dataclasses.replace(mark, severity=hard))
    return after, (Decision(verb=Verb.WORSEN, why=why, severity=hard, episode=mark.episode),)


def _open(state: CheckState, rules: Rules, at_us: int, why: str) -> tuple[CheckState, tuple[Decision, ...]]:
    mark, hard = state.mark, state.hard
    again = (
        mark is not None
        and mark.resolved_us is not None
        and at_us - mark.resolved_us <= rules.reopen_within_seconds * MICROSECONDS
    )
    episode = mark.episode + 1 if mark is not None and again else 1
    after = dataclasses.replace(state, mark=Mark(open=True, severity=hard, episode=episode, opened_us=at_us))
    verb = Verb.REOPEN if again else Verb.OPEN
    return after, (Decision(verb=verb, why=why, severity=hard, hard=True, episode=episode),)


def by_person(state: CheckState, verb: str, at_us: int) -> CheckState:
    """A person resolved (with an override, when it still fails) or reopened the incident."""
    mark = state.mark
    if mark is None:
        return state
    hard, climb = state.hard, state.climb
    if verb == "resolve" and mark.open:
        mark = dataclasses.replace(
            mark, open=False, resolved_us=at_us, held=False, overridden=hard is not Verdict.OK,
            severity=mark.severity if hard is Verdict.OK else hard,
        )  # fmt: skip
        return dataclasses.replace(state, mark=mark, climb=_under_way(climb))
    if verb == "reopen" and not mark.open:
        mark = dataclasses.replace(
            mark, open=True, resolved_us=None, overridden=False, held=hard is Verdict.OK, episode=mark.episode + 1
        )
        return dataclasses.replace(state, mark=mark, climb=_under_way(climb))
    return state


def _under_way(climb: Climb | None) -> Climb | None:
    """A new episode begins with a new ladder; what runs is still followed to its end."""
    return climb if climb is not None and climb.phase in UNDER_WAY else None
