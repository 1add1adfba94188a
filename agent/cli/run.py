"""run: the daemon in the foreground, or everything once."""

import asyncio
import dataclasses
import logging
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli import ExitCode, output, plain
from agent.cli.context import Parts, parts_of
from agent.cli.options import seconds
from agent.cli.output import AsJson
from agent.cli.wording import plural, span
from agent.errors import AgentError, InputError

if TYPE_CHECKING:
    from agent.runtime.agent import Agent
    from agent.runtime.summary import Summary

app = plain(help="Run the daemon in the foreground, or everything once.")
logger = logging.getLogger(__name__)
AGAIN = "it goes on by itself, and is recorded by: watchkeeper run --once"


@app.command()
def run(
    ctx: typer.Context,
    *,
    once: Annotated[
        bool, typer.Option("--once", help="Every check, due backup and remedy once; 1 if incidents are open.")
    ] = False,
    for_: Annotated[str | None, typer.Option("--for", metavar="DURATION", help="End by itself after so long.")] = None,
    live: Annotated[bool, typer.Option("--live", help="Show what happens.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run the daemon until it is told to stop, then say what was done. SIGHUP reads the files again."""
    from agent import log

    if once and for_:
        raise InputError("--once ends by itself", hint="leave --for out")
    if live and as_json:
        raise InputError("--live is for people, --json for programs", hint="leave one of them out")
    for_seconds = seconds(for_, "--for") if for_ else None
    parts = parts_of(ctx)
    if not live:
        log.set_up("WARNING" if once else "INFO")
    summary = _run(parts, for_seconds=for_seconds, once=once, live=live)
    if as_json:
        output.document(dataclasses.asdict(summary))
    else:
        _tell(summary)
    if summary.left:
        raise AgentError(f"not all has come to its end: {', '.join(summary.left)}", hint=AGAIN)
    if once and summary.still_open:
        raise typer.Exit(ExitCode.WRONG_IN_THE_WORLD)


def _run(parts: Parts, *, for_seconds: float | None, once: bool, live: bool) -> "Summary":
    from agent import log
    from agent.runtime import daemon
    from agent.runtime.heartbeat import Heartbeat, notify_socket

    agent = parts.agent(migrate=True)
    try:
        setting = daemon.Setting(
            for_seconds=for_seconds,
            once=once,
            heartbeat=Heartbeat(agent.clock, notify_socket()),
            on_started=lambda: logger.info("running: %s", plural(len(agent.book.policies.checks), "check")),
        )
        with _view(agent) if live else nullcontext():
            if live:
                log.set_up(
                    "WARNING", as_json=False
                )  # now that the view has taken stderr: its lines go above the picture
            return asyncio.run(daemon.run(agent, setting))
    finally:
        agent.close()


def _view(agent: "Agent") -> AbstractContextManager[object]:
    from agent.cli.live import View

    return View(agent)


def _tell(summary: "Summary") -> None:
    output.say()
    output.say(f"ran for {span(summary.seconds)}")
    failing = f"{summary.failing} failing" if summary.failing else "none failing"
    output.fields(
        [
            ("checks", f"{summary.checks}, {failing}"),
            ("incidents", f"{summary.opened} opened, {summary.resolved} resolved, {summary.still_open} open now"),
            ("remedies", f"{summary.remedies} run, {summary.remedies_worked} worked"),
            (
                "backups",
                f"{summary.backups} made; drills: {summary.drills_passed} passed, {summary.drills_failed} failed",
            ),
            ("journal", f"{plural(summary.journal_lines, 'line')}, head {summary.journal_lines}:{summary.head}"),
        ]
    )
