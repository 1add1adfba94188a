"""check: inodes — how many more files can the file systems take?

What df(1) -i counts (statvfs(3): f_files, f_ffree): a file system without free inodes takes no new file, however much
room it has. Critical when none is free, or when a path that was asked for by name does not exist. File systems that
make inodes as they need them (btrfs, xfs in part, network shares) have no such limit: `match` leaves them out.
`full_in` is a forecast, as with `disk`.
"""

from collections.abc import Mapping
from typing import ClassVar

from agent.checks import check, volumes
from agent.checks.reading import one_line, told
from agent.checks.volumes import Volume, VolumeOptions
from agent.model.check import RunFrom
from agent.model.look import Look, Section, Unit, Verdict


class InodesOptions(VolumeOptions):
    """Which file systems: the one that holds `path`, or those whose mount points `match`."""


@check("inodes")
class Inodes:
    """One instance per file system, named by its mount point (or by the path asked for)."""

    OPTIONS: ClassVar = InodesOptions
    SHORT: ClassVar = "path"
    METRICS: ClassVar[Mapping[str, Unit]] = {"used": Unit.SHARE, "free": Unit.NUMBER, "full_in": Unit.SECONDS}
    RUN_FROM: ClassVar = RunFrom.HOST
    INSTANCES: ClassVar = True

    @staticmethod
    def script(options: InodesOptions) -> str:
        """df, of one path or of all file systems."""
        return volumes.script(options, "-PTi")

    @staticmethod
    def read(section: Section, options: InodesOptions) -> Look:
        """The lines of df."""
        return volumes.read(section, options, _judged)


def _judged(name: str, volume: Volume) -> Look:
    if volume.used + volume.free <= 0:
        summary = f"{one_line(name, 100)}: this file system has no fixed number of inodes"
        return told(Verdict.OK, summary, metrics={"used": 0.0})
    verdict = Verdict.OK if volume.free > 0 else Verdict.CRITICAL
    summary = f"{one_line(name, 100)}: {volume.share:.0%} used, {volume.free:,.0f} inodes free"
    return told(verdict, summary, metrics={"used": volume.share, "free": volume.free})
