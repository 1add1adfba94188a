"""Proofs: when a drill is overdue, which takes an older snapshot, how long a fault can stay unseen, how long it would take.

Values in, values out: the drills themselves are done in agent/backups.
"""

import math
from collections.abc import Sequence

from agent.model.backup import Backup
from agent.model.cadence import Cadence, Every
from agent.model.proof import Cycle, DrillOrder, Proof
from agent.practices import calendar

MICROSECONDS = 1_000_000
OLDER_EVERY = 4  # each fourth drill proves an older snapshot as well
LEARNED_FROM = 10  # drills, to predict from
_GRACE_SECONDS = 86_400.0  # a drill that waits so long for its repository, or for its daemon, is overdue
_COUNTED = 100  # drills are counted one by one on the calendar; a longer round is so much in proportion
_LEAST_SPREAD = 0.1  # sizes that differ by less than this tell nothing about the cost of a byte
_LEAST_SHARE = 0.01  # what was restored must be at least this share of what is asked about


def order(backup: Backup, last: Proof | None, ordered_at_us: int) -> DrillOrder:
    """How the next drill of a backup is to be done, after its last one."""
    turn = last.turn + 1 if last is not None else 1
    return DrillOrder(
        ordered_at_us=ordered_at_us,
        turn=turn,
        older=turn // OLDER_EVERY if turn % OLDER_EVERY == 0 else 0,
        sample=backup.drill.sample if backup.drill is not None else 0,
        cycle=last.cycle if last is not None else Cycle(),
        playbook=backup.drill.playbook if backup.drill is not None else "",
    )


def round_length(files: int, sample: int) -> int:
    """Within so many drills every file is compared; 1 when each restores the whole."""
    return max(1, math.ceil(files / sample)) if sample else 1


def longest_unseen_seconds(files: int, sample: int, every: Cadence, now_us: int) -> float | None:
    """How long a damaged file can stay unseen: a round of drills at its cadence, counted from now; None for never."""
    at_us = now_us
    length = round_length(files, sample)
    counted = min(length, _COUNTED)
    for _ in range(counted):
        following = _following(every, at_us)
        if following is None:
            return None
        at_us = following
    return (at_us - now_us) / MICROSECONDS * length / counted


def overdue_seconds(backup: Backup, last_us: int, now_us: int) -> float:
    """For how long a drill that should have been made since `last_us` has not been; 0 while there is time."""
    if backup.drill is None:
        return 0.0
    due_us = _following(backup.drill.every, last_us)
    following_us = None if due_us is None else _following(backup.drill.every, due_us)
    if due_us is None or following_us is None:
        return 0.0
    between = (following_us - due_us) / MICROSECONDS
    grace = min(between, _GRACE_SECONDS) + backup.splay_seconds + backup.timeout_seconds
    late = (now_us - due_us) / MICROSECONDS
    return late if late > grace else 0.0


def predicted_seconds(proofs: Sequence[Proof], size_bytes: int) -> float | None:
    """How long a restore of that size would take, from order to proof: a + size/b, by least squares over past drills.

    Both are at least 0. None when nothing was ever restored that says something about such a size.
    """
    known = [(one.size_bytes, one.seconds) for one in proofs if one.passed and one.size_bytes and one.seconds]
    known = known[:LEARNED_FROM]
    if not known or max(size for size, _ in known) < _LEAST_SHARE * size_bytes:
        return None
    sizes, times = [size for size, _ in known], [seconds for _, seconds in known]
    mean_size, mean_time = sum(sizes) / len(known), sum(times) / len(known)
    if max(sizes) - min(sizes) < _LEAST_SPREAD * max(sizes):
        return max(mean_time, mean_time * size_bytes / mean_size)
    spread = sum((size - mean_size) ** 2 for size in sizes)
    per_byte = max(0.0, sum((size - mean_size) * seconds for size, seconds in known) / spread)
    start = mean_time - per_byte * mean_size
    if start < 0:
        start, per_byte = 0.0, sum(size * seconds for size, seconds in known) / sum(size * size for size in sizes)
    return start + per_byte * size_bytes


def _following(every: Cadence, after_us: int) -> int | None:
    """When a cadence comes round again."""
    moments = [
        after_us + int(rule.seconds * MICROSECONDS) if isinstance(rule, Every) else calendar.next_due((rule,), after_us)
        for rule in every
    ]
    return min((moment for moment in moments if moment is not None), default=None)
