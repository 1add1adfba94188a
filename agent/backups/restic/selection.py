"""What a drill restores of a snapshot: all of it, or the files that a sample draws, with the folders they are in."""

import dataclasses
import heapq
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from agent.backups.restic import manifest, paths, sampling
from agent.backups.restic.manifest import Entry, Header
from agent.backups.restic.sampling import Slice
from agent.model.proof import Cycle

_NEWEST_OF = 20  # of so many drawn files, one of the newest comes on top
_LARGEST_OF = 100
_BESIDE = ("-wal", "-journal")  # without them a database is not what it was
_NOT_DRAWN = {
    "dir",
    "socket",
    "irregular",
}  # folders come with what is in them; restic saves of the others a name alone


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """The part of a snapshot that is restored; `include` is empty for all of it, then `entries` are read on demand.

    `files` of the snapshot hold `whole_bytes`; what is selected holds `size_bytes` in `count` entries. `then` is how
    far the round of the sample is when this has been found good.
    """

    path: Path
    header: Header
    files: int
    whole_bytes: int
    count: int
    size_bytes: int
    sampled: int = 0
    include: tuple[str, ...] = ()
    chosen: tuple[Entry, ...] = ()
    then: Cycle | None = None

    def entries(self) -> Iterator[Entry]:
        """The entries to compare, in the manifest's order; may be asked again."""
        return iter(self.chosen) if self.then is not None else manifest.read(self.path)[1]


def whole(path: Path) -> Selection:
    """Everything; AgentError where the manifest cannot be read."""
    header, entries = manifest.read(path)
    files = count = size_bytes = 0
    for entry in entries:
        count += 1
        files += entry.kind not in _NOT_DRAWN
        size_bytes += entry.size
    return Selection(
        path=path, header=header, files=files, whole_bytes=size_bytes, count=count, size_bytes=size_bytes
    )  # fmt: skip


def sample(path: Path, key: bytes, cycle: Cycle, wanted: int, always: Sequence[str]) -> Selection:
    """The next slice of the round, and on top of it `always`, the newest and the largest.

    A folder of `always` stands for the first of the files in it; AgentError where the manifest cannot be read.
    """
    header, entries = manifest.read(path)
    if cycle.order != sampling.mark_of(key):
        cycle = Cycle(order=sampling.mark_of(key))
    seen = _Census(key, wanted, tuple(always))
    for entry in entries:
        seen.take(entry)
    drawn = sampling.draw(seen.ranks, cycle, wanted)
    chosen = tuple(_chosen(manifest.read(path)[1], key, drawn, seen.on_top()))
    drawables = tuple(entry for entry in chosen if entry.path in seen.on_top() or entry.kind not in _NOT_DRAWN)
    return Selection(
        path=path,
        header=header,
        files=len(seen.ranks),
        whole_bytes=seen.size_bytes,
        count=len(chosen),
        size_bytes=sum(entry.size for entry in chosen),
        sampled=len(drawables),
        include=tuple(entry.path for entry in drawables),
        chosen=chosen,
        then=drawn.then,
    )


class _Census:
    """One look at every entry: their ranks, and those that are restored whatever is drawn."""

    def __init__(self, key: bytes, wanted: int, always: tuple[str, ...]) -> None:
        self._key, self._always = key, always
        self._newest: list[tuple[int, str]] = []
        self._largest: list[tuple[int, str]] = []
        self._newest_count, self._largest_count = -(-wanted // _NEWEST_OF), -(-wanted // _LARGEST_OF)
        self._first: dict[str, str] = {}  # the first file at or below each of `always`, else the folder itself
        self._empty: set[str] = set()
        self.ranks: list[bytes] = []
        self.size_bytes = 0

    def take(self, entry: Entry) -> None:
        """Look at the next entry."""
        self.size_bytes += entry.size
        if self._always:
            self._note(entry)
        if entry.kind in _NOT_DRAWN:
            return
        self.ranks.append(sampling.rank(self._key, entry.path))
        _keep(self._newest, (entry.mtime_ns, entry.path), self._newest_count)
        _keep(self._largest, (entry.size, entry.path), self._largest_count)

    def on_top(self) -> frozenset[str]:
        """The paths that come on top of what is drawn."""
        return frozenset([*self._first.values(), *(path for _, path in (*self._newest, *self._largest))])

    def _note(self, entry: Entry) -> None:
        for path in self._always:
            if not paths.is_below(entry.path, path):
                continue
            known = self._first.get(path)
            if known is None or (known == path and path in self._empty and entry.kind not in _NOT_DRAWN):
                self._first[path] = entry.path
                if entry.kind == "dir":
                    self._empty.add(path)


def _keep(heap: list[tuple[int, str]], one: tuple[int, str], count: int) -> None:
    """Keep the greatest `count`."""
    if len(heap) < count:
        heapq.heappush(heap, one)
    elif one > heap[0]:
        heapq.heapreplace(heap, one)


def _chosen(entries: Iterable[Entry], key: bytes, drawn: Slice, on_top: frozenset[str]) -> Iterator[Entry]:
    """What is drawn or on top, each after the folders that lead to it, and with what a database keeps beside it."""
    folders: list[Entry] = []
    told = 0  # how many of them were told already
    beside: set[str] = set()
    inside = "\0"  # a folder that comes with everything in it
    for entry in entries:
        while folders and not paths.is_below(entry.path, folders[-1].path):
            folders.pop()
        told = min(told, len(folders))
        is_chosen = entry.path in on_top or entry.path in beside or paths.is_below(entry.path, inside)
        if not is_chosen and entry.kind not in _NOT_DRAWN:
            is_chosen = drawn.holds(sampling.rank(key, entry.path))
        if is_chosen:
            yield from folders[told:]
            told = len(folders)
            yield entry
            beside |= {entry.path + end for end in _BESIDE}
        if entry.kind == "dir":
            inside = entry.path if entry.path in on_top else inside
            folders.append(entry)
            told += is_chosen
