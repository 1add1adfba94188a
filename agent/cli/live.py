"""The live view of a running daemon: the present as a picture on a terminal, and what happens as lines above it."""

import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from agent.cli.columns import GAP, cut
from agent.cli.events import Teller, Told
from agent.cli.output import STYLES, say, styled
from agent.cli.wording import ago, harmless, plural, span, titled
from agent.clock import NANOSECONDS
from agent.errors import StoreError

if TYPE_CHECKING:
    from rich.console import ConsoleDimensions, RenderableType
    from rich.live import Live
    from rich.table import Table

    from agent.runtime.agent import Agent

EVERY_SECONDS = 0.5
SHARE = 20.0  # a picture of many checks is drawn less often: it gets a twentieth of a core at most
INCIDENTS = 5  # the newest; more are counted
LEAST_ROWS = 5  # of checks, on however small a terminal


class View:
    """Draws in a thread of its own, from the store and the book; use it as a context."""

    def __init__(self, agent: "Agent") -> None:
        self._agent = agent
        self._teller = Teller()
        self._began_us = agent.clock.now()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._draw_on, name="live", daemon=True)
        self._live: Live | None = None
        self._seq = 0

    def __enter__(self) -> Self:
        from agent.store import journal

        with self._agent.store.read() as reader:
            self._seq = journal.head(reader).seq
        if sys.stdout.isatty():
            self._live = opened()
            self._live.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._draw()
        if self._live is not None:
            self._live.stop()

    def _draw_on(self) -> None:
        pause = EVERY_SECONDS
        while not self._stop.wait(pause):
            begun_ns = self._agent.clock.boottime()
            self._draw()
            took = (self._agent.clock.boottime() - begun_ns) / NANOSECONDS
            pause = max(EVERY_SECONDS, took * SHARE)

    def _draw(self) -> None:
        try:
            told = self._news()
            if self._live is None:
                for one in told:
                    say(one.text)
                sys.stdout.flush()
                return
            for one in told:
                self._live.console.print(
                    harmless(one.text), style=STYLES.get(one.style, ""), markup=False, highlight=False
                )
            up = f"up {span((self._agent.clock.now() - self._began_us) / 1_000_000)}"
            self._live.update(picture(self._agent, self._live.console.size, up), refresh=True)
        except StoreError:
            return  # the daemon meets the same trouble, and tells it in the log

    def _news(self) -> list[Told]:
        from agent.store import journal

        with self._agent.store.read() as reader:
            lines = journal.lines(reader, after=self._seq)
        if lines:
            self._seq = lines[-1].seq
        return [told for told in map(self._teller.tell, lines) if told is not None]


def opened() -> "Live":
    """A picture on the terminal, not drawn yet; use it as a context."""
    from rich.console import Console
    from rich.live import Live

    return Live(console=Console(), auto_refresh=False, vertical_overflow="crop", redirect_stdout=False)


def picture(agent: "Agent", size: "ConsoleDimensions", runs: str | None = None) -> "RenderableType":
    """The present: checks, incidents, backups and what runs, as large as a terminal; `runs` says how the daemon is."""
    from rich.console import ConsoleDimensions, Group
    from rich.rule import Rule
    from rich.text import Text

    from agent.cli.status import glance

    found, now_us = glance(agent), agent.clock.now()
    ok = sum(one["state"] == "ok" for one in found["checks"])
    title = f"{found['agent']} · {ok} of {len(found['checks'])} checks ok · {runs or _up(found, now_us)}"
    below = [*_incidents(found, now_us), *_running(found)]
    room = max(LEAST_ROWS, size.height - len(below) - len(found["backups"]) - 6)
    parts: list[RenderableType] = [
        Rule(Text(harmless(title), style="bold")),
        _checks(agent, found["checks"], ConsoleDimensions(size.width, room), now_us),
    ]
    if found["kill_switch"]:
        parts.append(Text(harmless(f"the kill switch is on: {found['kill_switch']['why']}"), style="bold red"))
    if found["backups"]:
        parts.append(_backups(found["backups"], agent, size.width))
    return Group(*parts, *below)


def _up(found: dict[str, Any], now_us: int) -> str:
    daemon = found["daemon"]
    return f"up {span((now_us - daemon['since_us']) / 1_000_000)}" if daemon else "the daemon is not running"


def _checks(agent: "Agent", items: list[dict[str, Any]], size: "ConsoleDimensions", now_us: int) -> "RenderableType":
    from agent.cli import facts

    rows = [
        (item["state"], item["item"], item["host"] or "-", ago(facts.since_us(agent.book.state(item["key"])), now_us),
         item["summary"] or "-")
        for item in items[: size.height]
    ]  # fmt: skip
    table = _grid(("state", "check", "host", "since", "summary"), rows, size.width)
    if len(items) > size.height:
        table.add_row("", _text(f"and {len(items) - size.height} more"))
    return table


def _backups(items: list[dict[str, Any]], agent: "Agent", width: int) -> "RenderableType":
    from agent.cli.wording import size

    now_us = agent.clock.now()
    rows = []
    for item in items:
        _, point, more = agent.freshness.standing(agent.book.policies.backups[item["key"]])
        times = (ago(more["last_good_at_us"], now_us), ago(more["proven_at_us"], now_us))
        rows.append((item["verdict"], item["item"], item["host"], *times, size(point.size_bytes if point else None)))
    return _grid(("verdict", "backup", "host", "last good", "proven", "size"), rows, width)


def _incidents(found: dict[str, Any], now_us: int) -> list[Any]:
    from rich.text import Text

    told = [
        Text(harmless(f"{one['number']} {one['priority']} {one['state']}, {ago(one['opened_at_us'], now_us)}: {titled(one)}"),
             style=STYLES.get(one["state"], ""), no_wrap=True, overflow="ellipsis")
        for one in found["incidents"][:INCIDENTS]
    ]  # fmt: skip
    more = len(found["incidents"]) - len(told)
    return (
        [*told, Text(f"and {plural(more, 'open incident')} more: watchkeeper incident list --open")] if more else told
    )


def _running(found: dict[str, Any]) -> list[Any]:
    from rich.text import Text

    return [
        Text(harmless(f"{one['number']} {one['kind']} {one['item']} runs on {', '.join(one['hosts'])}"), style="cyan")
        for one in found["running"][:5]
    ]


def _grid(titles: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> "Table":
    """One line for each row. Where there is no room for all, the last column is cut, then the longest."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, GAP, 0, 0))
    for title, width in zip(
        titles, cut([max(map(len, cells)) for cells in zip(titles, *rows, strict=True)], room), strict=True
    ):
        table.add_column(title, width=width, no_wrap=True, overflow="ellipsis")
    for state, *cells in rows:
        table.add_row(styled(state), *map(_text, cells))
    return table


def _text(cell: str) -> Any:
    from rich.text import Text

    return Text(harmless(cell))
