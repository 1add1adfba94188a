"""What was done in a span of time, for the end of a run."""

import dataclasses

from agent.model.execution import ExecutionKind, ExecutionState
from agent.model.incident import IncidentState
from agent.runtime.agent import Agent
from agent.store import executions, incidents, journal


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """Counts since a moment; `head` is the journal's last hash, to be kept elsewhere; `left` is what has not come to its end."""

    seconds: float
    checks: int
    failing: int
    opened: int
    resolved: int
    still_open: int
    remedies: int
    remedies_worked: int
    backups: int
    drills_passed: int
    drills_failed: int
    journal_lines: int
    head: str
    left: tuple[str, ...] = ()


def summarise(agent: Agent, since_us: int) -> Summary:
    """Count what the store knows since a moment."""
    with agent.store.read() as reader:
        everything = incidents.since(reader, since_us)
        done = executions.listing(reader, since_us=since_us)
        head = journal.head(reader)
    ended = [one for one in done if one.state is ExecutionState.SUCCEEDED]
    remedies = [one for one in done if one.kind is ExecutionKind.REMEDY]
    drills = [one for one in done if one.kind is ExecutionKind.DRILL and one.ended_at_us is not None]
    return Summary(
        seconds=(agent.clock.now() - since_us) / 1_000_000,
        checks=len(agent.book.policies.checks),
        failing=sum(state.is_failing for state in agent.book.states().values()),
        opened=sum(one.opened_at_us >= since_us for one in everything),
        resolved=sum(one.resolved_at_us is not None and one.resolved_at_us >= since_us for one in everything),
        still_open=sum(one.state in {IncidentState.OPEN, IncidentState.ACKNOWLEDGED} for one in everything),
        remedies=len(remedies),
        remedies_worked=sum(one.verified is True for one in remedies),
        backups=sum(one.kind is ExecutionKind.BACKUP for one in ended),
        drills_passed=sum(one.kind is ExecutionKind.DRILL for one in ended),
        drills_failed=sum(one.state is not ExecutionState.SUCCEEDED for one in drills),
        journal_lines=head.seq,
        head=head.hash,
    )
