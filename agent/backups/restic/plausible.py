"""Whether a snapshot can be what it says it is: whoever may write to a repository may date a snapshot as he likes.

A snapshot of ours carries the id of its execution, and the first half of that is the time when it was filed (ULID).
"""

import re

from agent.backups import Snapshot
from agent.clock import MICROSECONDS

AHEAD_US = 300 * MICROSECONDS  # how far a clock may be off
LATE_US = 7 * 24 * 3600 * MICROSECONDS  # an execution that was filed begins and ends within days
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def doubt(snapshot: Snapshot, now_us: int) -> str:
    """Why its time cannot be true; empty when it can."""
    if snapshot.at_us > now_us + AHEAD_US:
        return "dated in the future"
    if not snapshot.exec_id:
        return "no execution of ours made it"
    filed_us = _filed(snapshot.exec_id)
    if filed_us is not None and not filed_us - AHEAD_US <= snapshot.at_us <= filed_us + LATE_US:
        return "not dated when its execution ran"
    return ""


def _filed(exec_id: str) -> int | None:
    """The moment in a ULID: 48 bits of milliseconds in its first ten signs (µs UTC); None when it is none."""
    if _ULID.fullmatch(exec_id) is None:
        return None
    milliseconds = 0
    for sign in exec_id[:10]:
        milliseconds = milliseconds * 32 + _DIGITS.index(sign)
    return milliseconds * 1_000
