"""check: cpu — how busy are the processors right now?

The kernel's counters (proc_stat(5)), read twice a quarter of a second apart, over all processors together. `used` is
all time but idle and waiting; `iowait` is time with nothing to do but to wait for disks, `steal` time that a hypervisor
gave to others. Always ok by itself: `warn` and `crit` say what is too much; one look is short, so let `fail_after`
tell a busy minute from a busy moment.
"""

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from agent.checks import check
from agent.checks.reading import one_line, told
from agent.closed import ClosedModel
from agent.model.check import RunFrom
from agent.model.look import Look, Section, Unit, Verdict

# user, nice, system, idle, iowait, irq, softirq, steal; guests that follow are counted in user and nice already.
_PRINTED = re.compile(r"^cpu ((?: [0-9]{1,20}){4,10})\s*$", re.MULTILINE)
_IDLE, _IOWAIT, _STEAL, _COUNTED = 3, 4, 7, 8


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

    @staticmethod
    def script(_options: CpuOptions) -> str:
        """The first line twice; POSIX knows no sleep shorter than a second, most systems do."""
        look = 'read -r line </proc/stat && echo "$line"'
        return f"{look}\nsleep 0.25 2>/dev/null || sleep 1\n{look}\n"

    @staticmethod
    def read(section: Section, _options: CpuOptions) -> Look:
        """What the counters gained between the two lines."""
        lines = [[float(count) for count in printed.split()] for printed in _PRINTED.findall(section.text)]
        if len(lines) == 2 and len(lines[0]) == len(lines[1]):
            # A counter may go back a little (proc_stat(5) on iowait): that is no time spent.
            gained = [max(0.0, later - sooner) for sooner, later in zip(*lines, strict=True)][:_COUNTED]
            if sum(gained) > 0:
                return _judged(gained)
        words = "no answer in time" if section.timed_out else one_line(section.text) or "nothing was printed"
        return told(Verdict.UNKNOWN, f"no processor figures: {words}", evidence=section.text)


def _judged(gained: Sequence[float]) -> Look:
    total = sum(gained)
    iowait, steal = (gained[at] / total if at < len(gained) else 0.0 for at in (_IOWAIT, _STEAL))
    used = max(0.0, 1.0 - gained[_IDLE] / total - iowait)
    summary = f"{used:.0%} used, {iowait:.0%} waiting for disks, {steal:.0%} stolen"
    return told(Verdict.OK, summary, metrics={"used": used, "iowait": iowait, "steal": steal})
