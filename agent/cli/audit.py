"""audit: verify the journal's chain of hashes, offline."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli import ExitCode, output, plain
from agent.cli.context import parts_of
from agent.cli.output import AsJson
from agent.cli.wording import plural
from agent.errors import InputError

if TYPE_CHECKING:
    from agent.store.chain import Head

app = plain(help="Audit: proof that the record was not changed.")


@app.callback()
def _() -> None:
    """Audit: proof that the record was not changed."""


@app.command()
def verify(
    ctx: typer.Context,
    *,
    database: Annotated[
        Path | None, typer.Option(help="A database, or a state folder; else the configured one.")
    ] = None,
    expect: Annotated[str, typer.Option(metavar="SEQ:HASH", help="A head that you noted earlier, elsewhere.")] = "",
    as_json: AsJson = False,
) -> None:
    """Read the whole journal and name the first bad row. Needs no running agent, and ends with 1 when it is broken."""
    from agent.store import chain

    found = chain.verify(database or parts_of(ctx).state(), expected=_head(expect))
    if as_json:
        output.document(found._asdict())
    elif found.ok:
        output.say(
            f"the journal is whole: {plural(found.rows, 'line')}, head {found.rows}:{found.head_hash}", style="ok"
        )
        if not expect:
            output.say("note that head elsewhere: only with --expect can a cut-off end be seen")
    else:
        where = f"line {found.first_bad_seq}: " if found.first_bad_seq is not None else ""
        output.say(f"the journal is broken: {where}{found.why}", style="critical")
        output.say(f"{plural(found.rows, 'line')} before it are as they were written")
    if not found.ok:
        raise typer.Exit(ExitCode.WRONG_IN_THE_WORLD)


def _head(text: str) -> "Head | None":
    from agent.store.chain import Head

    if not text:
        return None
    seq, _, digest = text.partition(":")
    if not seq.isascii() or not seq.isdigit() or len(digest) != 64:
        raise InputError(f"{text!r} is not a head", hint="write it as audit verify printed it: SEQ:HASH")
    return Head(int(seq), digest)
