"""What `disk` and `inodes` share: which file systems are meant, and what df(1) prints of them."""

import dataclasses
import re
import shlex
from collections.abc import Callable, Sequence
from typing import Annotated, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from agent.checks.reading import compiled, is_found, one_line, told
from agent.closed import ClosedModel, Text, Texts
from agent.model.look import Look, Section, Verdict

# Read-only images are full by nature, and the kernel's own trees hold no data: never meant by `match`.
_NEVER = frozenset(
    {"squashfs", "erofs", "iso9660", "udf", "cramfs", "devtmpfs", "efivarfs", "autofs", "nsfs", "overlay"}
)
# Device, type, total, used, available, capacity, mount point (df -P: POSIX.1-2017; -T and -i as GNU and busybox).
_NAMED = 10  # mount points that are told when none of them matches
_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_LINE = re.compile(r"^(.*\S)\s+(\S+)\s+(\d{1,18}|-)\s+(\d{1,18}|-)\s+(-?\d{1,18}|-)\s+(?:\d+%|-)\s+(/.*)$")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Volume:
    """A mounted file system, in the units of who asked: 1024-byte blocks or inodes."""

    mount: str
    kind: str
    device: str  # mounted at several places, it counts once
    used: float
    free: float

    @property
    def share(self) -> float:
        """How much of it is used; df shows a negative number when root has eaten into the reserve."""
        room = max(self.free, 0.0)
        return self.used / (self.used + room) if self.used + room else 0.0


Judge = Callable[[str, Volume], Look]


def _pattern_each(patterns: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in patterns:
        if pattern != "all":
            compiled(pattern)
    return patterns


def _type_each(types: tuple[str, ...]) -> tuple[str, ...]:
    for name in types:
        if _TYPE.fullmatch(name) is None:
            raise ValueError(f"{name!r} is no type of file systems, such as tmpfs; which mount points: say so by match")
    return types


class VolumeOptions(ClosedModel):
    """Which file systems: the one that holds `path`, or those whose mount points `match`."""

    path: Text | None = Field(default=None, description="The file system that holds this path")
    match: Annotated[Texts, AfterValidator(_pattern_each)] = Field(
        default=(), description="all, or patterns (RE2) of mount points; one instance each"
    )
    ignore: Annotated[Texts, AfterValidator(_type_each)] = Field(
        default=(), description="File system types to leave out of match, such as tmpfs"
    )

    @field_validator("path")
    @classmethod
    def _is_absolute(cls, path: str | None) -> str | None:
        if path is not None and (not path.startswith("/") or not path.isprintable()):
            raise ValueError(f"{path!r} is not an absolute path")
        return path

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.path is None) == (not self.match):
            raise ValueError("give either path or match")
        if self.ignore and not self.match:
            raise ValueError("ignore goes with match")
        return self


def script(options: VolumeOptions, flags: str) -> str:
    """POSIX sh that runs df over one path or all file systems."""
    path = "" if options.path is None else f" {shlex.quote(options.path)}"
    return f"LC_ALL=C; export LC_ALL\ndf {flags}{path} 2>&1\n"


def read(section: Section, options: VolumeOptions, judge: Judge) -> Look:
    """The lines of df, judged one by one."""
    if section.timed_out:
        return told(Verdict.UNKNOWN, "df did not end in time: a file system may hang")
    volumes = [_printed(line) for line in map(_LINE.match, section.text.split("\n")) if line]
    if options.path is None:
        return matching(volumes, options, judge, section.text)
    return named(options.path, volumes, judge, section.text)


def _printed(line: re.Match[str]) -> Volume:
    device = line[1] if line[1].startswith("/") else line[6]  # tmpfs and its like carry no name of their own
    used, free = (0.0 if number == "-" else float(number) for number in (line[4], line[5]))
    return Volume(mount=line[6], kind=line[2], device=device, used=used, free=free)


def only(path: str, verdict: Verdict, summary: str, text: str = "") -> Look:
    """The one instance that was asked for, when it cannot be measured."""
    return told(verdict, summary, instances={path: told(verdict, summary)}, evidence=text)


def named(path: str, volumes: Sequence[Volume], judge: Judge, text: str) -> Look:
    """The file system that holds a path, as an instance of that name."""
    if not volumes and "No such file or directory" in text:
        return only(path, Verdict.CRITICAL, f"{path}: no such file or directory", text)
    if not volumes:
        return told(Verdict.UNKNOWN, f"df says nothing of {path}: {text}", evidence=text)
    inner = judge(path, volumes[0])
    return told(inner.verdict, inner.summary, instances={path: inner}, evidence=text)


def matching(volumes: Sequence[Volume], options: VolumeOptions, judge: Judge, text: str) -> Look:
    """Every file system that is meant, each device once; the worst speaks for all."""
    meant = [volume for volume in volumes if _is_meant(volume, options)]
    shortest = {volume.device: volume for volume in sorted(meant, key=lambda volume: -len(volume.mount))}
    found = {one_line(volume.mount): (judge(volume.mount, volume), volume) for volume in shortest.values()}
    if not found:
        real = {volume.mount for volume in volumes if volume.kind not in _NEVER and volume.used + volume.free > 0}
        there = ", ".join(sorted(real)[:_NAMED])
        wanted = f"no mount point matches {' or '.join(options.match)}"
        summary = f"{wanted}; there are {there}" if there else f"{wanted}: {text or 'df shows none'}"
        return told(Verdict.UNKNOWN, summary, evidence=text)
    worst, _ = max(found.values(), key=lambda pair: (pair[0].verdict.weight, pair[1].share))
    instances = {mount: look for mount, (look, _) in sorted(found.items())}
    return told(worst.verdict, worst.summary, instances=instances, evidence=text)


def _is_meant(volume: Volume, options: VolumeOptions) -> bool:
    if volume.kind in _NEVER or volume.kind in options.ignore or volume.used + max(volume.free, 0.0) <= 0:
        return False
    return any(pattern == "all" or is_found(pattern, volume.mount) for pattern in options.match)
