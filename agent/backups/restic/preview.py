"""Says what a restore would write, replace and leave, from a manifest and the place it would go to; restic is not asked."""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from agent.backups.putting.ground import ground
from agent.backups.restic import compare, manifest, target
from agent.backups.restic.compare import printable
from agent.backups.restic.manifest import Entry
from agent.clock import Deadline
from agent.errors import InputError
from agent.transports.openssh import Route

MOST_LISTED = 200


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """What would become of how many entries with how many bytes; `listed` are the first of those that change.

    `others` are there and not in the snapshot: they are left alone. `blocked` cannot be put back, with why.
    """

    new: int
    new_bytes: int
    changed: int = 0
    changed_bytes: int = 0
    same: int = 0
    same_bytes: int = 0
    others: int = 0
    listed: tuple[tuple[str, str, int], ...] = ()
    blocked: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What is to be restored: which manifest, and of it what is at and below `include` (all when there is none)."""

    path: Path
    include: tuple[str, ...] = ()

    def entries(self) -> Iterator[Entry]:
        """The entries, as they were saved."""
        return compare.below(manifest.read(self.path)[1], self.include)

    def tops(self) -> tuple[str, ...]:
        """The topmost paths."""
        return self.include or manifest.read(self.path)[0].sources


def aside(wanted: Wanted, folder: str, forbidden: Iterable[str]) -> Preview:
    """Into a new or empty folder of this machine everything is written; InputError when the folder is refused."""
    target.check(folder, forbidden)
    count = size_bytes = 0
    listed: list[tuple[str, str, int]] = []
    for entry in wanted.entries():
        count, size_bytes = count + 1, size_bytes + entry.size
        if len(listed) < MOST_LISTED:
            listed.append(("new", printable(entry.path), entry.size))
    if not count:
        raise _nothing(wanted)
    return Preview(new=count, new_bytes=size_bytes, listed=tuple(listed))


def in_place(wanted: Wanted, route: Route | None, deadline: Deadline) -> Preview:
    """Over what is there, on this machine or behind the route: each entry is compared, content included."""
    lines = list(map(_line, wanted.entries()))
    if not lines:
        raise _nothing(wanted)
    with ground(route, deadline) as there:
        answer = there.ask({"do": "look", "root": "/", "sources": sorted(wanted.tops())}, lines)
    return _read(answer)


def _line(entry: Entry) -> str:
    values = (entry.path, entry.kind, entry.mode, entry.uid, entry.gid, entry.size, entry.mtime_ns, entry.sha256)
    attributes = None if entry.attributes is None else dict(entry.attributes)
    return json.dumps([*values, entry.link, entry.group, attributes]) + "\n"


def _read(answer: Mapping[str, Any]) -> Preview:
    names = ("new", "new_bytes", "changed", "changed_bytes", "same", "same_bytes", "others")
    return Preview(
        **{name: int(answer[name]) for name in names},
        listed=tuple((str(verdict), printable(str(path)), int(size)) for verdict, path, _, size in answer["told"]),
        blocked=tuple(printable(str(words)) for words in answer["words"]),
    )


def _nothing(wanted: Wanted) -> InputError:
    words = f"nothing of that name in the snapshot: {', '.join(wanted.include)}" if wanted.include else "it is empty"
    return InputError(words, hint="write a path as it was saved, in full: --include /etc/nginx")
