"""Records as documents: the stable field names that sinks, `--json` and later the REST API share."""

from collections.abc import Iterable
from typing import Any

from agent.clock import MICROSECONDS, rfc3339
from agent.model.execution import Execution
from agent.model.incident import Incident, TimelineEntry


def incident(one: Incident, remedies: Iterable[Execution] = ()) -> dict[str, Any]:
    """One incident, with the remedies that were tried."""
    return {
        "id": one.id,
        "number": one.number,
        "state": one.state.value,
        "service": one.service,
        "item": one.item,
        "host": one.host,
        "cause": one.cause,
        "episode": one.episode,
        "severity": one.severity.value,
        "priority": one.priority.value,
        "impact": one.impact.value,
        "urgency": one.urgency.value,
        "title": one.title,
        "why": one.why,
        "owner": one.owner,
        "assigned_to": one.assigned_to,
        "opened_at": rfc3339(one.opened_at_us),
        "acknowledged_at": rfc3339(one.acknowledged_at_us),
        "acknowledged_by": one.acknowledged_by,
        "resolved_at": rfc3339(one.resolved_at_us),
        "resolution": one.resolution,
        "runbook": one.runbook or None,
        "recurrence_of": one.recurrence_of,
        "revision": one.revision,
        "remedies": [execution(each) for each in remedies],
    }


def execution(one: Execution) -> dict[str, Any]:
    """One execution: a remedy, a manual run, a backup, a drill, a restore."""
    ended = one.ended_at_us
    begun = one.dispatched_at_us or one.intent_at_us
    return {
        "id": one.id,
        "number": one.number,
        "kind": one.kind.value,
        "state": one.state.value,
        "service": one.service,
        "item": one.item,
        "host": one.host,
        "hosts": list(one.args.get("hosts", ())) or ([one.host] if one.host else []),
        "actor": one.actor,
        "why": one.why,
        "attempt": one.attempt,
        "verified": one.verified,
        "exit_code": one.exit_code,
        "summary": one.summary,
        "intent_at": rfc3339(one.intent_at_us),
        "started_at": rfc3339(one.dispatched_at_us),
        "ended_at": rfc3339(ended),
        "duration_s": None if ended is None else round((ended - begun) / MICROSECONDS, 3),
    }


def timeline(entries: Iterable[TimelineEntry]) -> list[dict[str, Any]]:
    """What happened to an incident, in order."""
    return [{"at": rfc3339(one.at_us), "actor": one.actor, "verb": one.verb, "text": one.text} for one in entries]
