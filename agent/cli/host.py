"""host: the inventory as the agent sees it, and the keys it trusts."""

import dataclasses
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli import ExitCode, output, plain
from agent.cli.context import parts_of, the_agent
from agent.cli.output import AsJson, Column
from agent.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from agent.model.host import Host

app = plain(help="Hosts: what the inventory says of them, and which keys are pinned.")
SCAN_SECONDS = 20.0
SSH_PORT = 22


@app.command("list")
def list_(ctx: typer.Context, *, as_json: AsJson = False) -> None:
    """List the hosts of the policies in force, how they are reached, and whether their key is pinned."""
    from agent.cli import facts
    from agent.model.check import reach_key

    with the_agent(ctx) as agent:
        policies = agent.book.policies
        keys = [key for key in map(reach_key, policies.hosts) if key in policies.checks]
        reach = {str(item["host"]): item for item in facts.checks(agent, keys)}
        known_hosts = policies.config.state / "known_hosts"
        items = [_host(host, known_hosts, reach.get(name)) for name, host in sorted(policies.hosts.items())]
    columns = [
        Column("host", lambda item: item["host"]),
        Column("state", lambda item: item["state"]),
        Column("reached by", lambda item: item["connection"] if item["state"] else "nothing logs in"),
        Column("address", _address),
        Column("groups", lambda item: ", ".join(item["groups"])),
        Column("key", lambda item: ", ".join(item["fingerprints"])),
    ]
    output.listing(items, columns, as_json=as_json, none="no hosts")


def _address(item: output.Document) -> str:
    port = f" port {item['port']}" if item["port"] not in (None, SSH_PORT) else ""
    return " < ".join([f"{item['address']}{port}", *reversed(item["via"])])


def _host(host: "Host", known_hosts: "Path", reach: dict[str, Any] | None) -> dict[str, Any]:
    from agent.model.host import Connection
    from agent.transports import known_hosts as keys

    is_local = host.connection is Connection.LOCAL
    return {
        "id": host.name,
        "number": None,
        "host": host.name,
        "service": None,
        "item": None,
        "state": "ok" if is_local else (reach["state"] if reach else None),
        "connection": host.connection.value,
        "address": host.address,
        "port": None if is_local else host.port,
        "user": host.user,
        "via": [hop.name for hop in host.jumps],
        "groups": list(host.groups),
        "fingerprints": [] if is_local else [key.fingerprint for key in keys.pinned(known_hosts, host)],
    }


@app.command()
def trust(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="HOST")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Pin it without asking.")] = False,
) -> None:
    """Show the key that a host presents, and pin it once you agree. Compare it over another channel first."""
    from agent.model.host import Connection

    parts = parts_of(ctx)
    policies = parts.load().policies
    if policies is None:
        raise InputError("the configuration has errors", hint="see: watchkeeper validate")
    host = policies.hosts.get(name)
    if host is None:
        raise InputError(f"no policy concerns a host {name!r}", hint="see: watchkeeper host list")
    if host.connection is Connection.LOCAL:
        output.say(f"{name} is this machine: there is no key to trust")
        return
    path = policies.config.state / "known_hosts"
    for position, hop in enumerate(host.jumps):  # each is logged in to, to reach the next: so its key comes first
        _enrol(ctx, path, dataclasses.replace(hop, jumps=host.jumps[:position]), f"jump host {hop.name}", yes=yes)
    _enrol(ctx, path, host, name, yes=yes)


def _enrol(ctx: typer.Context, path: "Path", host: "Host", called: str, *, yes: bool) -> None:
    """Show the key of one host, or of one on the way to it, and pin it if that is wanted."""
    from agent.clock import Deadline
    from agent.transports import known_hosts as keys

    key = keys.scan_key(path, host, Deadline.after(parts_of(ctx).clock(), SCAN_SECONDS))
    before = keys.pinned(path, host)
    if key in before:
        output.say(f"{called} shows {key}, which is pinned already")
        return
    for old in before:
        output.say(f"pinned until now: {old}", style="warning")
    output.say(f"{called} ({host.address}, port {host.port}) shows: {key}")
    if not yes and not _agreed():
        output.say("nothing was pinned")
        raise typer.Exit(ExitCode.REFUSED)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys.pin(path, host, key)
    _note(ctx, host.name, str(key), [str(old) for old in before])
    output.say(f"pinned for {called}", style="ok")


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise InputError("nobody is here to agree", hint="compare the key, then add --yes")
    return typer.confirm("Is this the host's key?", default=False)


def _note(ctx: typer.Context, host: str, key: str, before: list[str]) -> None:
    """A pinned key is written down, once there is a journal to write in."""
    from agent.cli.wording import person
    from agent.errors import StoreError
    from agent.model.journal import Entry
    from agent.store import journal

    try:
        store = parts_of(ctx).store()
    except StoreError:
        return  # the agent never ran: hosts are trusted before its first start
    try:
        with store.write() as tx:
            body = {"key": key, "before": before}
            entry = Entry(
                actor=person(),
                kind="host-trusted",
                object_type="host",
                object_id=host,
                why="its key was pinned",
                body=body,
            )
            journal.append(tx, entry)
    finally:
        store.close()
