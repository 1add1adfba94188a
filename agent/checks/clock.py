"""check: clock — does the host's clock show the right time, and is it kept right?

`offset` is how far the host's clock is ahead of or behind the agent's, without sign. The agent knows when it asked and
when the answer was there; only what lies outside of that span counts, so a slow line makes no clock look wrong, and what
is smaller than the span (milliseconds, to a second where date(1) shows whole seconds only) stays unseen. The agent's own
clock had better be right: when all hosts are off by the same, it is not. `synchronized` is yes or no, from
timedatectl(1) or adjtimex(2), where the host has one of them. Always ok by itself: `warn` and `crit` say what is wrong.
"""

import re
from collections.abc import Mapping
from typing import ClassVar

from agent.checks import check
from agent.checks.reading import one_line, spell_seconds, told
from agent.clock import MICROSECONDS
from agent.closed import ClosedModel
from agent.model.check import RunFrom
from agent.model.look import Look, Measure, Section, Unit, Verdict

_NOW = re.compile(r"^now (-?[0-9]{1,12})\.(?:([0-9]{9})|%N|N)?\s*$", re.MULTILINE)
_SYNCHRONIZED = re.compile(r"^NTPSynchronized=(yes|no)$", re.MULTILINE)
_STATUS = re.compile(r"^.*\bstatus:\s+\S+(.*)$", re.MULTILINE)


class ClockOptions(ClosedModel):
    """Nothing to choose."""


@check("clock")
class HostClock:
    """The wall clock of a host."""

    OPTIONS: ClassVar = ClockOptions
    SHORT: ClassVar = ""
    METRICS: ClassVar[Mapping[str, Unit]] = {"offset": Unit.SECONDS, "synchronized": Unit.TEXT}
    RUN_FROM: ClassVar = RunFrom.HOST
    INSTANCES: ClassVar = False

    @staticmethod
    def script(_options: ClockOptions) -> str:
        """The time, to the nanosecond where date knows it, and what the kernel or systemd thinks of it."""
        return (
            "date +'now %s.%N'\n"
            "timedatectl show -p NTPSynchronized 2>/dev/null || adjtimex -p 2>/dev/null || adjtimex 2>/dev/null || :\n"
        )

    @staticmethod
    def read(section: Section, _options: ClockOptions) -> Look:
        """The host's time, held against the span in which it was asked."""
        printed = _NOW.search(section.text)
        if printed is None or section.timed_out or not section.asked_us:
            words = "no answer in time" if section.timed_out else one_line(section.text) or "nothing was printed"
            return told(Verdict.UNKNOWN, f"no time of the host: {words}", evidence=section.text)
        shown = float(printed[1]) + float(printed[2] or 0) / 1e9
        step = 0.0 if printed[2] else 1.0  # whole seconds are cut off, not rounded
        ahead = shown - section.answered_us / MICROSECONDS
        behind = section.asked_us / MICROSECONDS - (shown + step)
        offset = max(0.0, ahead, behind)
        metrics: dict[str, Measure] = {"offset": offset}
        words = f"{_spelled(offset)} {'ahead' if ahead > behind else 'behind'}" if offset else "shows the agent's time"
        if (synchronized := _is_synchronized(section.text)) is not None:
            metrics["synchronized"] = "yes" if synchronized else "no"
            words += "" if synchronized else ", not synchronized"
        return told(Verdict.OK, words, metrics=metrics)


def _is_synchronized(text: str) -> bool | None:
    if (said := _SYNCHRONIZED.search(text)) is not None:
        return said[1] == "yes"
    if (status := _STATUS.search(text)) is not None:
        return "UNSYNC" not in status[1]
    return None


def _spelled(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return spell_seconds(seconds)
