"""status: services, checks, backups and incidents at a glance."""

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli import output, plain
from agent.cli.context import the_agent
from agent.cli.output import AsJson
from agent.cli.wording import ago, drifted, plural, span, titled
from agent.errors import InputError

if TYPE_CHECKING:
    from agent.runtime.agent import Agent

app = plain(help="Services, checks, backups and incidents at a glance.")
SHOWN = 12  # checks that are not ok; more are counted
EVERY_NS = 2_000_000_000


@app.command()
def status(
    ctx: typer.Context,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Again and again, until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show services, checks, backups and incidents at a glance."""
    if watch and as_json:
        raise InputError(
            "--watch is for people, and --json prints one document", hint="watch watchkeeper status --json"
        )
    with the_agent(ctx) as agent:
        if watch:
            asyncio.run(_again(agent))
        else:
            found = glance(agent)
            if as_json:
                output.document(found)
            else:
                tell(found, agent.clock.now())


async def _again(agent: "Agent") -> None:
    if sys.stdout.isatty():
        await _drawn(agent)
    while True:
        agent.book.refresh()
        tell(glance(agent), agent.clock.now())
        output.say()
        await agent.clock.sleep_until(agent.clock.boottime() + EVERY_NS)


async def _drawn(agent: "Agent") -> None:
    """On a terminal it is one picture, as high as the terminal."""
    from agent.cli import live

    with live.opened() as screen:
        while True:
            agent.book.refresh()
            screen.update(live.picture(agent, screen.console.size), refresh=True)
            await agent.clock.sleep_until(agent.clock.boottime() + EVERY_NS)


def glance(agent: "Agent") -> dict[str, Any]:
    """The whole picture as one document."""
    from agent.cli import facts, lateness
    from agent.clock import rfc3339
    from agent.runtime import documents
    from agent.runtime.gates import KILL_SWITCH
    from agent.store import executions, incidents, owners, switches

    checks = facts.checks(agent)
    with agent.store.read() as reader:
        found = incidents.listing(reader, states=incidents.OPEN)
        running = executions.open_ones(reader)
        switch = switches.get(reader, KILL_SWITCH)
        looks = lateness.last_minute(reader, agent.clock)
    daemon = owners.running(agent.book.policies.config.state, agent.clock)
    return {
        "agent": agent.book.policies.config.name,
        "daemon": {"pid": daemon.pid, "since": rfc3339(daemon.started_at_us), "since_us": daemon.started_at_us}
        if daemon
        else None,
        "kill_switch": {"by": switch.by, "why": switch.why} if switch.is_on else None,
        "looks": looks.document() if looks else None,
        "services": facts.services(agent, checks),
        "checks": checks,
        "backups": facts.backups(agent),
        "running": [documents.execution(one) for one in running],
        "incidents": [{**documents.incident(one), "opened_at_us": one.opened_at_us} for one in found],
    }


def tell(found: dict[str, Any], now_us: int) -> None:
    """Print the picture for people."""
    daemon = found["daemon"]
    runs = (
        f"running for {span((now_us - daemon['since_us']) / 1_000_000)}, pid {daemon['pid']}"
        if daemon
        else "not running"
    )
    output.say(f"{found['agent']}: the daemon is {runs}", style="ok" if daemon else "warning")
    if found["kill_switch"]:
        output.say(
            f"the kill switch is on, by {found['kill_switch']['by']}: {found['kill_switch']['why']}", style="critical"
        )
    if found["looks"] and found["looks"]["late"]:
        output.say(f"{found['looks']['says']}: see watchkeeper doctor", style="warning")
    output.say()
    output.table(
        ["service", "state", "checks"],
        [
            (one["service"], one["state"], f"{one['ok']} of {one['checks']} ok")
            for one in found["services"]
            if one["checks"]
        ],
    )
    _tell_checks([one for one in found["checks"] if one["state"] != "ok"])
    if found["backups"]:
        output.say()
        output.table(
            ["backup", "host", "verdict", "last good", "proven"],
            [(one["item"], one["host"], one["verdict"], _moment(one["last_good_at"]), _moment(one["proven_at"]))
             for one in found["backups"]],
        )  # fmt: skip
    for one in found["backups"]:
        if one["drift"]:
            told = "; ".join(one["drift"]["lines"][:1])
            style = "warning" if one["drift"]["stands"] else "pending"
            output.say(f"{one['host']} was changed outside a window: {drifted(one['drift'])}: {told}", style=style)
    for one in found["running"]:
        output.say(f"{one['number']} {one['kind']} {one['item']} is {one['state']} on {', '.join(one['hosts'])}")
    output.say()
    if not found["incidents"]:
        output.say("no open incidents", style="ok")
        return
    output.table(
        ["incident", "priority", "state", "opened", "title"],
        [(one["number"], one["priority"], one["state"], ago(one["opened_at_us"], now_us), titled(one))
         for one in found["incidents"]],
    )  # fmt: skip


def _tell_checks(bad: list[dict[str, Any]]) -> None:
    if not bad:
        return
    output.say()
    output.table(
        ["state", "check", "host", "summary"],
        [(one["state"], one["item"], one["host"], one["summary"]) for one in bad[:SHOWN]],
    )
    if len(bad) > SHOWN:
        output.say(f"and {plural(len(bad) - SHOWN, 'check')} more: watchkeeper check list --failing")


def _moment(text: str | None) -> str:
    return text[:16].replace("T", " ") + " UTC" if text else "never"
