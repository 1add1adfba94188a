"""An incident: one cause, its episodes, who has it, how it ended; and one line of its timeline."""

import dataclasses
import enum

from agent.model.look import Verdict
from agent.model.service import Importance, Priority, Urgency


class IncidentState(enum.StrEnum):
    """The states that exist now."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    CLOSED = "closed"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Incident:
    """One incident. `cause` is `service/section/name@host` (or an id of its own when a person opened it). Times µs UTC."""

    id: str
    number: str
    cause: str
    episode: int
    state: IncidentState
    service: str
    item: str
    host: str | None
    severity: Verdict
    impact: Importance
    urgency: Urgency
    priority: Priority
    title: str
    why: str
    owner: str
    opened_at_us: int
    revision: int = 1
    acknowledged_at_us: int | None = None
    acknowledged_by: str | None = None
    assigned_to: str | None = None
    resolved_at_us: int | None = None
    resolution: str = ""
    runbook: str = ""
    recurrence_of: str | None = None  # number of the earlier incident of the same cause


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TimelineEntry:
    """What happened to an incident: `verb` (opened, comment, remedy-started, resolved …), by whom, in plain words."""

    incident_id: str
    at_us: int
    actor: str
    verb: str
    text: str
