"""What a host says of its files: a list of them, hashes of some, and which restic it has."""

import dataclasses
import os
import re
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from agent.backups.mirror import listing
from agent.backups.mirror.line import Line
from agent.backups.mirror.listing import Item, Listing
from agent.backups.onhost import script
from agent.backups.restic import patterns
from agent.backups.restic.outcome import Version
from agent.backups.restic.version import parse_version
from agent.backups.restic.wanted import Wanted
from agent.errors import ToolError

_ANSWER_BYTES = 1 << 30  # a listing: about 8 million entries
_SCRIPT, _ANSWER, _NAMES = "script", "answer", "names"
_BLOCK = 512  # bytes; what `stat` counts in
_BLOCKS = re.compile(rb"([0-9]{1,18})  (/.*)", re.DOTALL)
_HASH = re.compile(rb"([0-9a-f]{64})  (/.*)", re.DOTALL)
_DEVICE = re.compile(rb"([0-9a-f]{1,8}:[0-9a-f]{1,8})  (/.*)", re.DOTALL)
_MARK = "=hashed"
_HASHING = """xargs -0 -r nice -n 10 sh -c 'stat --printf="%b  %n\\0" -- "$@"; sha256sum -z -- "$@"' sh 2>/dev/null"""
_STAT = ("xargs", "-0", "-r", "stat", "--printf=%t:%T  %n\\0", "--")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """One look: the listing, its entries by path, and the restic that is there. What cannot be read, restic names."""

    told: Listing
    items: Mapping[str, Item]
    version: Version


class Content(NamedTuple):
    """What is in a file, by its SHA-256, or which device a node is, as `major:minor`."""

    text: str
    has_holes: bool = False


class Host:
    """One host, asked over ssh."""

    def __init__(self, line: Line, wanted: Wanted) -> None:
        self._line, self._wanted = line, wanted
        self._name = line.route.host.name

    def look(self) -> Seen:
        """What there is now; ToolError where it lacks a program, or makes no sense."""
        (self._line.work / _SCRIPT).write_bytes(os.fsencode(script.LOOK + self._listing()))
        said, complaints = self._answer(self._line.ssh("sh"), _SCRIPT)
        return _seen(said, self._version(complaints))

    def look_again(self, first: Seen, files: Iterable[str]) -> tuple[Seen, dict[str, Content]]:
        """The same again, after the content of these files was looked at; of one that cannot be read there is none."""
        wanted = set(files)
        self._name_them(wanted)
        text = f"{_HASHING}\nprintf '{_MARK}\\0'\n{self._listing()}"
        said, _ = self._answer(self._line.ssh("sh", "-c", text), _NAMES)
        looked, _, listed = (b"\0" + said).partition(f"\0{_MARK}\0".encode())
        fields = looked.split(b"\0")
        hashes, blocks = _told(_HASH, fields, wanted), _told(_BLOCKS, fields, wanted)
        seen = _seen(listed, first.version)
        return seen, {
            path: Content(sha256, _has_holes(blocks.get(path), seen.items.get(path))) for path, sha256 in hashes.items()
        }

    def devices(self, nodes: Iterable[str]) -> dict[str, Content]:
        """The numbers of these devices, as `major:minor`."""
        wanted = set(nodes)
        if not wanted:
            return {}
        self._name_them(wanted)
        asked = shlex.join(self._line.ssh(*_STAT))
        self._line.run(f"{asked} <{_NAMES} >{_ANSWER}", limit_bytes=_ANSWER_BYTES)  # of single ones it may fail
        told = _told(_DEVICE, (self._line.work / _ANSWER).read_bytes().split(b"\0"), wanted)
        pairs = {path: numbers.split(":") for path, numbers in told.items()}
        return {path: Content(f"{int(major, 16)}:{int(minor, 16)}") for path, (major, minor) in pairs.items()}

    def _listing(self) -> str:
        pruned = patterns.tests(self._wanted.exclude)
        return listing.script(self._wanted.paths, pruned, one_file_system=self._wanted.one_file_system)

    def _name_them(self, paths: Iterable[str]) -> None:
        names = b"".join(os.fsencode(path) + b"\0" for path in sorted(paths))
        (self._line.work / _NAMES).write_bytes(names)

    def _answer(self, there: Sequence[str], fed: str) -> tuple[bytes, str]:
        """What a script of ours says there, and its complaints."""
        done = self._line.run(f"{shlex.join(there)} <{fed} >{_ANSWER}", limit_bytes=_ANSWER_BYTES)
        self._refuse(done.exit_code)
        if done.exit_code != 0:
            raise self._line.failure(done.stderr or f"the shell there ended with exit code {done.exit_code}")
        return (self._line.work / _ANSWER).read_bytes(), done.stderr

    def _refuse(self, exit_code: int) -> None:
        """What the exit code of a look says is missing."""
        if exit_code == script.MISSING:
            raise ToolError(
                f"there is no restic on {self._name}",
                hint="install it there: apt-get install restic; or leave out `run_from: host`",
            )
        if exit_code == script.NO_PRINTF:
            raise ToolError(
                f"the /bin/sh of {self._name} has no printf of its own: a password would show",
                hint="make dash or bash its /bin/sh, or leave out `run_from: host`",
            )
        if exit_code == script.NO_TOOLS:
            raise ToolError(
                f"{self._name} lacks one of {', '.join(script.TOOLS.split())}",
                hint="install coreutils and findutils there, or leave out `run_from: host`",
            )
        if exit_code == listing.NO_PRINTF:
            raise ToolError(
                f"{self._name} has a find without -printf, as busybox has",
                hint="install findutils there, or leave out `run_from: host`",
            )

    def _version(self, said: str) -> Version:
        try:
            return parse_version(said)
        except ToolError as error:
            hint = "install a newer one there: apt-get install restic; or leave out `run_from: host`"
            raise ToolError(f"on {self._name}: {error}", hint=hint) from None


def _seen(said: bytes, version: Version) -> Seen:
    told = listing.read(said)
    return Seen(told=told, items=listing.tree(told, listing.items(told.records)), version=version)


def _told(form: re.Pattern[bytes], fields: Iterable[bytes], wanted: Collection[str]) -> dict[str, str]:
    """The records of that form which are about what was asked for, by path."""
    found = filter(None, map(form.fullmatch, fields))
    told = {os.fsdecode(one[2]): one[1].decode("ascii") for one in found}
    return {path: text for path, text in told.items() if path in wanted}


def _has_holes(blocks: str | None, item: Item | None) -> bool:
    return blocks is not None and item is not None and int(blocks) * _BLOCK < item.size
