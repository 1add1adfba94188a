"""What a host says of its files: a list of them, hashes of some, and which restic it has."""

import dataclasses
import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence

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
_HASH = re.compile(rb"([0-9a-f]{64})  (/.*)", re.DOTALL)
_DEVICE = re.compile(rb"([0-9a-f]{1,8}):([0-9a-f]{1,8})  (/.*)", re.DOTALL)
_KEPT = 50
_MARK = "=hashed"
_HASHING = "xargs -0 -r nice -n 10 sha256sum -z --"
_STAT = ("xargs", "-0", "-r", "stat", "--printf=%t:%T  %n\\0", "--")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """One look: the listing, its entries by path, what could not be read, and the restic that is there."""

    told: Listing
    items: Mapping[str, Item]
    unread: tuple[str, ...]
    version: Version


class Host:
    """One host, asked over ssh."""

    def __init__(self, line: Line, wanted: Wanted) -> None:
        self._line, self._wanted = line, wanted
        self._name = line.route.host.name

    def look(self) -> Seen:
        """What there is now; ToolError where it lacks a program, or makes no sense."""
        (self._line.work / _SCRIPT).write_bytes(os.fsencode(script.LOOK + self._listing()))
        said, complaints = self._answer(self._line.ssh("sh"), _SCRIPT)
        return _seen(said, complaints, self._version(complaints))

    def look_again(self, first: Seen, files: Iterable[str]) -> tuple[Seen, dict[str, str]]:
        """The same again, after the SHA-256 of these files was counted by the host; of one it cannot read there is none."""
        wanted = set(files)
        self._name_them(wanted)
        text = f"{_HASHING}\nprintf '{_MARK}\\0'\n{self._listing()}"
        said, complaints = self._answer(self._line.ssh("sh", "-c", text), _NAMES)
        hashed, _, listed = (b"\0" + said).partition(f"\0{_MARK}\0".encode())
        found = (_HASH.fullmatch(one) for one in hashed.split(b"\0"))
        told = {os.fsdecode(one[2]): one[1].decode() for one in found if one is not None}
        hashes = {path: digest for path, digest in told.items() if path in wanted}
        return _seen(listed, complaints, first.version), hashes

    def devices(self, nodes: Iterable[str]) -> dict[str, str]:
        """The numbers of these devices, as `major:minor`."""
        wanted = set(nodes)
        if not wanted:
            return {}
        self._name_them(wanted)
        asked = shlex.join(self._line.ssh(*_STAT))
        self._line.run(f"{asked} <{_NAMES} >{_ANSWER}", limit_bytes=_ANSWER_BYTES)  # of single ones it may fail
        found = (_DEVICE.fullmatch(one) for one in (self._line.work / _ANSWER).read_bytes().split(b"\0"))
        told = {os.fsdecode(one[3]): f"{int(one[1], 16)}:{int(one[2], 16)}" for one in found if one is not None}
        return {path: numbers for path, numbers in told.items() if path in wanted}

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


def _seen(said: bytes, complaints: str, version: Version) -> Seen:
    told = listing.read(said)
    items = listing.tree(told, listing.items(told.records))
    lines = [line.removeprefix("find: ") for line in complaints.splitlines() if line.startswith("find: ")]
    unread = [line for line in lines if "No such file or directory" not in line]
    return Seen(told=told, items=items, unread=tuple(unread[:_KEPT]), version=version)
