"""Tables on a terminal: words stay whole, nothing is cut off, nothing is wider than the terminal."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli.columns import GAP, cut, layout, lines

CHECKS = (
    ("state", "check", "host", "since", "summary"),
    [
        ("critical", "agent/checks/reach", "web-fra-1", "13 s ago", "192.0.2.4 port 22 does not let root in: keys/watch was refused"),
        ("suppressed", "shop/checks/certificate", "web-fra-1", "2 min ago", "suppressed by agent/checks/reach@web-fra-1"),
    ],
)  # fmt: skip
PLAN = (
    ("item", "kind", "hosts", "when", "runs in 24h", "next", "rules"),
    [("shop/checks/storefront", "http", "web1, web2 and 12 more", "10s", "120960", "2026-11-23 12:32:50", "from the agent, hard after 3, warn time above 1s")],
)  # fmt: skip


def drawn(titles: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> list[str]:
    found = layout(titles, rows, room)
    return [(" " * GAP).join(cells).rstrip() for row in (titles, *rows) for cells in lines(found, row)]


@pytest.mark.parametrize("room", [80, 100, 132])
@pytest.mark.parametrize("table", [CHECKS, PLAN], ids=["checks", "plan"])
def test_words_stay_whole_on_usual_terminals(table: tuple[Sequence[str], Sequence[Sequence[str]]], room: int) -> None:
    titles, rows = table
    told = drawn(titles, rows, room)
    assert max(map(len, told)) <= room
    words = {word for line in told for word in line.split()}
    assert {word for row in rows for cell in row for word in cell.split()} <= words


def test_what_has_room_is_drawn_as_wide_as_it_is() -> None:
    assert drawn(["state", "host"], [["ok", "web1"], ["critical", "db"]], 80) == [
        "state     host", "ok        web1", "critical  db",
    ]  # fmt: skip


def test_a_long_last_column_without_room_stands_below_its_row() -> None:
    told = drawn(
        ["check", "host", "rules"], [["shop/checks/storefront", "web-fra-1", "hard after 3, warn time above 1s"]], 44
    )
    assert told[-2:] == ["shop/checks/storefront  web-fra-1", "    hard after 3, warn time above 1s"]


@given(
    rows=st.lists(st.tuples(*[st.text("ab -", max_size=60)] * 3), min_size=1, max_size=4),
    room=st.integers(min_value=20, max_value=120),
)
def test_nothing_is_lost_and_nothing_is_wider_than_the_terminal(rows: list[tuple[str, ...]], room: int) -> None:
    told = drawn(["a", "b", "c"], rows, room)
    assert all(len(line) <= room for line in told)
    letters = sorted("".join(told).replace(" ", ""))
    assert letters == sorted("".join(["abc", *("".join(row) for row in rows)]).replace(" ", ""))


@pytest.mark.parametrize(
    ("natural", "room", "widths"),
    [
        ([8, 18, 9, 10, 60], 200, [8, 18, 9, 10, 60]),
        ([8, 18, 9, 10, 60], 80, [8, 18, 9, 10, 27]),  # states, names and hosts stay whole
        ([8, 40, 9, 10, 60], 80, [8, 25, 9, 10, 20]),  # then the longest name is cut
        ([8, 40, 9, 10, 2], 60, [8, 23, 9, 10, 2]),
    ],
)
def test_one_line_for_each_row_cuts_the_last_column_first(natural: list[int], room: int, widths: list[int]) -> None:
    assert cut(natural, room) == widths
