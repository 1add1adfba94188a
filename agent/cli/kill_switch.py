"""kill-switch: on, off, show."""

from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli import output, plain
from agent.cli.context import parts_of, the_store
from agent.cli.output import AsJson
from agent.cli.wording import ago, person
from agent.clock import rfc3339

if TYPE_CHECKING:
    from agent.store.engine import Store
    from agent.store.switches import Switch

app = plain(help="The kill switch: while it is on, nothing in the world is changed. Checks go on.")


@app.command("on")
def on_(ctx: typer.Context, *, reason: Annotated[str, typer.Option(help="Why; it is written down.")]) -> None:
    """Stop every change, automatic or by hand; what runs already is left to end."""
    with the_store(ctx) as store:
        switch = _turn(store, on=True, why=reason)
    output.say(f"the kill switch is on: {switch.why}", style="critical")


@app.command()
def off(ctx: typer.Context, *, reason: Annotated[str, typer.Option(help="Why; it is written down.")] = "") -> None:
    """Allow changes again."""
    with the_store(ctx) as store:
        _turn(store, on=False, why=reason or "turned off by hand")
        file = _file(store)
    if file:
        output.say(f"the switch is off, but the file {file} holds everything back: remove it", style="warning")
    else:
        output.say("the kill switch is off", style="ok")


@app.command()
def show(ctx: typer.Context, *, as_json: AsJson = False) -> None:
    """Say whether it is on, by whom and why."""
    from agent.runtime.gates import KILL_SWITCH
    from agent.store import switches

    with the_store(ctx) as store, store.read() as reader:
        switch, file = switches.get(reader, KILL_SWITCH), _file(store)
    now_us = parts_of(ctx).clock().now()
    if as_json:
        output.document(
            {
                "state": "on" if switch.is_on or file else "off",
                "by": switch.by or None,
                "why": switch.why or None,
                "at": rfc3339(switch.at_us or None),
                "file": file or None,
            }
        )
        return
    if file:
        output.say(f"on: the file {file} exists", style="critical")
    if switch.is_on:
        output.say(f"on, by {switch.by}, {ago(switch.at_us, now_us)}: {switch.why}", style="critical")
    elif not file:
        output.say("off" + (f", by {switch.by}, {ago(switch.at_us, now_us)}" if switch.at_us else ""))


def _turn(store: "Store", *, on: bool, why: str) -> "Switch":
    from agent.model.journal import Entry
    from agent.runtime.gates import KILL_SWITCH
    from agent.store import journal, switches

    who = person()
    with store.write() as tx:
        switch = switches.turn(tx, KILL_SWITCH, on=on, by=who, why=why)
        journal.append(
            tx,
            Entry(
                actor=who,
                kind=f"kill-switch-{'on' if on else 'off'}",
                object_type="switch",
                object_id=KILL_SWITCH,
                why=why,
            ),
        )
    return switch


def _file(store: "Store") -> str:
    from agent.runtime.gates import KILL_SWITCH

    path = store.path.parent / KILL_SWITCH
    return str(path) if path.exists() else ""
