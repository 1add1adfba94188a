"""A table on a terminal: whole words, nothing cut off, and no more width than there is."""

import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

GAP = 2  # between two columns
READABLE = 20  # a last column of long text that gets less than this, or than its longest word, stands below its row
_INDENT = 4


class Layout(NamedTuple):
    """The width of every column, in characters; with `is_stacked` the last one has a line of its own below each row."""

    widths: tuple[int, ...]
    is_stacked: bool = False


def layout(titles: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> Layout:
    """Columns as wide as their longest cell; where that is too much, the widest ones wrap, between words if they can."""
    lines = (titles, *rows)
    natural = [max(len(line[place]) for line in lines) for place in range(len(titles))]
    least = [max(_longest_word(line[place]) for line in lines) for place in range(len(titles))]
    widths = _fitted(natural, least, room)
    if len(titles) > 1 and widths[-1] < min(max(READABLE, least[-1]), natural[-1]):
        return Layout((*_fitted(natural[:-1], least[:-1], room), room), is_stacked=True)
    return Layout(tuple(widths))


def lines(found: Layout, row: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """One row as lines of cells, each as wide as its column; what stands below the row is a line of one cell."""
    beside = row[:-1] if found.is_stacked else row
    wrapped = [_wrapped(cell, width) for cell, width in zip(beside, found.widths, strict=False)]
    for cells in zip_longest(*wrapped, fillvalue=""):
        yield tuple(cell.ljust(width) for cell, width in zip(cells, found.widths, strict=False))
    if found.is_stacked:
        for line in _wrapped(row[-1], found.widths[-1] - _INDENT):
            yield (" " * _INDENT + line,)


def _wrapped(cell: str, width: int) -> list[str]:
    return textwrap.wrap(cell, max(1, width), break_on_hyphens=False) or [""]


def _longest_word(cell: str) -> int:
    return max(map(len, cell.split()), default=1)


def _fitted(natural: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Widths that fit: down to the longest words first, the widest column first; then whatever is needed."""
    widths = list(natural)
    for floor in (least, [1] * len(least)):
        while sum(widths) + GAP * (len(widths) - 1) > room:
            place = max(range(len(widths)), key=lambda one: (widths[one] > floor[one], widths[one]))
            if widths[place] <= floor[place]:
                break
            widths[place] -= 1
    return widths


def cut(natural: Sequence[int], room: int) -> list[int]:
    """Widths for one line per row: the last column is cut first, down to what can be read, then the longest one."""
    floor = [1] * len(natural)
    floor[-1] = min(READABLE, natural[-1])
    widths = list(natural)
    places = [len(widths) - 1, *sorted(range(len(widths)), key=lambda one: -natural[one])]
    for place in places:
        excess = sum(widths) + GAP * (len(widths) - 1) - room
        widths[place] = max(min(widths[place], floor[place]), widths[place] - max(0, excess))
    return widths
