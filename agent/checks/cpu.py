"""check: cpu — how busy were the processors since the last look?

The kernel's counters (proc_stat(5)) over all processors together; the first look, and one after an hour without the
agent, has none to compare with and reads them twice a quarter of a second apart. `used` is all time but idle and waiting; `iowait` is time with nothing to do but
to wait for disks, `steal` time that a hypervisor gave to others. Always ok by itself: `warn` and `crit` say what is too
much.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from agent.checks import check
from agent.checks.reading import one_line, told
from agent.checks.recalling import Finite, Kept
from agent.closed import ClosedModel
from agent.model.check import RunFrom
from agent.model.look import Look, Section, Unit, Verdict

# user, nice, system, idle, iowait, irq, softirq, steal; guests that follow are counted in user and nice already.
_PRINTED = re.compile(r"^cpu ((?: [0-9]{1,20}){4,10})\s*$", re.MULTILINE)
_IDLE, _IOWAIT, _STEAL, _COUNTED = 3, 4, 7, 8

Counters = tuple[Finite, ...]


class CpuOptions(ClosedModel):
    """Nothing to choose."""


@check("cpu")
class Cpu:
    """All processors of a machine, as one."""

    OPTIONS: ClassVar = CpuOptions
    SHORT: ClassVar = ""
    METRICS: ClassVar[Mapping[str, Unit]] = {"used": Unit.SHARE, "iowait": Unit.SHARE, "steal": Unit.SHARE}
    RUN_FROM: ClassVar = RunFrom.HOST
    INSTANCES: ClassVar = False
    RECALLS: ClassVar = True
    MEMORY: ClassVar = Kept(Counters, lasts=False)

    @staticmethod
    def script(_options: CpuOptions, memory: Counters | None = None) -> str:
        """One line, no program; at first two, with a sleep between: POSIX knows none below a second, most systems do."""
        look = 'read -r line </proc/stat && echo "$line"\n'
        return look if memory is not None else f"{look}sleep 0.25 2>/dev/null || sleep 1\n{look}"

    @staticmethod
    def read(section: Section, _options: CpuOptions, memory: Counters | None = None) -> Look:
        """What the counters gained."""
        lines = [tuple(map(float, printed.split()[:_COUNTED])) for printed in _PRINTED.findall(section.text)]
        if len(lines) == 1 and memory is not None:
            lines.insert(0, memory)
        if len(lines) == 2 and len(lines[0]) == len(lines[1]):
            gained = _gained(*lines)
            if sum(gained) > 0:
                return dataclasses.replace(_judged(gained), memory=lines[1])
        words = "no answer in time" if section.timed_out else one_line(section.text) or "nothing was printed"
        return told(Verdict.UNKNOWN, f"no processor figures: {words}", evidence=section.text)


def _gained(sooner: Counters, later: Counters) -> Sequence[float]:
    if sum(later) < sum(sooner):
        return later  # it was started anew: all that was counted since
    # One counter may go back a little (proc_stat(5) on iowait): that is no time spent.
    return [max(0.0, after - before) for before, after in zip(sooner, later, strict=True)]


def _judged(gained: Sequence[float]) -> Look:
    total = sum(gained)
    iowait, steal = (gained[at] / total if at < len(gained) else 0.0 for at in (_IOWAIT, _STEAL))
    used = max(0.0, 1.0 - gained[_IDLE] / total - iowait)
    summary = f"{used:.0%} used, {iowait:.0%} waiting for disks, {steal:.0%} stolen"
    return told(Verdict.OK, summary, metrics={"used": used, "iowait": iowait, "steal": steal})
