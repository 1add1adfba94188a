"""config: the history of network devices' configurations, and what changed in them."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli import output, plain
from agent.cli.context import parts_of
from agent.cli.output import AsJson, Column
from agent.cli.wording import local
from agent.errors import InputError

if TYPE_CHECKING:
    from agent.backups.configs.history import Commit, History

app = plain(help="Configurations of network devices: their history, and what changed.")
HostName = Annotated[str, typer.Argument(metavar="HOST", help="A device, by its name in the inventory.")]
COLOURS = (("+++", "bold"), ("---", "bold"), ("@@", "cyan"), ("+", "green"), ("-", "red"))


@app.command()
def history(
    ctx: typer.Context,
    host: HostName,
    *,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="The newest N alone.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the changes of a device's configuration, the newest first: when, by which run, and why it was read."""
    found = _history(ctx)
    items = [_document(host, one) for one in _commits(found, host, limit)]
    columns = [
        Column("commit", lambda item: item["id"][:12]),
        Column("seen", lambda item: local(item["at_us"])),
        Column("+", lambda item: item["added"]),
        Column("-", lambda item: item["removed"]),
        Column("why", lambda item: item["why"]),
    ]
    if as_json:
        for item in items:
            del item["at_us"]
    output.listing(items, columns, as_json=as_json, none="no changes")


@app.command()
def diff(
    ctx: typer.Context,
    host: HostName,
    old: Annotated[str | None, typer.Argument(metavar="[A]", help="A commit; else the one before B.")] = None,
    new: Annotated[str | None, typer.Argument(metavar="[B]", help="A commit; else the newest.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show what changed in a device's configuration from A to B, by the last change without them."""
    found = _history(ctx)
    known = [one.id for one in _commits(found, host, None)]
    until = found.resolve(host, new) if new else known[0]
    since = found.resolve(host, old) if old else _before(known, until, host)
    patch = found.difference(since, until, host)
    if as_json:
        output.document({"items": [{"host": host, "from": since, "to": until, "patch": patch}]})
    elif not patch:
        output.say("no difference")
    else:
        for line in patch.splitlines():
            output.say(line, style=next((style for sign, style in COLOURS if line.startswith(sign)), ""))


def _before(known: list[str], until: str, host: str) -> str:
    later = known.index(until) + 1
    if later == len(known):
        raise InputError(
            f"{until[:12]} is the first configuration of {host}: there is none before it",
            hint=f"watchkeeper config history {host}",
        )
    return known[later]


def _history(ctx: typer.Context) -> "History":
    from agent.backups.configs.history import History

    parts = parts_of(ctx)
    return History(parts.state(), parts.clock())


def _commits(found: "History", host: str, limit: int | None) -> "list[Commit]":
    commits = found.commits(host, limit)
    if not commits:
        hosts = found.hosts()
        where = f"there are those of {', '.join(hosts[:10])}" if hosts else "see: watchkeeper backup list"
        raise InputError(f"no configuration of {host} was kept", hint=where)
    return commits


def _document(host: str, one: "Commit") -> dict[str, Any]:
    from agent.clock import rfc3339

    return {
        "id": one.id,
        "number": None,
        "state": "kept",
        "host": host,
        "service": None,
        "item": one.item or None,
        "at": rfc3339(one.at_us),
        "at_us": one.at_us,
        "added": one.added,
        "removed": one.removed,
        "why": one.reason,
        "exec_id": one.exec_id or None,
    }
