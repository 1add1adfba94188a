"""check: uptime — since when does the machine run?

`uptime` is the time since its start, suspend included (proc_uptime(5)). `booted` is the kernel's id of this boot
(random(4): boot_id), another one after every start: `warn: {booted: changed}` tells of each reboot, however short.
Always ok by itself.
"""

import re
from collections.abc import Mapping
from typing import ClassVar

from agent.checks import check
from agent.checks.reading import told
from agent.closed import ClosedModel
from agent.model.check import RunFrom
from agent.model.look import Look, Section, Unit, Verdict

_PRINTED = re.compile(r"^([0-9]{1,12}\.[0-9]{1,9}) [0-9.]{1,30}\n([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\s*$")


class UptimeOptions(ClosedModel):
    """Nothing to choose."""


@check("uptime")
class Uptime:
    """The time since the kernel started."""

    OPTIONS: ClassVar = UptimeOptions
    SHORT: ClassVar = ""
    METRICS: ClassVar[Mapping[str, Unit]] = {"uptime": Unit.SECONDS, "booted": Unit.TEXT}
    RUN_FROM: ClassVar = RunFrom.HOST
    INSTANCES: ClassVar = False
    INSTANT: ClassVar = True

    @staticmethod
    def script(_options: UptimeOptions) -> str:
        """Two files of the kernel."""
        return "cat /proc/uptime /proc/sys/kernel/random/boot_id\n"

    @staticmethod
    def read(section: Section, _options: UptimeOptions) -> Look:
        """A number and an id."""
        if (printed := _PRINTED.match(section.text)) is None:
            summary = f"no time since the start: {section.text or 'nothing was printed'}"
            return told(Verdict.UNKNOWN, summary, evidence=section.text)
        seconds = float(printed[1])
        return told(Verdict.OK, f"up for {_spelled(seconds)}", metrics={"uptime": seconds, "booted": printed[2]})


def _spelled(seconds: float) -> str:
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if days:
        return f"{days} d {hours % 24} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min {int(seconds % 60)} s"
