"""What two readings of a device's counters mean: wraps are undone, restarts and resets are noticed (RFC 2863, 3.1.4-6)."""

import dataclasses

from agent.clock import NANOSECONDS
from agent.transports.snmp import ber
from agent.transports.snmp.ber import Cell

_TICKS = 2**32  # TimeTicks wrap after 497 days
_SLACK_SECONDS, _SLACK_SHARE = 5.0, 0.2  # two clocks, and counters that agents renew every few seconds


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """When counters were read: by the device's clock (sysUpTime, hundredths of a second), if it tells, and by ours."""

    ticks: int | None
    at_ns: int


def seconds_between(before: Moment, after: Moment) -> float | None:
    """How long between two readings; None when the device started anew in between, so that nothing can be compared."""
    ours = (after.at_ns - before.at_ns) / NANOSECONDS
    if before.ticks is None or after.ticks is None:
        return ours if ours > 0 else None
    theirs = (after.ticks - before.ticks) % _TICKS / 100
    if ours <= 0 or abs(theirs - ours) > max(_SLACK_SECONDS, ours * _SLACK_SHARE):
        return None
    return theirs or ours


def gained(before: int, after: int, size: int) -> int | None:
    """By how much a counter of this size (2^32, 2^64) rose; None when it was set back rather than came round."""
    if after >= before:
        return after - before
    rise = after + size - before
    return rise if size <= 2**32 and rise < size // 2 else None  # 64 bits do not come round in a lifetime


def moment(uptime: Cell, at_ns: int) -> Moment:
    """The moment of a reading, with the sysUpTime that came along."""
    return Moment(ticks=None if uptime[0] in ber.ABSENT else int(ber.number(uptime) or 0), at_ns=at_ns)
