"""check: list results, look now, explain why a state is what it is."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli import ExitCode, output, plain
from agent.cli.context import parts_of, the_agent
from agent.cli.output import AsJson, Column
from agent.cli.wording import ago

if TYPE_CHECKING:
    from agent.runtime.agent import Agent

app = plain(help="Checks: their state, a look now, and why they are as they are.")
Which = Annotated[str, typer.Argument(metavar="ID", help="A name such as web, shop/web or shop/checks/web.")]


@app.command("list")
def list_(
    ctx: typer.Context,
    *,
    service: Annotated[str | None, typer.Option(help="Of this service alone.")] = None,
    host: Annotated[str | None, typer.Option(help="On this host alone.")] = None,
    failing: Annotated[bool, typer.Option("--failing", help="Only those that are not ok.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the last results, the worst first."""
    from agent.cli import facts
    from agent.cli.naming import known

    with the_agent(ctx) as agent:
        known(service, agent.book.policies.services, "service")
        known(host, agent.book.policies.hosts, "host")
        items = [
            item
            for item in facts.checks(agent)
            if service in (None, item["service"])
            and host in (None, item["host"])
            and not (failing and item["state"] == "ok")
        ]
        since = {str(item["key"]): facts.since_us(agent.book.state(item["key"])) for item in items}
        now_us = agent.clock.now()
    columns = [
        Column("state", lambda item: item["state"]),
        Column("check", lambda item: item["item"]),
        Column("host", lambda item: item["host"]),
        Column("since", lambda item: ago(since[str(item["key"])], now_us)),
        Column("summary", lambda item: item["summary"]),
    ]
    output.listing(items, columns, as_json=as_json, none="no checks")


@app.command()
def run(
    ctx: typer.Context,
    which: Which,
    *,
    host: Annotated[str | None, typer.Option(help="On this host alone.")] = None,
    as_json: AsJson = False,
) -> None:
    """Look now; what is seen counts like any other result. Ends with 1 when it fails."""
    from agent.cli import facts
    from agent.cli.naming import matching

    with the_agent(ctx) as agent:
        keys = matching(agent.book.policies.checks, which, "check", host=host)
        looked = asyncio.run(_look(agent, keys))
        items = facts.checks(agent, keys)
        for item in items:
            item["looked"] = item["key"] in looked
    columns = [
        Column("state", lambda item: item["state"]),
        Column("check", lambda item: item["item"]),
        Column("host", lambda item: item["host"]),
        Column("summary", lambda item: item["summary"]),
    ]
    output.listing(items, columns, as_json=as_json, none="no checks")
    if any(item["state"] != "ok" for item in items):
        raise typer.Exit(ExitCode.WRONG_IN_THE_WORLD)


async def _look(agent: "Agent", keys: list[str]) -> set[str]:
    policies = agent.book.policies
    by_host: dict[str | None, list[Any]] = {}
    for key in keys:
        check = policies.checks[key]
        by_host.setdefault(check.host, []).append(check)
    looks = [
        agent.pipeline.watch(policies.hosts.get(name) if name else None, checks) for name, checks in by_host.items()
    ]
    results = await asyncio.gather(*looks)
    await agent.recorder.flush()
    return {result.key for found in results for result in found}


@app.command()
def why(
    ctx: typer.Context,
    which: Annotated[str, typer.Argument(metavar="ID@HOST", help="A check; the host may be left out where it is one.")],
    *,
    lines: Annotated[int, typer.Option(min=1, help="So many of its last journal lines.")] = 12,
    as_json: AsJson = False,
) -> None:
    """Explain the present state: rules, counters, results, decisions, remedies. Also why there is no alert."""
    from agent.cli import evidence
    from agent.cli.naming import one

    with the_agent(ctx) as agent:
        key = one(agent.book.policies.checks, which, "check")
        probe = parts_of(ctx).catalogue().probes.get(agent.book.policies.checks[key].kind)
        chain = evidence.chain(agent, key, limit=lines, units=getattr(probe, "METRICS", None))
    if as_json:
        output.document(chain)
    else:
        evidence.tell(chain)
