"""check: disk — how full are the file systems?

`used` is what df(1) calls capacity, used / (used + available), and `free` what an ordinary user may still write
(statvfs(3): f_bavail), so blocks reserved for root count as neither. Critical when nothing is free at all, or when a
path that was asked for by name does not exist; everything else is for `warn` and `crit` to say.

`full_in` is a forecast, made by the agent where a bound asks for it: the lower end of what the lowest free space of
each of the past 30 days says (80 % interval of Theil and Sen's slope), or of the last half hour when it would be full
within 4 hours. There is none, and no bound on it trips, while free space does not sink below what the past week has
seen (a regular clean-up is no trend), for the first five days (for the first day, of the last half hour), and after the
file system got another size.
"""

import os
from collections.abc import Mapping
from typing import Any, ClassVar

from agent.checks import check, volumes
from agent.checks.reading import one_line, spell_bytes, told
from agent.checks.volumes import Volume, VolumeOptions
from agent.model.check import RunFrom
from agent.model.look import Look, Section, Unit, Verdict

_BLOCK = 1024  # df -k


class DiskOptions(VolumeOptions):
    """Which file systems: the one that holds `path`, or those whose mount points `match`."""


@check("disk")
class Disk:
    """One instance per file system, named by its mount point (or by the path asked for)."""

    OPTIONS: ClassVar = DiskOptions
    SHORT: ClassVar = "path"
    METRICS: ClassVar[Mapping[str, Unit]] = {"used": Unit.SHARE, "free": Unit.BYTES, "full_in": Unit.SECONDS}
    RUN_FROM: ClassVar = RunFrom.HOST
    INSTANCES: ClassVar = True

    @staticmethod
    def script(options: DiskOptions) -> str:
        """df, of one path or of all file systems."""
        return volumes.script(options, "-PTk")

    @staticmethod
    def read(section: Section, options: DiskOptions) -> Look:
        """The lines of df."""
        return volumes.read(section, options, _judged)

    @staticmethod
    def look(options: DiskOptions) -> Look:
        """What statvfs(2) says on this machine."""
        import psutil

        if options.path is None:
            return volumes.matching(_mounted(), options, _judged, "")
        try:
            usage = psutil.disk_usage(options.path)
        except (FileNotFoundError, NotADirectoryError):
            return volumes.only(options.path, Verdict.CRITICAL, f"{options.path}: no such file or directory")
        except OSError as error:
            return volumes.only(options.path, Verdict.UNKNOWN, f"{options.path}: {error.strerror}")
        return volumes.named(options.path, [_volume(options.path, "", "", usage)], _judged, "")


def _volume(mount: str, kind: str, device: str, usage: Any) -> Volume:
    return Volume(mount=mount, kind=kind, device=device, used=usage.used / _BLOCK, free=usage.free / _BLOCK)


def _mounted() -> list[Volume]:
    import psutil

    found = []
    for part in psutil.disk_partitions(all=True):
        try:
            device = str(os.stat(part.mountpoint).st_dev)  # noqa: PTH116  # psutil speaks text
            found.append(_volume(part.mountpoint, part.fstype, device, psutil.disk_usage(part.mountpoint)))
        except OSError:
            continue  # as df does: what may not be seen, or just went away, is no file system of ours
    return found


def _judged(name: str, volume: Volume) -> Look:
    room = max(volume.free, 0.0) * _BLOCK
    verdict = Verdict.OK if room > 0 else Verdict.CRITICAL
    summary = f"{one_line(name, 100)}: {volume.share:.0%} used, {spell_bytes(room)} free"
    return told(verdict, summary, metrics={"used": volume.share, "free": room})
