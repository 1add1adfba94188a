"""What commands print: a table on a terminal, plain columns elsewhere, one JSON document with `--json`."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple

import typer

from agent.cli.columns import GAP, layout, lines
from agent.cli.wording import harmless
from agent.errors import WatchkeeperError

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Document = Mapping[str, Any]

STYLES: Mapping[str, str] = MappingProxyType(
    {
        "ok": "green", "good": "green", "succeeded": "green", "resolved": "green", "closed": "dim",
        "warning": "yellow", "warn": "yellow", "partial": "yellow", "acknowledged": "yellow", "stale": "yellow",
        "critical": "bold red", "failed": "bold red", "unproven": "bold red", "fail": "bold red", "open": "bold red", "uncertain": "bold red",
        "unknown": "magenta", "pending": "dim", "suppressed": "dim", "silenced": "dim", "on": "bold red",
        "P1": "bold red", "P2": "red", "P3": "yellow",
    }
)  # fmt: skip


class Column(NamedTuple):
    """A column of a listing: its head, and what stands in it for a document."""

    title: str
    cell: Callable[[Document], object]


def listing(items: Sequence[Document], columns: Sequence[Column], *, as_json: bool, none: str) -> None:
    """Print documents: all their fields as JSON, or these columns for people; `none` is said when there are none."""
    if as_json:
        document({"items": list(items)})
    elif not items:
        typer.echo(none)
    else:
        table([column.title for column in columns], [[column.cell(item) for column in columns] for item in items])


def document(content: object) -> None:
    """Print one JSON document on stdout."""
    text = json.dumps(content, indent=2, ensure_ascii=True, default=str, allow_nan=False)
    typer.echo(text)


def table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; its cells are data, never markup."""
    cells = [[harmless("-" if cell in (None, "") else cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _drawn(titles, cells)
        return
    widths = [max(len(line[index]) for line in (titles, *cells)) for index in range(len(titles))]
    for line in (list(titles), *cells):
        columns = [text.ljust(width) for text, width in zip(line, widths, strict=True)]
        typer.echo("  ".join(columns).rstrip())


def _drawn(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    found = layout(titles, rows, console.width)
    for head in lines(found, [*titles[:-1], ""] if found.is_stacked else titles):
        if any(cell.strip() for cell in head):
            console.print(Text((" " * GAP).join(head).rstrip(), style="bold"), soft_wrap=True)
    for row in rows:
        for cells in lines(found, row):
            line = Text(" " * GAP).join(Text(cell, style=STYLES.get(cell.strip(), "")) for cell in cells)
            line.rstrip()
            console.print(line, soft_wrap=True)


def styled(word: str) -> Any:
    """A cell for rich: plain text, coloured when it is one of the words for a state."""
    from rich.text import Text

    return Text(word, style=STYLES.get(word, ""))


def say(text: str = "", *, style: str = "") -> None:
    """Print a line for people; the text may come from a host."""
    line = harmless(text, keep_lines=True)
    if style and sys.stdout.isatty():
        from rich.console import Console

        Console().print(line, style=STYLES.get(style, style), markup=False, highlight=False, soft_wrap=True)
        return
    typer.echo(line)


def note(text: str) -> None:
    """Print a line on stderr, for people who watch."""
    typer.echo(harmless(text, keep_lines=True), err=True)


def explain(error: WatchkeeperError) -> None:
    """Say on stderr what is wrong, and what to type next."""
    note(f"error: {error}")
    if error.hint:
        note(f"hint: {error.hint}")


def fields(pairs: Sequence[tuple[str, object]]) -> None:
    """Print names with their values, one a line; those without a value are left out."""
    shown = [(name, harmless(value)) for name, value in pairs if value not in (None, "", [], ())]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        typer.echo(f"{name.ljust(width)}  {value}")
