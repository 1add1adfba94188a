"""Sees at one look that nothing has changed on a target: most pulls end so, and need not read a million entries for it."""

import dataclasses
from collections.abc import Iterator, Mapping

from agent.backups.mirror import listing
from agent.backups.mirror.listing import Item, Listing
from agent.errors import ToolError

_SOCKET = b"s/"  # sockets are told, and never fetched


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """How many files and folders a target has."""

    files: int
    folders: int


def same(told: Listing, known: bytes) -> Tally | None:
    """What there is, if the answer is whole and tells of nothing but what is known; None when it has to be looked into.

    `known` are the records of what the mirror holds, which were believed when it was fetched. Folders above the sources
    change whenever anything beside these does: their times do not count.
    """
    if told.missing or not told.is_complete or not known:
        return None
    now = {record for record in _records(told.records) if not record.startswith(_SOCKET)}
    then = set(_records(known))
    try:
        old, new = _read(then - now), _read(now - then)
    except ToolError:
        return None
    if old.keys() != new.keys() or not new.keys() <= above(told.sources):
        return None
    if any(lasting(old[path]) != lasting(new[path]) for path in old):
        return None
    kinds = {
        record.partition(b"\0")[0].partition(b"//")[2]: record[:1] for record in now
    }  # by path, without its first /
    for source in told.sources:
        if kinds.get(source[1:].encode("utf-8", "surrogateescape"), b"l") == b"l":
            return None
    found = list(kinds.values())
    return Tally(files=found.count(b"f"), folders=found.count(b"d") - (b"" in kinds))


def above(sources: tuple[str, ...]) -> set[str]:
    """The folders above these paths, up to the top."""
    return {source[:at] or "/" for source in sources for at, sign in enumerate(source) if sign == "/"}


def lasting(item: Item) -> tuple[str, int, int, int]:
    """What of a folder does not change with what is in it: kind, mode, owner, group."""
    return item.kind, item.mode, item.uid, item.gid


def _records(text: bytes) -> Iterator[bytes]:
    fields = iter(text.split(b"\0"))
    for head in fields:
        target = next(fields, None)
        if target is not None:
            yield head + b"\0" + target


def _read(records: set[bytes]) -> Mapping[str, Item]:
    """By path; ToolError when there are too many to be folders above anything."""
    if len(records) > listing.DEEPEST:
        raise ToolError("too much is different")
    return {item.path: item for record in records for item in listing.items(record + b"\0")}
