"""validate: load everything, and print every error of every file."""

import typer

from agent.cli import ExitCode, output, plain
from agent.cli.context import parts_of
from agent.cli.output import AsJson
from agent.cli.wording import plural

app = plain(help="Load everything, and print every error of every file.")


@app.command()
def validate(ctx: typer.Context, *, as_json: AsJson = False) -> None:
    """Load everything and print every error as file:line:column: message; ends with 2 when there is one."""
    loaded = parts_of(ctx).load()
    if as_json:
        output.document(
            {
                "items": [
                    {"file": one.file, "line": one.line, "column": one.column, "message": one.message}
                    for one in loaded.problems
                ]
            }
        )
    else:
        for problem in loaded.problems:
            output.say(str(problem))
    if loaded.problems:
        if not as_json:
            output.note(plural(len(loaded.problems), "error"))
        raise typer.Exit(ExitCode.BAD_INPUT)
    if loaded.policies is not None and not as_json:
        found = loaded.policies
        counts = (
            plural(len(found.services), "service"), plural(len(found.hosts), "host"), plural(len(found.checks), "check"),
            plural(len(found.remedies), "remedy"), plural(len(found.backups), "backup"),
            plural(len(found.windows), "window"),
        )  # fmt: skip
        output.say(f"sound: {', '.join(counts)}", style="ok")
