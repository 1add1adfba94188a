"""reload: have the running daemon read its files again."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli import ExitCode, output, plain
from agent.cli.context import parts_of, the_store
from agent.cli.output import AsJson
from agent.cli.wording import person, plural
from agent.errors import AgentError

if TYPE_CHECKING:
    from agent.clock import Clock
    from agent.store.engine import Store

app = plain(help="Have the running daemon read its files again.")
ANSWER_SECONDS = 120.0  # a dynamic inventory may take its time
POLL_NS = 200_000_000


@app.command()
def reload(
    ctx: typer.Context,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Agree to dropping more than a fifth of the checks.")] = False,
    as_json: AsJson = False,
) -> None:
    """Have the running daemon validate all files and swap; the old set stays when something is wrong with the new."""
    from agent.store import orders, owners

    clock = parts_of(ctx).clock()
    with the_store(ctx) as store:
        if owners.running(store.path.parent, clock) is None:
            raise AgentError("no daemon runs here", hint="the files are read when it starts: watchkeeper run")
        with store.write() as tx:
            order = orders.add(tx, "reload", {"yes": yes}, person())
        outcome = asyncio.run(_answer(store, clock, order))
    _tell(outcome, as_json=as_json)


async def _answer(store: "Store", clock: "Clock", order: str) -> dict[str, Any]:
    from agent.clock import Deadline
    from agent.store import orders, owners

    deadline = Deadline.after(clock, ANSWER_SECONDS)
    while not deadline.is_over():
        with store.read() as reader:
            outcome = orders.outcome(reader, order)
        if outcome is not None:
            return outcome
        if owners.running(store.path.parent, clock) is None:
            raise AgentError("the daemon ended before it answered", hint="see its log; then: watchkeeper run")
        await clock.sleep_until(clock.boottime() + POLL_NS)
    raise AgentError("the daemon did not answer", hint="see its log, and: watchkeeper status")


def _tell(outcome: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.document(outcome)
    else:
        for problem in outcome.get("problems", []):
            output.say(problem)
        output.say(_words(outcome), style="ok" if outcome.get("applied") else "critical")
    if outcome.get("problems") or outcome.get("error"):
        raise typer.Exit(ExitCode.BAD_INPUT)
    if not outcome.get("applied"):
        raise typer.Exit(ExitCode.REFUSED)


def _words(outcome: dict[str, Any]) -> str:
    checks = plural(int(outcome.get("checks", 0)), "check")
    if outcome.get("error"):
        return str(outcome["error"])
    if outcome.get("question"):
        return f"not in force: {outcome['question']}; if that is meant: watchkeeper reload --yes"
    if not outcome.get("applied"):
        return f"not in force: the files have errors, the old set of {checks} stays"
    if outcome.get("problems"):
        return f"in force with {checks}; broken files stay at their last good version"
    return f"in force: {checks}" if outcome.get("changed") else f"nothing changed: {checks}"
