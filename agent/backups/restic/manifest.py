"""Keeps manifests: what stood on disk when a snapshot was made, one compressed line per entry.

A manifest is named `KEYHASH/EXEC.SHA256.gz` under state/manifests: whoever recorded the name can tell it was not altered.
"""

import dataclasses
import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from agent.errors import AgentError

FORMAT = 2
_READABLE = {1, 2}  # 1 knew neither attributes nor hard links
FOLDER = "manifests"
_DRAFT_FLAGS = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
_EFFORT = 2  # of 9: hashes cannot be packed anyway, and the rest packs well
_HINT = "run the backup again: a drill then has a manifest to compare with"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One entry of a snapshot. `kind` is restic's word (file, dir, symlink, fifo, …).

    `link` is a symlink's target, or `major:minor` of a device; `sha256` is a file's. `group` is the same for all names
    of one file, empty where it has but one; `attributes` are its extended ones, ACLs among them (None: not known);
    `has_holes`: it takes less room than it is long. A torn entry changed while it was being saved: of it only `path`
    and `kind` are known.
    """

    path: str
    kind: str
    torn: bool = False
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    inode: int = 0
    sha256: str = ""
    link: str = ""
    group: str = ""
    attributes: tuple[tuple[str, str], ...] | None = None
    has_holes: bool = False

    @property
    def order(self) -> list[bytes]:
        """Sorts entries as restic lists them: a folder, then what is in it, by bytes."""
        return os.fsencode(self.path).split(b"/")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """What the entries of a manifest come to; `folders` with those above the sources, as restic counts them."""

    files: int
    folders: int
    size_bytes: int
    torn: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """What a manifest is about: the snapshot, when it was begun (µs UTC), and the paths that were asked for.

    `totals` are known where they were counted before the entries were written down.
    """

    snapshot: str
    at_us: int
    sources: tuple[str, ...]
    totals: Totals | None = None


def folder_of(state: Path, key: str) -> Path:
    """Where the manifests of one backup on one host are."""
    return state / FOLDER / hashlib.sha256(key.encode()).hexdigest()[:16]


def newest(state: Path, key: str) -> Path | None:
    """The manifest of the newest execution of that key, None when there is none."""
    return max(folder_of(state, key).glob("*.gz"), default=None)


def find(state: Path, key: str, exec_id: str) -> Path | None:
    """The manifest that this execution wrote, None when it is gone."""
    return next(iter(sorted(folder_of(state, key).glob(f"{exec_id}.*.gz"))), None)


def name_of(path: Path) -> str:
    """A manifest's name under state/manifests."""
    return f"{path.parent.name}/{path.name}"


class Draft:
    """A manifest that is being written; it appears whole under its name, by `keep`, or not at all."""

    def __init__(self, folder: Path, exec_id: str) -> None:
        self._folder, self._exec_id = folder, exec_id
        self._path = folder / f".{exec_id}.draft"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in folder.glob(".*.draft"):  # of a backup that was killed: there is only one at a time
            left.unlink(missing_ok=True)
        self._raw = os.fdopen(os.open(self._path, _DRAFT_FLAGS, 0o600), "w+b")
        self._body: gzip.GzipFile | None = None
        self._is_taken_over = False

    def _packer(self) -> gzip.GzipFile:
        return gzip.GzipFile(fileobj=self._raw, mode="wb", filename="", mtime=0, compresslevel=_EFFORT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._raw.close()
        self._path.unlink(missing_ok=True)

    def begin(self, header: Header) -> None:
        """Say what it is about; once, and first. What follows is packed by itself: it may be the same next time."""
        with self._packer() as packed:
            packed.write(json.dumps({"format": FORMAT, **dataclasses.asdict(header)}).encode("ascii") + b"\n")

    def add(self, entry: Entry) -> None:
        """Add one entry."""
        self.add_lines([line_of(entry)])

    def add_lines(self, lines: Iterable[bytes]) -> None:
        """Add entries that are lines already."""
        if self._body is None:
            self._body = self._packer()  # it begins to write at once
        self._body.write(b"".join(lines))

    def take_over(self, body: bytes) -> None:
        """Take all entries, packed, from another manifest; nothing was or will be added."""
        self._raw.write(body)
        self._is_taken_over = True

    def keep(self) -> Path:
        """Finish it, durably."""
        if not self._is_taken_over:
            self.add_lines([])
        if self._body is not None:
            self._body.close()
        self._raw.flush()
        os.fsync(self._raw.fileno())
        self._raw.seek(0)
        digest = hashlib.file_digest(self._raw, "sha256").hexdigest()
        final = self._folder / f"{self._exec_id}.{digest}.gz"
        self._path.rename(final)
        _sync_folder(self._folder)
        return final


def verify(path: Path) -> None:
    """Whether the file still is what its name says; AgentError when it is missing or was altered."""
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise AgentError(f"the manifest {path.name} cannot be read: {error.strerror}", hint=_HINT) from error
    if digest != path.name.split(".")[1]:
        raise AgentError(f"the manifest {path.name} was altered", hint=_HINT)


def read(path: Path) -> tuple[Header, Iterator[Entry]]:
    """Header and entries, the latter as they are asked for; AgentError where it cannot be read."""
    lines = _lines(path)
    first = json.loads(next(lines, "{}"))
    if first.get("format") not in _READABLE:
        raise AgentError(f"the manifest {path.name} is of another version", hint=_HINT)
    header = _header(first)
    return header, (_entry(line, first["format"]) for line in lines)


def _lines(path: Path) -> Iterator[str]:
    try:
        with gzip.open(path, "rt", encoding="ascii") as stream:
            yield from stream
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise AgentError(f"the manifest {path.name} cannot be read: {error}", hint=_HINT) from error


def packed(path: Path) -> tuple[Header | None, bytes]:
    """A manifest's header, and all its entries packed as they are; None and nothing for one of an older version."""
    try:
        data = path.read_bytes()
        opened = zlib.decompressobj(wbits=31)
        first = json.loads((opened.decompress(data) + opened.flush()).partition(b"\n")[0])
    except (OSError, zlib.error, ValueError) as error:
        raise AgentError(f"the manifest {path.name} cannot be read: {error}", hint=_HINT) from error
    is_ours = first.get("format") == FORMAT and bool(opened.unused_data)
    return (_header(first), opened.unused_data) if is_ours else (None, b"")


def unpacked(body: bytes) -> list[bytes]:
    """The lines of packed entries."""
    try:
        return gzip.decompress(body).splitlines(keepends=True)
    except (OSError, EOFError, zlib.error) as error:
        raise AgentError(f"a manifest cannot be read: {error}", hint=_HINT) from error


def _header(first: Mapping[str, Any]) -> Header:
    totals = Totals(**first["totals"]) if first.get("totals") else None
    return Header(snapshot=first["snapshot"], at_us=first["at_us"], sources=tuple(first["sources"]), totals=totals)


def line_of(entry: Entry) -> bytes:
    """An entry as its line in a manifest."""
    if entry.torn:
        return json.dumps([entry.path, entry.kind]).encode("ascii") + b"\n"
    more: dict[str, Any] = {} if entry.attributes == () else {"x": entry.attributes and dict(entry.attributes)}
    more |= ({"g": entry.group} if entry.group else {}) | ({"h": 1} if entry.has_holes else {})
    tail = json.dumps([entry.sha256, entry.link, *([more] if more else [])]).encode("ascii")
    return stem(entry) + tail[1:] + b"\n"  # names that are no UTF-8 travel as escaped surrogates


def stem(entry: Entry) -> bytes:
    """The beginning of an entry's line: when it is the same, so is the rest, for the inode has not changed."""
    numbers = f"{entry.mode}, {entry.uid}, {entry.gid}, {entry.size}, {entry.mtime_ns}, {entry.ctime_ns}, {entry.inode}"
    return f'[{json.dumps(entry.path)}, "{entry.kind}", {numbers}, '.encode("ascii")


def _entry(line: str, form: int) -> Entry:
    values = json.loads(line)
    if len(values) == 2:
        return Entry(path=values[0], kind=values[1], torn=True)
    path, kind, mode, uid, gid, size, mtime_ns, ctime_ns, inode, sha256, link, *rest = values
    more: dict[str, Any] = rest[0] if rest else {}
    return Entry(
        path=path,
        kind=kind,
        mode=mode,
        uid=uid,
        gid=gid,
        size=size,
        mtime_ns=mtime_ns,
        ctime_ns=ctime_ns,
        inode=inode,
        sha256=sha256,
        link=link,
        group=more.get("g", ""),
        attributes=_pairs(more.get("x", {})) if form > 1 else None,
        has_holes=bool(more.get("h")),
    )


def _pairs(told: dict[str, str] | None) -> tuple[tuple[str, str], ...] | None:
    return None if told is None else tuple(sorted(told.items()))


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
