"""Wide listings on narrow terminals: what has no room beside the first columns stands below them, in words."""

import shutil
import sys
from collections.abc import Sequence

from agent.cli.columns import GAP
from agent.cli.output import Column, Document

_NOTHING = frozenset({None, "", "-"})


def for_terminal(columns: Sequence[Column], items: Sequence[Document], *, keep: int) -> Sequence[Column]:
    """The columns as they are where nobody looks, or where they fit; else folded after the first `keep`."""
    if not sys.stdout.isatty():
        return columns
    return folded(columns, items, keep=keep, room=shutil.get_terminal_size().columns)


def folded(columns: Sequence[Column], items: Sequence[Document], *, keep: int, room: int) -> Sequence[Column]:
    """The columns; when they need more characters than there is room, the first `keep` and one with the others in words."""
    cells = ([column.title, *(str(column.cell(item)) for item in items)] for column in columns)
    if sum(max(map(len, column)) for column in cells) + GAP * (len(columns) - 1) <= room:
        return columns
    return [*columns[:keep], Column("more", lambda item: _words(columns[keep:], item))]


def _words(columns: Sequence[Column], item: Document) -> str:
    told = ((column.title, column.cell(item)) for column in columns)
    return ", ".join(f"{title} {cell}" for title, cell in told if cell not in _NOTHING)
