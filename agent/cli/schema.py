"""schema: the JSON Schema of the policy language, for editors."""

import typer

from agent.cli import output, plain
from agent.cli.context import parts_of

app = plain(help="Print the JSON Schema of config.yaml and of policy files, for editors.")


@app.command()
def schema(ctx: typer.Context) -> None:
    """Print the JSON Schema of config.yaml and of policy files, for editors."""
    from agent.policy import document

    output.document(document.schema(parts_of(ctx).catalogue()))
