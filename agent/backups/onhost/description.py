"""Writes the manifest of a snapshot that a restic elsewhere made: what is in it, by our restic; how it was, by its host.

An entry counts as known when the host told the same of it before and after, and restic saw it with the same times; a
file's hash is counted by the host between those two looks, or known from last time. Any other entry is torn. Attributes
are not asked for.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from agent.backups.mirror.listing import Item
from agent.backups.onhost.host import Content, Seen
from agent.backups.restic import manifest
from agent.backups.restic.manifest import Draft, Entry, Header, Totals
from agent.backups.restic.outcome import read_message
from agent.backups.restic.survey import nanoseconds
from agent.clock import NANOSECONDS
from agent.errors import AgentError

_YOUNG_NS = 2 * NANOSECONDS  # what changed that shortly before it was listed may change again and keep its stamps

_NODES = {"dev", "chardev"}

_NOTHING = Content("")

Known = dict[str, tuple[tuple[int, int, int, int], Content]]  # by path: what identifies a file or device; what is in it


def known_from(path: Path | None) -> Known:
    """The hashes of the last manifest; none where it cannot be read: then all is hashed again."""
    if path is None:
        return {}
    try:
        manifest.verify(path)
        entries = (one for one in manifest.read(path)[1] if one.ctime_ns)
        return {
            one.path: (
                (one.inode, one.ctime_ns, one.mtime_ns, one.size),
                Content(one.link if one.kind in _NODES else one.sha256, one.has_holes),
            )
            for one in entries
            if one.sha256 or one.kind in _NODES
        }
    except AgentError:
        return {}


def unknown(seen: Seen, known: Known) -> tuple[list[str], list[str]]:
    """The files and the devices of which last time tells nothing."""
    new = [
        (path, item.kind) for path, item in seen.items.items() if known.get(path, ((), _NOTHING))[0] != _identity(item)
    ]
    return [path for path, kind in new if kind == "file"], [path for path, kind in new if kind in _NODES]


def _identity(item: Item) -> tuple[int, int, int, int]:
    """What changes with a file's content."""
    return (item.inode[1], item.ctime_ns, item.mtime_ns, item.size if item.kind == "file" else 0)


class Told:
    """What the host said, by two looks and in between."""

    def __init__(self, before: Seen, after: Seen, told: Mapping[str, Content], known: Known) -> None:
        """`told` are hashes and device numbers by path; `known` those of last time."""
        self._before, self._after, self._told, self._known = before, after, told, known
        self._young_ns = before.told.now_s * NANOSECONDS - _YOUNG_NS
        odd = [path for path in after.items if not path.isascii() and _shown(path) != path]
        self._names: dict[str, str] = {}
        for path in odd:
            self._names[_shown(path)] = "" if _shown(path) in self._names else path

    def path_of(self, listed: str) -> str:
        """The true name behind one of restic's, in which bytes that are no UTF-8 were lost; as it is when none is."""
        return self._names.get(listed, listed) or listed

    def entry(self, path: str, node: Mapping[str, Any]) -> Entry:
        """An entry of the snapshot, as it was on the host; torn when that is not certain."""
        item = self._after.items.get(path)
        before = self._before.items.get(path)
        kind = str(node["type"])
        if item is None or before is None or before.record != item.record or not _is_as_saved(item, node):
            return Entry(path=path, kind=kind, torn=True)
        is_file, is_node = kind == "file", kind in _NODES
        content = self._content(path, item) if is_file or is_node else _NOTHING
        if not content.text and (is_file or is_node):
            return Entry(path=path, kind=kind, torn=True)
        return Entry(
            path=path,
            kind=kind,
            mode=item.mode,
            uid=item.uid,
            gid=item.gid,
            size=item.size if is_file else 0,
            mtime_ns=item.mtime_ns,
            ctime_ns=0 if item.ctime_ns >= self._young_ns else item.ctime_ns,  # with 0, it is hashed again next time
            inode=item.inode[1],
            sha256=content.text if is_file else "",
            link=content.text if is_node else item.target,
            group=f"{item.inode[0]}:{item.inode[1]}" if is_file and item.links > 1 else "",
            attributes=None,
            has_holes=content.has_holes,
        )

    def _content(self, path: str, item: Item) -> Content:
        """The hash of a file, the numbers of a device; empty when the host could not tell."""
        stamps, content = self._known.get(path, ((), _NOTHING))
        return content if stamps == _identity(item) else self._told.get(path, _NOTHING)


class Description:
    """Listens to `restic ls --json` and writes down what is in the snapshot as its host told it."""

    def __init__(self, sources: Iterable[str], told: Told) -> None:
        self._told = told
        self._sources = tuple(sources)
        self._below = tuple(source.rstrip("/") + "/" for source in self._sources)
        self._lines: list[bytes] = []
        self._listed: set[str] = set()
        self._files = self._folders = self._size_bytes = self._torn = self._unsure = 0

    @property
    def unlisted(self) -> tuple[str, ...]:
        """The sources of which nothing is in the snapshot."""
        return tuple(source for source in self._sources if source not in self._listed and source != "/")

    @property
    def totals(self) -> Totals:
        """What its entries come to."""
        return Totals(files=self._files, folders=self._folders, size_bytes=self._size_bytes, torn=self._torn)

    def hear(self, line: str) -> None:
        """One line of the listing."""
        node = read_message(line)
        if node is None or "path" not in node:
            return
        self._folders += node["type"] == "dir"
        path = self._told.path_of(str(node["path"]))
        if path in self._sources or path.startswith(self._below):
            self._take(path, node)

    def write(self, draft: Draft, header: Header) -> None:
        """Fill the draft; where something may have to be looked at again, without totals: nobody takes that over."""
        is_sure = not self._torn and not self._unsure
        draft.begin(dataclasses.replace(header, totals=self.totals if is_sure else None))
        draft.add_lines(self._lines)

    def _take(self, path: str, node: Mapping[str, Any]) -> None:
        entry = self._told.entry(path, node)
        self._lines.append(manifest.line_of(entry))
        if path in self._sources:
            self._listed.add(path)
        self._torn += entry.torn
        self._unsure += not entry.ctime_ns
        if entry.kind == "file":
            self._files += 1
            self._size_bytes += int(node.get("size", 0))


def _shown(path: str) -> str:
    """A path as restic's JSON shows it."""
    return "".join("\ufffd" if "\udc80" <= sign <= "\udcff" else sign for sign in path)


def _is_as_saved(item: Item, node: Mapping[str, Any]) -> bool:
    """Whether restic saw what the host listed."""
    return (
        item.kind == node["type"]
        and item.mtime_ns == nanoseconds(str(node["mtime"]))
        and item.ctime_ns == nanoseconds(str(node["ctime"]))
        and (item.kind != "file" or item.size == node.get("size", 0))
    )
