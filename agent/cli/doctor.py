"""doctor: what is missing here, and how to mend it."""

import sys

import typer

from agent.cli import ExitCode, output, plain
from agent.cli.context import parts_of
from agent.cli.output import AsJson
from agent.cli.wording import plural

app = plain(help="What is missing here, and how to mend it.")


@app.command()
def doctor(ctx: typer.Context, *, as_json: AsJson = False) -> None:
    """Examine tools, configuration, secrets, store, clock and hosts; say what is wrong and how to mend it."""
    from agent.cli import examination

    found = []
    for finding in examination.everything(parts_of(ctx), _progress):
        found.append(finding)
        if not as_json:
            mend = f"; to mend it: {finding.mend}" if finding.mend else ""
            _clear()
            output.say(f"{finding.state:<5} {finding.subject:<10} {finding.says}{mend}", style=finding.state)
    _clear()
    failed = sum(finding.state == "fail" for finding in found)
    if as_json:
        output.document({"items": [finding._asdict() for finding in found]})
    elif failed:
        output.say(f"{plural(failed, 'thing')} to mend", style="fail")
    if failed:
        raise typer.Exit(ExitCode.WRONG_IN_THE_WORLD)


def _progress(done: int, of: int) -> None:
    """How far it is, on a terminal, in one line that what is found is written over."""
    if sys.stderr.isatty() and done < of:
        typer.echo(f"\r{done} of {plural(of, 'host')} asked", err=True, nl=False)


def _clear() -> None:
    if sys.stderr.isatty():
        typer.echo("\r\x1b[K", err=True, nl=False)
