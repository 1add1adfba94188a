"""recovery: list, run, rehearse."""

import asyncio
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli import ExitCode, output, plain
from agent.cli.context import the_agent
from agent.cli.following import POLL_NS
from agent.cli.options import moment
from agent.cli.output import AsJson, Column
from agent.cli.wording import ago, harmless, local, person, plural, span
from agent.errors import InputError, RefusedError

if TYPE_CHECKING:
    from agent.model.execution import Execution
    from agent.model.recovery import Recovery, Step
    from agent.runtime.agent import Agent

app = plain(help="Recoveries: how a service is brought back, and how long that takes.")
Which = Annotated[str, typer.Argument(metavar="ID", help="A name such as shop or shop/recoveries/front-end.")]
Why = Annotated[str, typer.Option(metavar="TEXT", help="Why; it is written down.")]
AsOf = Annotated[str | None, typer.Option(metavar="TIME", help="As it was at 2026-11-23T02:00; else the newest.")]


@app.command("list")
def list_(ctx: typer.Context, *, as_json: AsJson = False) -> None:
    """List recoveries: when each was rehearsed last, how long it took, and what that is worth."""
    with the_agent(ctx) as agent:
        known = [one for _, one in sorted(agent.book.policies.recoveries.items())]
        items = [_document(agent, one) for one in known]
        lasts = {one.key: agent.recoveries.records.past(one).rehearsal for one in known}
        now_us = agent.clock.now()

    def rehearsed(item: Mapping[str, Any]) -> str:
        last = lasts[item["id"]]
        return ago(last.at_us if last else None, now_us)

    columns = [
        Column("verdict", lambda item: item["verdict"]),
        Column("recovery", lambda item: item["item"]),
        Column("host", lambda item: item["host"]),
        Column("steps", lambda item: len(item["steps"])),
        Column("rehearsed", rehearsed),
        Column("took", lambda item: span(item["rehearsed_s"])),
        Column("rto", lambda item: span(item["rto_s"])),
        Column("last run", lambda item: f"{item['run']} {item['run_state']}" if item["run"] else ""),
    ]
    output.listing(items, columns, as_json=as_json, none="no recoveries: declare them in a policy, `recoveries:`")


def _document(agent: "Agent", recovery: "Recovery") -> dict[str, Any]:
    from agent.clock import rfc3339
    from agent.practices import recoveries as practice

    records = agent.recoveries.records
    past = records.past(recovery)
    last = past.rehearsal
    newest = next(iter(records.runs(recovery)), None)
    return {
        "id": recovery.key, "service": recovery.service, "item": recovery.item, "host": recovery.host,
        "verdict": practice.verdict(recovery, past, agent.clock.now()),
        "steps": [step.name for step in recovery.steps], "verify": list(recovery.verify),
        "scratch": [one.host for one in recovery.scratch], "rto_s": recovery.rto_seconds,
        "rehearsed_at": rfc3339(last.at_us) if last else None,
        "rehearsed_s": last.seconds if last else None, "rehearsed_on": last.host if last else None,
        "run": newest.number if newest else None, "run_state": _state(agent, newest) if newest else None,
    }  # fmt: skip


def _state(agent: "Agent", plan: "Execution") -> str:
    """In a word; a recovery whose process is gone and which nobody goes on with is interrupted, never done."""
    if plan.ended_at_us is not None:
        return str(plan.state)
    return "under way" if agent.recoveries.records.is_driven(plan) else "interrupted"


@app.command()
def run(  # noqa: PLR0913  a recovery is all of this
    ctx: typer.Context,
    which: Which,
    *,
    host: Annotated[str | None, typer.Option(help="The host to recover.")] = None,
    at: AsOf = None,
    yes: Annotated[bool, typer.Option("--yes", help="Begin without asking.")] = False,
    reason: Why = "by hand",
    as_json: AsJson = False,
) -> None:
    """Carry it out on its host, step by step. Ends with 1 when it fails, with 3 when a gate refuses to begin.

    One that was interrupted goes on where it was.
    """
    with the_agent(ctx, found=True) as agent:
        recovery = _meant(agent, which, host)
        if not _agreed(recovery, recovery.host, recovery.steps, yes=yes):
            output.say("nothing was begun")
            raise typer.Exit(ExitCode.REFUSED)
        ended = _carried_out(agent, recovery, recovery.host, at, reason, quiet=as_json)
    _tell(ended, as_json=as_json)


@app.command()
def rehearse(  # noqa: PLR0913  a rehearsal is all of this
    ctx: typer.Context,
    which: Which,
    *,
    host: Annotated[
        str | None, typer.Option(metavar="SCRATCH", help="One of `rehearse: {on: …}` of its policy.")
    ] = None,
    of: Annotated[str | None, typer.Option(metavar="HOST", help="Whose recovery, where it is for several.")] = None,
    at: AsOf = None,
    reason: Why = "by hand",
    as_json: AsJson = False,
) -> None:
    """Carry it out on a scratch host, and measure it. Ends with 1 when it fails, or takes longer than its rto."""
    with the_agent(ctx, found=True) as agent:
        recovery = _meant(agent, which, of)
        onto = _scratch(recovery, host)
        ended = _carried_out(agent, recovery, onto, at, reason, quiet=as_json)
    _tell(ended, as_json=as_json)


def _meant(agent: "Agent", which: str, host: str | None) -> "Recovery":
    from agent.cli.naming import one

    recoveries = agent.book.policies.recoveries
    return recoveries[one(recoveries, which, "recovery", host=host)]


def _scratch(recovery: "Recovery", host: str | None) -> str:
    """Where to: only what the policy itself declares as worthless is ever overwritten by a rehearsal."""
    known = [one.host for one in recovery.scratch]
    if not known:
        raise RefusedError(
            f"{recovery.item} names no host to rehearse on", hint="declare one in its policy: rehearse: {on: HOST}"
        )
    if host is not None and host not in known:
        raise RefusedError(
            f"{host} is no host to rehearse {recovery.item} on: it would be overwritten",
            hint=f"take {' or '.join(known)}, or declare it in the policy: rehearse: {{on: …}}",
        )
    return host or known[0]


def _agreed(recovery: "Recovery", onto: str, steps: "tuple[Step, ...]", *, yes: bool) -> bool:
    if yes:
        return True
    if not sys.stdin.isatty():
        raise InputError("nobody is here to agree", hint=f"add --yes to change {onto}")
    output.say(f"{recovery.key} on {onto}:")
    for number, step in enumerate(steps, 1):
        output.say(f"  {number}. {step.name}{f' to {step.to}' if step.to else ''}")
    for key in recovery.verify:
        output.say(f"  then {key} must be OK")
    return typer.confirm(f"Begin on {onto}?", default=False)


def _carried_out(
    agent: "Agent", recovery: "Recovery", onto: str, at: str | None, reason: str, *, quiet: bool
) -> "Execution":
    from agent.runtime.recovery_records import Order

    records = agent.recoveries.records
    at_us = moment(at, "--at", agent.book.policies.config.timezone) if at else None
    open_one = next((one for one in records.open_ones() if one.correlation_id == recovery.key), None)
    if open_one is None:
        plan = records.file(Order(recovery=recovery, onto=onto, actor=person(), why=reason, at_us=at_us))
    else:
        plan = resumed(agent, open_one, onto, at_us=at_us)
    show = None if quiet else _Steps(plan)
    try:
        return asyncio.run(_drive(agent, plan, show, resumed=open_one is not None))
    except KeyboardInterrupt:
        words = "the step that runs goes on; the daemon takes the rest over"
        output.note(f"{plan.number}: {words}, and so does: watchkeeper recovery run {recovery.key}")
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def resumed(agent: "Agent", plan: "Execution", onto: str, *, at_us: int | None) -> "Execution":
    """The recovery that was interrupted, now ours; RefusedError while somebody else is at it, or for another wish."""
    records = agent.recoveries.records
    if records.is_driven(plan):
        raise RefusedError(f"{plan.number} is under way already", hint="watchkeeper recovery list")
    if plan.args["onto"] != onto:
        raise RefusedError(
            f"{plan.number} was interrupted on {plan.args['onto']}", hint="end that one first: name the same host"
        )
    if at_us is not None and plan.args["at_us"] != at_us:
        begun = local(plan.args["at_us"]) if plan.args["at_us"] else "the newest point"
        raise RefusedError(
            f"{plan.number} was interrupted, and restores as of {begun}", hint="end that one first: leave out --at"
        )
    output.note(f"{plan.number} was interrupted: it goes on where it was")
    return records.take(plan)


async def _drive(agent: "Agent", plan: "Execution", show: "_Steps | None", *, resumed: bool) -> "Execution":
    if resumed:
        await agent.executor.adopt()
    while plan.ended_at_us is None:
        plan = await agent.recoveries.advance(plan)
        if show is not None:
            show.look(agent, plan)
        if plan.ended_at_us is None:
            await agent.clock.sleep_until(agent.clock.boottime() + POLL_NS)
            await agent.executor.poll()
    await agent.recorder.flush()
    return plan


class _Steps:
    """A line as each step begins, and one as it ends."""

    def __init__(self, plan: "Execution") -> None:
        self._told: set[tuple[int, bool]] = set()
        output.say(f"{plan.number}: {plan.kind} of {plan.correlation_id} on {plan.args['onto']}")

    def look(self, agent: "Agent", plan: "Execution") -> None:
        """Say what is new."""
        course = agent.recoveries.course(plan)
        for index, one in sorted(agent.recoveries.records.newest(plan).items()):
            name = course.steps[index].name if course is not None and index < len(course.steps) else str(one.kind)
            if self._is_new(index, is_over=False):
                output.say(f"  {index + 1}. {name} ({one.number})")
            if one.ended_at_us is not None and self._is_new(index, is_over=True):
                took = span((one.ended_at_us - one.intent_at_us) / 1e6)
                output.say(f"     {one.state} in {took}: {harmless(one.summary)}", style=str(one.state))

    def _is_new(self, index: int, *, is_over: bool) -> bool:
        is_new = (index, is_over) not in self._told
        self._told.add((index, is_over))
        return is_new


def _tell(plan: "Execution", *, as_json: bool) -> None:
    from agent.model.execution import ExecutionState
    from agent.runtime import documents

    if plan.state is ExecutionState.CANCELLED:
        raise RefusedError(plan.summary, hint=str(plan.detail.get("needs") or "watchkeeper status"))
    if as_json:
        output.document({"items": [{**documents.execution(plan), "detail": dict(plan.detail)}]})
    else:
        output.say(f"{plan.number}: {plan.state}: {harmless(plan.summary)}", style=str(plan.state))
        if plan.state is not ExecutionState.SUCCEEDED:
            _tell_way_out(plan)
    is_slow = plan.detail.get("within_rto") is False and plan.args["onto"] != plan.args["of"]
    if plan.state is not ExecutionState.SUCCEEDED or is_slow:
        raise typer.Exit(ExitCode.WRONG_IN_THE_WORLD)


def _tell_way_out(plan: "Execution") -> None:
    steps = plan.detail.get("steps", [])
    left = sum(step["state"] != "succeeded" for step in steps)
    verb = "run" if plan.args["onto"] == plan.args["of"] else "rehearse"
    output.say(f"{plural(left, 'step')} of {len(steps)} are not done; what was replaced is kept, see each step's line")
    output.note(f"mend that, then: watchkeeper recovery {verb} {plan.correlation_id}; what is in place already stays")
