"""check: disk — how full are the file systems?

`used` is what df(1) calls capacity, used / (used + available), and `free` what an ordinary user may still write
(statvfs(3): f_bavail), so blocks reserved for root count as neither. Critical when nothing is free at all, or when a
path that was asked for by name does not exist; everything else is for `warn` and `crit` to say.
"""

import dataclasses
import os
import re
import shlex
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from agent.checks import check
from agent.checks.reading import compiled, is_found, one_line, spell_bytes, told
from agent.closed import ClosedModel, Text, Texts
from agent.model.check import RunFrom
from agent.model.look import Look, Section, Unit, Verdict

# Read-only images are full by nature, and the kernel's own trees hold no data: never meant by `match`.
_NEVER = frozenset(
    {"squashfs", "erofs", "iso9660", "udf", "cramfs", "devtmpfs", "efivarfs", "autofs", "nsfs", "overlay"}
)
# Device, type, 1024-blocks, used, available, capacity, mount point (df -P: POSIX.1-2017; -T as GNU and busybox).
_LINE = re.compile(r"^(.*\S)\s+(\S+)\s+(\d+)\s+(\d+)\s+(-?\d+)\s+(?:\d+%|-)\s+(/.*)$")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Volume:
    mount: str
    kind: str
    device: str  # mounted at several places, it counts once
    used: float
    free: float


def _pattern_each(patterns: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in patterns:
        if pattern != "all":
            compiled(pattern)
    return patterns


class DiskOptions(ClosedModel):
    """Which file systems: the one that holds `path`, or those whose mount points `match`."""

    path: Text | None = Field(default=None, description="The file system that holds this path")
    match: Annotated[Texts, AfterValidator(_pattern_each)] = Field(
        default=(), description="all, or patterns (RE2) of mount points; one instance each"
    )
    ignore: Texts = Field(default=(), description="File system types to leave out of match, such as tmpfs")

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


@check("disk")
class Disk:
    """One instance per file system, named by its mount point (or by the path asked for)."""

    OPTIONS: ClassVar = DiskOptions
    SHORT: ClassVar = "path"
    METRICS: ClassVar[Mapping[str, Unit]] = {"used": Unit.SHARE, "free": Unit.BYTES}
    RUN_FROM: ClassVar = RunFrom.HOST
    INSTANCES: ClassVar = True

    @staticmethod
    def script(options: DiskOptions) -> str:
        """df, of one path or of all file systems."""
        path = "" if options.path is None else f" {shlex.quote(options.path)}"
        return f"LC_ALL=C; export LC_ALL\ndf -PTk{path} 2>&1\n"

    @staticmethod
    def read(section: Section, options: DiskOptions) -> Look:
        """The lines of df."""
        if section.timed_out:
            return told(Verdict.UNKNOWN, "df did not end in time: a file system may hang")
        volumes = [_printed(line) for line in map(_LINE.match, section.text.split("\n")) if line]
        return (
            _looks(volumes, options, section.text)
            if options.path is None
            else _named(options.path, volumes, section.text)
        )

    @staticmethod
    def look(options: DiskOptions) -> Look:
        """What statvfs(2) says on this machine."""
        import psutil

        if options.path is None:
            return _looks(_mounted(), options, "")
        try:
            usage = psutil.disk_usage(options.path)
        except (FileNotFoundError, NotADirectoryError):
            return _one(options.path, Verdict.CRITICAL, f"{options.path}: no such file or directory")
        except OSError as error:
            return _one(options.path, Verdict.UNKNOWN, f"{options.path}: {error.strerror}")
        return _named(options.path, [_volume(options.path, "", "", usage)], "")


def _printed(line: re.Match[str]) -> _Volume:
    device = line[1] if line[1].startswith("/") else line[6]  # tmpfs and its like carry no name of their own
    return _Volume(mount=line[6], kind=line[2], device=device, used=float(line[4]) * 1024, free=float(line[5]) * 1024)


def _volume(mount: str, kind: str, device: str, usage: Any) -> _Volume:
    return _Volume(mount=mount, kind=kind, device=device, used=float(usage.used), free=float(usage.free))


def _mounted() -> list[_Volume]:
    import psutil

    volumes = []
    for part in psutil.disk_partitions(all=True):
        try:
            device = str(os.stat(part.mountpoint).st_dev)  # noqa: PTH116  # psutil speaks text
            volumes.append(_volume(part.mountpoint, part.fstype, device, psutil.disk_usage(part.mountpoint)))
        except OSError:
            continue  # as df does: what may not be seen, or just went away, is no file system of ours
    return volumes


def _one(path: str, verdict: Verdict, summary: str, text: str = "") -> Look:
    return told(verdict, summary, instances={path: told(verdict, summary)}, evidence=text)


def _named(path: str, volumes: list[_Volume], text: str) -> Look:
    if not volumes and "No such file or directory" in text:
        return _one(path, Verdict.CRITICAL, f"{path}: no such file or directory", text)
    if not volumes:
        return told(Verdict.UNKNOWN, f"df says nothing of {path}: {text}", evidence=text)
    inner = _judged(path, volumes[0])
    return told(inner.verdict, inner.summary, instances={path: inner}, evidence=text)


def _looks(volumes: list[_Volume], options: DiskOptions, text: str) -> Look:
    meant = [volume for volume in volumes if _is_meant(volume, options)]
    shortest = {volume.device: volume for volume in sorted(meant, key=lambda volume: -len(volume.mount))}
    found = {one_line(volume.mount): _judged(volume.mount, volume) for volume in shortest.values()}
    if not found:
        summary = f"no file system matches: {text or ', '.join(options.match)}"
        return told(Verdict.UNKNOWN, summary, evidence=text)
    worst = max(found.values(), key=lambda look: (look.verdict.weight, look.metrics["used"]))
    return told(worst.verdict, worst.summary, instances=dict(sorted(found.items())), evidence=text)


def _is_meant(volume: _Volume, options: DiskOptions) -> bool:
    if volume.kind in _NEVER or volume.kind in options.ignore or volume.used + max(volume.free, 0.0) <= 0:
        return False
    return any(pattern == "all" or is_found(pattern, volume.mount) for pattern in options.match)


def _judged(name: str, volume: _Volume) -> Look:
    room = max(volume.free, 0.0)  # df shows a negative number when root has eaten into the reserve
    part = volume.used / (volume.used + room) if volume.used + room else 0.0
    verdict = Verdict.OK if room > 0 else Verdict.CRITICAL
    summary = f"{one_line(name, 100)}: {part:.0%} used, {spell_bytes(room)} free"
    return told(verdict, summary, metrics={"used": part, "free": room})
