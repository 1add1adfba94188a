"""incident: list, show, open, ack, assign, comment, resolve, reopen."""

import asyncio
from typing import Annotated, Any

import typer

from agent.cli import output, plain
from agent.cli.context import the_agent, the_store
from agent.cli.output import AsJson, Column
from agent.cli.wording import ago, local, person, span, titled

app = plain(help="Incidents: what is wrong, who has it, what was tried, how it ended.")
Number = Annotated[str, typer.Argument(metavar="NUMBER", help="INC0000042, inc42, 42, or its id.")]


@app.command("list")
def list_(
    ctx: typer.Context,
    *,
    still_open: Annotated[bool, typer.Option("--open", help="Only those that are not resolved.")] = False,
    service: Annotated[str | None, typer.Option(help="Of this service alone.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 200,
    as_json: AsJson = False,
) -> None:
    """List incidents, the newest first."""
    from agent.runtime import documents
    from agent.runtime.verbs import remedies_of
    from agent.store import incidents

    with the_store(ctx) as store, store.read() as reader:
        states = incidents.OPEN if still_open else None
        found = incidents.listing(reader, states=states, service=service, limit=limit)
        items = [documents.incident(one, remedies_of(reader, one)) for one in found]
        opened = {one.number: one.opened_at_us for one in found}
        now_us = _now(ctx)
    columns = [
        Column("number", lambda item: item["number"]),
        Column("priority", lambda item: item["priority"]),
        Column("state", lambda item: item["state"]),
        Column("opened", lambda item: ago(opened[str(item["number"])], now_us)),
        Column("assigned to", lambda item: item["assigned_to"] or item["owner"]),
        Column("title", titled),
    ]
    output.listing(items, columns, as_json=as_json, none="no open incidents" if still_open else "no incidents")


@app.command()
def show(ctx: typer.Context, number: Number, *, as_json: AsJson = False) -> None:
    """Show an incident with its timeline and everything that was tried."""
    from agent.runtime import documents
    from agent.runtime.verbs import find, remedies_of
    from agent.store import incidents

    with the_store(ctx) as store, store.read() as reader:
        incident = find(reader, number)
        entries = incidents.timeline(reader, incident.id)
        document = documents.incident(incident, remedies_of(reader, incident))
        document["timeline"] = documents.timeline(entries)
    if as_json:
        output.document(document)
        return
    _tell(document, incident, _now(ctx))
    output.say()
    output.table(
        ["when", "who", "what", "in words"],
        [(local(entry.at_us), entry.actor, entry.verb, entry.text) for entry in entries],
    )


def _tell(document: dict[str, Any], incident: Any, now_us: int) -> None:
    output.say(f"{document['number']}  {document['priority']}  {document['title']}", style=str(document["state"]))
    ended_us = incident.resolved_at_us or now_us
    output.fields(
        [
            ("state", document["state"]),
            ("service", f"{document['service']} (impact {document['impact']}, urgency {document['urgency']})"),
            ("item", document["item"]),
            ("host", document["host"]),
            ("why", document["why"]),
            ("owner", document["owner"]),
            ("assigned to", document["assigned_to"]),
            ("opened", f"{local(incident.opened_at_us)}, {ago(incident.opened_at_us, now_us)}"),
            ("acknowledged", _acknowledged(incident)),
            ("resolved", local(incident.resolved_at_us) if incident.resolved_at_us else ""),
            ("resolution", document["resolution"]),
            ("lasted" if incident.resolved_at_us else "lasts", span((ended_us - incident.opened_at_us) / 1_000_000)),
            ("episode", document["episode"]),
            ("runbook", document["runbook"]),
            ("recurrence of", document["recurrence_of"]),
            ("more", more(document)),
        ]
    )
    for remedy in document["remedies"]:
        verified = {True: "worked", False: "did not work", None: "not verified"}[remedy["verified"]]
        output.say(f"{remedy['number']}  {remedy['item']}  attempt {remedy['attempt']}: {remedy['state']}, {verified}")


def more(document: dict[str, Any]) -> str:
    """What to type to see more of it, while it lasts."""
    cause = str(document["cause"])
    if document["state"] in {"resolved", "closed"}:
        return ""
    if "/checks/" in cause:
        return f"watchkeeper check why {cause}"
    return "watchkeeper validate" if cause.startswith("agent/policies/") else ""


def _acknowledged(incident: Any) -> str:
    if not incident.acknowledged_at_us:
        return ""
    return f"{local(incident.acknowledged_at_us)} by {incident.acknowledged_by}"


@app.command("open")
def open_(  # noqa: PLR0913  an incident is all of this
    ctx: typer.Context,
    title: Annotated[str, typer.Argument(help="What is wrong, in a line.")],
    *,
    service: Annotated[str, typer.Option(help="The service that suffers.")],
    host: Annotated[str | None, typer.Option(help="The host that it is about.")] = None,
    why: Annotated[str, typer.Option(help="What was seen.")] = "",
    warning: Annotated[bool, typer.Option("--warning", help="It is a warning; else it is critical.")] = False,
    as_json: AsJson = False,
) -> None:
    """File an incident that no check has seen."""
    from agent.model.look import Verdict

    with the_agent(ctx) as agent:
        severity = Verdict.WARNING if warning else Verdict.CRITICAL
        incident = _people(agent).open(title=title, service=service, host=host, severity=severity, why=why or title)
        _done(incident, as_json=as_json)


@app.command()
def ack(ctx: typer.Context, number: Number, *, as_json: AsJson = False) -> None:
    """Say that you are on it."""
    with the_agent(ctx) as agent:
        _done(_people(agent).acknowledge(number), as_json=as_json)


@app.command()
def assign(
    ctx: typer.Context,
    number: Number,
    to: Annotated[str, typer.Argument(metavar="WHO", help="A team of config.yaml, or a member of one.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Give it to a team or a person."""
    with the_agent(ctx) as agent:
        _done(_people(agent).assign(number, to), as_json=as_json)


@app.command()
def comment(
    ctx: typer.Context, number: Number, text: Annotated[str, typer.Argument(metavar="TEXT")], *, as_json: AsJson = False
) -> None:
    """Add a line to its timeline."""
    with the_agent(ctx) as agent:
        _done(_people(agent).comment(number, text), as_json=as_json, did="commented")


@app.command()
def resolve(
    ctx: typer.Context,
    number: Number,
    *,
    reason: Annotated[str, typer.Option(help="How it was resolved; needed when no check can tell.")] = "",
    override: Annotated[bool, typer.Option("--override", help="Although its check still fails.")] = False,
    as_json: AsJson = False,
) -> None:
    """Resolve it, once the check behind it says so: it looks again now."""
    with the_agent(ctx) as agent:
        incident = asyncio.run(_people(agent).resolve(number, reason=reason, override=override))
        _done(incident, as_json=as_json)


@app.command()
def reopen(
    ctx: typer.Context,
    number: Number,
    *,
    reason: Annotated[str, typer.Option(help="Why it is not over.")],
    as_json: AsJson = False,
) -> None:
    """Open a resolved one again: same number, next episode."""
    with the_agent(ctx) as agent:
        _done(_people(agent).reopen(number, reason), as_json=as_json)


def _people(agent: Any) -> Any:
    from agent.runtime.verbs import People

    return People(agent, person())


def _now(ctx: typer.Context) -> int:
    from agent.cli.context import parts_of

    return parts_of(ctx).clock().now()


def _done(incident: Any, *, as_json: bool, did: str = "") -> None:
    from agent.runtime import documents

    if as_json:
        output.document(documents.incident(incident))
    else:
        output.say(
            f"{incident.number} is {incident.state.value}: {incident.title}" if not did else f"{incident.number} {did}"
        )
