"""A quorum: how many of a check's hosts are well, counted from the states of that check."""

from collections import Counter
from collections.abc import Iterable

from agent.model.look import Look, Verdict
from agent.model.state import CheckState

SUPPRESSED, PENDING = "suppressed", "pending"
_ORDER = (Verdict.CRITICAL, Verdict.WARNING, Verdict.UNKNOWN, SUPPRESSED, PENDING)
_WORDS = {PENDING: "not looked at yet"}


def standing(state: CheckState) -> str:
    """How a member counts: `ok`, or why not; a failure counts from its first result to the end of its recovery."""
    if state.parents:
        return SUPPRESSED
    raw, hard = state.raw, state.hard
    if raw is None:
        return PENDING
    return (hard if hard.weight > raw.weight and raw is not Verdict.UNKNOWN else raw).value


def tally(standings: Iterable[str]) -> Look:
    """The look at all members: what they are, each word once; unknown as long as one waits for its first look."""
    counts = Counter(standings)
    total, well = counts.total(), counts[Verdict.OK]
    if not total:
        return Look(
            verdict=Verdict.UNKNOWN, summary="there is nothing to count: every member is paused or switched off"
        )
    others = [f"{counts[word]} {_WORDS.get(word, word)}" for word in _ORDER if counts[word]]
    return Look(
        verdict=Verdict.UNKNOWN if counts[PENDING] else Verdict.OK,
        summary=f"{well} of {total} ok" + (f" ({', '.join(others)})" if others else ""),
        metrics={"ok": float(well), "total": float(total), "share": well / total},
    )
