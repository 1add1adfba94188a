"""window: list the windows, of silence and for changes."""

from typing import Any

import typer

from agent.cli import output, plain
from agent.cli.context import the_agent
from agent.cli.output import AsJson, Column
from agent.cli.wording import local

app = plain(help="Windows: spans of time in which something is silenced, or may be changed.")


@app.callback()
def _() -> None:
    """Windows: spans of time in which something is silenced, or may be changed."""


@app.command("list")
def list_(ctx: typer.Context, *, as_json: AsJson = False) -> None:
    """List windows, whether they are open, and when they open next."""
    with the_agent(ctx) as agent:
        now_us = agent.clock.now()
        items = [_window(window, now_us) for window in agent.book.policies.windows]
    columns = [
        Column("state", lambda item: item["state"]),
        Column("window", lambda item: item["item"]),
        Column("kind", lambda item: item["kind"]),
        Column("hosts", lambda item: ", ".join(item["hosts"]) or "all"),
        Column("opens", lambda item: item["opens"]),
        Column("title", lambda item: item["title"]),
    ]
    if as_json:
        for item in items:
            del item["opens"]
    output.listing(items, columns, as_json=as_json, none="no windows")


def _window(window: Any, now_us: int) -> dict[str, Any]:
    from agent.clock import rfc3339
    from agent.practices import calendar

    is_open = calendar.is_open(window, now_us)
    if window.start_us is None:
        opens_us = calendar.next_due(window.every, now_us)
    else:
        opens_us = window.start_us if window.start_us > now_us else None
    return {
        "id": window.item,
        "number": None,
        "item": window.item,
        "service": window.service or None,
        "host": None,
        "hosts": list(window.hosts),
        "kind": window.kind.value,
        "state": "open" if is_open else "shut",
        "title": window.title,
        "opens_at": rfc3339(opens_us),
        "ends_at": rfc3339(window.end_us),
        "duration_s": window.duration_seconds or None,
        "opens": local(opens_us),
    }
