"""The live view of a running daemon: the present as a picture on a terminal, and what happens as lines above it."""

import sys
import threading
from typing import TYPE_CHECKING, Any, Self

from agent.cli.events import Teller, Told
from agent.cli.output import STYLES, say, styled
from agent.cli.wording import ago, harmless, span, titled
from agent.clock import NANOSECONDS
from agent.errors import StoreError

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.table import Table

    from agent.runtime.agent import Agent

EVERY_SECONDS = 0.5
SHARE = 20.0  # a picture of many checks is drawn less often: it gets a twentieth of a core at most
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
            self._live = _live()
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
            height = self._live.console.size.height
            self._live.update(picture(self._agent, self._began_us, height=height), refresh=True)
        except StoreError:
            return  # the daemon meets the same trouble, and tells it in the log

    def _news(self) -> list[Told]:
        from agent.store import journal

        with self._agent.store.read() as reader:
            lines = journal.lines(reader, after=self._seq)
        if lines:
            self._seq = lines[-1].seq
        return [told for told in map(self._teller.tell, lines) if told is not None]


def _live() -> "Live":
    from rich.console import Console
    from rich.live import Live

    return Live(console=Console(), auto_refresh=False, vertical_overflow="crop", redirect_stdout=False)


def picture(agent: "Agent", began_us: int, *, height: int = 40) -> "RenderableType":
    """The present: checks, incidents, backups and what runs, in at most so many lines."""
    from rich.console import Group
    from rich.rule import Rule
    from rich.text import Text

    from agent.cli.status import glance

    found, now_us = glance(agent), agent.clock.now()
    ok = sum(one["state"] == "ok" for one in found["checks"])
    title = f"{found['agent']} · {ok} of {len(found['checks'])} checks ok · up {span((now_us - began_us) / 1_000_000)}"
    below = [*_incidents(found, now_us), *_running(found)]
    room = max(LEAST_ROWS, height - len(below) - len(found["backups"]) - 6)
    parts: list[RenderableType] = [
        Rule(Text(harmless(title), style="bold")),
        _checks(agent, found["checks"], room, now_us),
    ]
    if found["kill_switch"]:
        parts.append(Text(harmless(f"the kill switch is on: {found['kill_switch']['why']}"), style="bold red"))
    if found["backups"]:
        parts.append(_backups(found["backups"], agent))
    return Group(*parts, *below)


def _checks(agent: "Agent", items: list[dict[str, Any]], room: int, now_us: int) -> "RenderableType":
    from agent.cli import facts

    table = _grid("state", "check", "host", "since", "summary")
    for item in items[:room]:
        since = ago(facts.since_us(agent.book.state(item["key"])), now_us)
        table.add_row(
            styled(item["state"]), *map(_text, (item["item"], item["host"] or "-", since, item["summary"] or "-"))
        )
    if len(items) > room:
        table.add_row("", _text(f"and {len(items) - room} more"))
    return table


def _backups(items: list[dict[str, Any]], agent: "Agent") -> "RenderableType":
    from agent.cli.wording import size

    table = _grid("verdict", "backup", "host", "last good", "proven", "size")
    now_us = agent.clock.now()
    for item in items:
        _, point, more = agent.freshness.standing(agent.book.policies.backups[item["key"]])
        times = (ago(more["last_good_at_us"], now_us), ago(more["proven_at_us"], now_us))
        table.add_row(
            styled(item["verdict"]),
            *map(_text, (item["item"], item["host"], *times, size(point.size_bytes if point else None))),
        )
    return table


def _incidents(found: dict[str, Any], now_us: int) -> list[Any]:
    from rich.text import Text

    return [
        Text(harmless(f"{one['number']} {one['priority']} {one['state']}, {ago(one['opened_at_us'], now_us)}: {titled(one)}"),
             style=STYLES.get(one["state"], ""), no_wrap=True, overflow="ellipsis")
        for one in found["incidents"][:5]
    ]  # fmt: skip


def _running(found: dict[str, Any]) -> list[Any]:
    from rich.text import Text

    return [
        Text(harmless(f"{one['number']} {one['kind']} {one['item']} runs on {', '.join(one['hosts'])}"), style="cyan")
        for one in found["running"][:5]
    ]


def _grid(*titles: str) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for title in titles:
        table.add_column(title, no_wrap=True, overflow="ellipsis")
    return table


def _text(cell: str) -> Any:
    from rich.text import Text

    return Text(harmless(cell))
