"""Decides what a pull has to do: what to fetch, what to remove, and whether so much may vanish at all."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping

from agent.backups.mirror import listing
from agent.backups.mirror.listing import UNCOPIED, Item

FEW = 20  # entries that may always vanish: a share of a handful says nothing
_BATCH_BYTES = 256 * 1024 * 1024  # what a killed pull has to fetch again, at most, beside single larger files
_BATCH_ENTRIES = 20_000


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What to fetch, folders first; what to remove, innermost first. `grown_bytes`: how much larger the mirror gets.

    `vanished` counts what is gone there; what is only left out by the policy now is removed as well, but not counted.
    """

    fetch: tuple[Item, ...]
    remove: tuple[str, ...]
    vanished: int
    known: int
    grown_bytes: int

    @property
    def is_idle(self) -> bool:
        """Whether the mirror is as the target."""
        return not self.fetch and not self.remove

    def refusal(self, may_vanish: float) -> str:
        """Why the mirror must not follow the target; empty when it may. `may_vanish` is a share of 1."""
        if self.vanished <= FEW and self.vanished < self.known:
            return ""
        share = self.vanished / max(self.known, 1)
        if share <= may_vanish:
            return ""
        return f"{self.vanished} of {self.known} entries have vanished there ({share:.0%}, allowed: {may_vanish:.0%})"


def plan(
    before: Mapping[str, Item], now: Mapping[str, Item], *, is_wanted: Callable[[str], bool], is_complete: bool
) -> Plan:
    """From what is in the mirror to what is there now; without a complete list nothing is removed."""
    fetch = [item for path, item in now.items() if path not in before or before[path].record != item.record]
    fetch += _other_names(fetch, now.values())
    fetch = [item for item in fetch if item.kind not in UNCOPIED]
    gone = [path for path in before if path not in now or now[path].kind in UNCOPIED]
    vanished = [path for path in gone if is_wanted(path) and (is_complete or _is_replaced(path, now))]
    unwanted = [path for path in gone if not is_wanted(path)]
    old = [before[item.path] for item in fetch if item.path in before and not listing.is_doubtful(before[item.path])]
    freed = [before[path] for path in (*vanished, *unwanted) if not listing.is_doubtful(before[path])]
    return Plan(
        fetch=tuple(sorted(fetch, key=lambda item: order(item.path))),
        remove=tuple(sorted([*vanished, *unwanted], key=order, reverse=True)),
        vanished=len(vanished),
        known=len(before) - len(unwanted),
        grown_bytes=max(0, room(fetch) - room(old) - room(item for item in freed if not listing.is_linked(item))),
    )


def _other_names(fetch: Iterable[Item], now: Iterable[Item]) -> list[Item]:
    """All names of what is fetched are, so that they stay names of one file."""
    inodes, known = set(), set()
    for item in fetch:
        known.add(item.path)
        if listing.is_linked(item):
            inodes.add(item.inode)
    if not inodes:
        return []
    return [item for item in now if listing.is_linked(item) and item.inode in inodes and item.path not in known]


def room(items: Iterable[Item]) -> int:
    """How many bytes these take, at most: each file once, whatever its names."""
    files = (item for item in items if item.kind == "file")
    return sum({item.inode if listing.is_linked(item) else item.path: item.size for item in files}.values())


def _is_replaced(path: str, now: Mapping[str, Item]) -> bool:
    """Whether something else is listed in its place, or in that of a folder above it."""
    while path not in now and path != "/":
        path = path.rpartition("/")[0] or "/"
    return path in now and now[path].kind != "dir"


def order(path: str) -> list[str]:
    """Sorts a folder before what is in it."""
    return path.split("/")


def batches(fetch: Iterable[Item]) -> Iterator[list[Item]]:
    """The entries in portions that are fetched, put in place and remembered one by one; hard links stay together."""
    groups: dict[object, list[Item]] = {}
    for item in fetch:
        key = item.inode if listing.is_linked(item) else item.path
        groups[key] = [*groups.pop(key, []), item]  # where its last one stands: all their folders come before
    batch: list[Item] = []
    size = 0
    for group in groups.values():
        if batch and (size + group[0].size > _BATCH_BYTES or len(batch) >= _BATCH_ENTRIES):
            yield batch
            batch, size = [], 0
        batch += group
        size += group[0].size if group[0].kind == "file" else 0
    if batch:
        yield batch
