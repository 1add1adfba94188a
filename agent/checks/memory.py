"""check: memory — how much memory is in use, and how much could a program still get?

`free` is the kernel's MemAvailable (proc_meminfo(5)): what can be had without swapping, caches counted as free.
`used` is the rest as a share of MemTotal. Always ok by itself: `warn` and `crit` say what is too much.
"""

import re
from collections.abc import Mapping
from typing import ClassVar

from agent.checks import check
from agent.checks.reading import spell_bytes, told
from agent.closed import ClosedModel
from agent.model.check import RunFrom
from agent.model.look import Look, Section, Unit, Verdict

_FIELD = re.compile(r"^(\w+):\s+([0-9]{1,15}) kB", re.MULTILINE)


class MemoryOptions(ClosedModel):
    """Nothing to choose."""


@check("memory")
class Memory:
    """The memory of a whole machine."""

    OPTIONS: ClassVar = MemoryOptions
    SHORT: ClassVar = ""
    METRICS: ClassVar[Mapping[str, Unit]] = {"used": Unit.SHARE, "free": Unit.BYTES}
    RUN_FROM: ClassVar = RunFrom.HOST
    INSTANCES: ClassVar = False
    INSTANT: ClassVar = True

    @staticmethod
    def script(_options: MemoryOptions) -> str:
        """The kernel's own table."""
        return "cat /proc/meminfo\n"

    @staticmethod
    def read(section: Section, _options: MemoryOptions) -> Look:
        """Two of its lines, or four where the kernel is older than 3.14 and does not say what is available."""
        fields = {name: float(kilobytes) * 1024 for name, kilobytes in _FIELD.findall(section.text)}
        total = fields.get("MemTotal", 0.0)
        parts = [fields[name] for name in ("MemFree", "Buffers", "Cached") if name in fields]
        available = fields.get("MemAvailable", sum(parts) if len(parts) == 3 else -1.0)
        if total <= 0 or available < 0:
            summary = f"no memory figures: {section.text or 'nothing was printed'}"
            return told(Verdict.UNKNOWN, summary, evidence=section.text)
        return _judged(total, available)

    @staticmethod
    def look(_options: MemoryOptions) -> Look:
        """The same of this machine."""
        import psutil

        memory = psutil.virtual_memory()
        return _judged(float(memory.total), float(memory.available))


def _judged(total: float, available: float) -> Look:
    used = max(0.0, 1.0 - available / total)
    summary = f"{used:.0%} of {spell_bytes(total)} used, {spell_bytes(available)} available"
    return told(Verdict.OK, summary, metrics={"used": used, "free": available})
