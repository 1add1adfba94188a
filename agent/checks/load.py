"""check: load — how many tasks run or wait for a processor or a disk, for each core?

The kernel's averages over 1, 5 and 15 minutes (proc_loadavg(5)), divided by the cores that are online; 1.0 means that
every core had one task. Always ok by itself: `warn` and `crit` say what is too much.
"""

import functools
import os
import re
from collections.abc import Mapping
from typing import ClassVar

from agent.checks import check
from agent.checks.reading import told
from agent.clock import NANOSECONDS, SystemClock
from agent.closed import ClosedModel
from agent.model.check import RunFrom
from agent.model.look import Look, Section, Unit, Verdict

_CLOCK, _MINUTE = SystemClock(), 60 * NANOSECONDS
_PRINTED = re.compile(r"^([0-9.]{1,15}) ([0-9.]{1,15}) ([0-9.]{1,15}) .*\n\s*([0-9]{1,6})\s*$", re.MULTILINE)


class LoadOptions(ClosedModel):
    """Nothing to choose."""


@check("load")
class Load:
    """The load of a whole machine, per core."""

    OPTIONS: ClassVar = LoadOptions
    SHORT: ClassVar = ""
    METRICS: ClassVar[Mapping[str, Unit]] = {"load1": Unit.NUMBER, "load5": Unit.NUMBER, "load15": Unit.NUMBER}
    RUN_FROM: ClassVar = RunFrom.HOST
    INSTANCES: ClassVar = False
    INSTANT: ClassVar = True

    @staticmethod
    def script(_options: LoadOptions) -> str:
        """The averages, then the cores (getconf is not everywhere)."""
        return "cat /proc/loadavg\n{ getconf _NPROCESSORS_ONLN || nproc || grep -c ^processor /proc/cpuinfo; } 2>/dev/null\n"

    @staticmethod
    def read(section: Section, _options: LoadOptions) -> Look:
        """Three numbers and a fourth."""
        printed = _PRINTED.search(section.text)
        try:
            if printed is not None and int(printed[4]) > 0:
                return _judged((float(printed[1]), float(printed[2]), float(printed[3])), int(printed[4]))
        except ValueError:
            pass  # dots in the wrong places: told below
        summary = f"no load figures: {section.text or 'nothing was printed'}"
        return told(Verdict.UNKNOWN, summary, evidence=section.text)

    @staticmethod
    def look(_options: LoadOptions) -> Look:
        """The same of this machine."""
        return _judged(os.getloadavg(), _cores(_CLOCK.boottime() // _MINUTE))


@functools.lru_cache(maxsize=1)
def _cores(_minute: int) -> int:
    """The cores that are online, asked once a minute: the kernel takes ten times longer to tell than the averages."""
    import psutil

    return psutil.cpu_count() or 1


def _judged(averages: tuple[float, float, float], cores: int) -> Look:
    load1, load5, load15 = averages[0] / cores, averages[1] / cores, averages[2] / cores
    summary = f"{load1:.2f}, {load5:.2f}, {load15:.2f} per core ({cores} core{'s' if cores > 1 else ''})"
    return told(Verdict.OK, summary, metrics={"load1": load1, "load5": load5, "load15": load15})
