"""check: swap — how much of the swap space is in use?

SwapTotal and SwapFree of proc_meminfo(5). A machine without swap uses none of it. Always ok by itself: `warn` and
`crit` say what is too much.
"""

import re
from collections.abc import Mapping
from typing import ClassVar

from agent.checks import check
from agent.checks.reading import spell_bytes, told
from agent.closed import ClosedModel
from agent.model.check import RunFrom
from agent.model.look import Look, Section, Unit, Verdict

_FIELD = re.compile(r"^Swap(Total|Free):\s+([0-9]{1,15}) kB", re.MULTILINE)


class SwapOptions(ClosedModel):
    """Nothing to choose."""


@check("swap")
class Swap:
    """The swap space of a whole machine."""

    OPTIONS: ClassVar = SwapOptions
    SHORT: ClassVar = ""
    METRICS: ClassVar[Mapping[str, Unit]] = {"used": Unit.SHARE, "free": Unit.BYTES}
    RUN_FROM: ClassVar = RunFrom.HOST
    INSTANCES: ClassVar = False
    INSTANT: ClassVar = True

    @staticmethod
    def script(_options: SwapOptions) -> str:
        """Two lines of the kernel's own table."""
        return "grep ^Swap /proc/meminfo\n"

    @staticmethod
    def read(section: Section, _options: SwapOptions) -> Look:
        """The two numbers."""
        fields = {name: float(kilobytes) * 1024 for name, kilobytes in _FIELD.findall(section.text)}
        if fields.keys() != {"Total", "Free"}:
            summary = f"no swap figures: {section.text or 'nothing was printed'}"
            return told(Verdict.UNKNOWN, summary, evidence=section.text)
        return _judged(fields["Total"], min(fields["Free"], fields["Total"]))

    @staticmethod
    def look(_options: SwapOptions) -> Look:
        """The same of this machine."""
        import psutil

        swap = psutil.swap_memory()
        return _judged(float(swap.total), float(swap.free))


def _judged(total: float, free: float) -> Look:
    if total <= 0:
        return told(Verdict.OK, "this machine has no swap", metrics={"used": 0.0, "free": 0.0})
    used = 1.0 - free / total
    summary = f"{used:.0%} of {spell_bytes(total)} used, {spell_bytes(free)} free"
    return told(Verdict.OK, summary, metrics={"used": used, "free": free})
