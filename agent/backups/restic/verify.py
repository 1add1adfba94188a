"""Checks a repository: its structure always, and of its data the shares that are due; the rest is another day's."""

import dataclasses
import re
from collections.abc import Sequence

from agent.backups import Outcome
from agent.backups.restic.command import Ended, Restic
from agent.backups.restic.outcome import Message

LINES_KEPT = 20
_HINT = "see docs/upkeep.md on a damaged repository; its second copy, if it has one, may be whole"
_NO_DAMAGE = re.compile(
    r"^(Fatal: repository contains errors|The repository (contains|index is|is) |This (can|may) be"
    r"|restic repair |Damaged pack files can)"
)
_INDEX = re.compile(r"rebuild-index|repair index|not found in index|Index file|index [0-9a-f]{8,64}", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """What a check found. `read` are the shares that were read and sound; `lines` the first of `count` complaints."""

    outcome: Outcome
    why: str = ""
    hint: str = ""
    read: tuple[int, ...] = ()
    lines: tuple[str, ...] = ()
    count: int = 0


def check(restic: Restic, shares: Sequence[int], of: int) -> Findings:
    """Check the structure once, and read the given shares of `of` of the data; it stops at the first that is not sound.

    Damage is what restic says after it could look: a repository that is locked or that its password does not open is not
    damaged, whatever its summary counts (restic 0.18 and 0.19 count an error there).
    """
    read: list[int] = []
    for share in shares or (0,):
        part = (f"--read-data-subset={share}/{of}",) if share else ()
        ended = restic.call("check", "--json", *part)
        if ended.outcome is not Outcome.OK:
            return _wrong(ended, tuple(read))
        read += [share] if share else []
    return Findings(outcome=Outcome.OK, read=tuple(read))


def _wrong(ended: Ended, read: tuple[int, ...]) -> Findings:
    outcome = ended.outcome
    if outcome in {Outcome.FAILED, Outcome.PARTIAL} and (ended.of_type("summary") or {}).get("num_errors"):
        outcome = Outcome.DAMAGED
    if outcome is not Outcome.DAMAGED:
        return Findings(outcome=outcome, why=ended.why(), read=read)
    lines = [line for line in ended.errors if line.strip() and not _NO_DAMAGE.match(line)] or [ended.why()]
    return Findings(
        outcome=outcome,
        why=lines[0],
        hint=_advice(ended.of_type("summary") or {}, ended.errors),
        read=read,
        lines=tuple(lines[:LINES_KEPT]),
        count=len(lines),
    )


def _advice(summary: Message, errors: Sequence[str]) -> str:
    """What to type next: what restic itself suggests comes first."""
    advice = []
    packs = summary.get("broken_packs") or ()
    if summary.get("suggest_repair_index") or (not summary and any(_INDEX.search(line) for line in errors)):
        advice.append("restic repair index" if summary else "restic rebuild-index")
    if packs:
        advice.append(f"restic repair packs {' '.join(map(str, packs))}")
    if summary.get("suggest_prune"):
        advice.append("afterwards: restic prune")
    return "; ".join([*advice, _HINT])
