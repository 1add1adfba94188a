"""Retention: which snapshots of a repository may be removed, and which of them nobody of ours can have made.

Only snapshots of our own record count for keeping, and only they are removed: one with a forged time, host or tag
pushes no real one out, and stays for a person to look at.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from agent.model.upkeep import Finding, Holding, Keep, Recorded, Saved, Strange

MICROSECONDS = 1_000_000
AHEAD_SECONDS = 300.0  # how far a client's clock may be ahead of ours
_SHOWN = 8  # of a snapshot's id, as restic shows it


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What follows from a listing: ids to `remove`, ids `kept` with why, and `findings` that no upkeep of ours explains."""

    remove: tuple[str, ...] = ()
    kept: Mapping[str, str] = dataclasses.field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    foreign: int = 0  # snapshots that do not say that they are ours: left alone


def judge(
    listed: Iterable[Saved],
    holdings: Iterable[Holding],
    *,
    now_us: int,
    since_us: int = 0,
    accepted: Collection[str] = (),
) -> Verdict:
    """The verdict over a whole repository; when anything in it is a finding, nothing is removed.

    `since_us` is when the repository came under our watch: what claims to be ours, stands in no record and is older was
    made by an earlier installation, and is left alone. `accepted` are ids that a person has looked at.
    """
    mine: dict[tuple[str, str], list[Saved]] = {}
    foreign, findings = 0, list[Finding]()
    known = {(holding.item, holding.host): holding for holding in holdings}
    for one in listed:
        if (one.item, one.host) in known and one.is_ours:
            mine.setdefault((one.item, one.host), []).append(one)
        else:
            foreign += 1
    remove, kept = list[str](), dict[str, str]()
    for place, holding in known.items():
        snapshots = mine.get(place, [])
        real = [one for one in snapshots if _is_real(one, holding)]
        findings += _strangers(snapshots, holding, now_us=now_us, since_us=since_us, accepted=accepted)
        findings += _missing(snapshots, holding)
        out, stay = decide(real, holding.keep, protected=holding.protected)
        remove += out
        kept |= stay
    return Verdict(remove=() if findings else tuple(remove), kept=kept, findings=tuple(findings), foreign=foreign)


def decide(
    snapshots: Iterable[Saved], keep: Keep | None, *, protected: Collection[str] = ()
) -> tuple[tuple[str, ...], dict[str, str]]:
    """The ids of one backup's real snapshots to remove, the oldest first; and those that stay, with why.

    Never removed: the newest, what is `protected` (an id or its original), and what is younger than the floor. The floor
    counts back from the newest, as restic's does: neither a clock that ran ahead nor a backup that stopped eats it up.
    """
    newest_first = sorted(snapshots, key=lambda one: (one.at_us, one.id), reverse=True)
    kept: dict[str, str] = {}
    for one in newest_first:
        why = _always(one, newest_first[0], keep, protected)
        if why:
            kept[one.id] = why
    if keep is None:
        return (), kept
    for name, count, mark in _rules(keep):
        _fill(newest_first, name, count, mark, kept)
    return tuple(one.id for one in reversed(newest_first) if one.id not in kept), kept


def _always(one: Saved, newest: Saved, keep: Keep | None, protected: Collection[str]) -> str:
    if keep is None:
        return "everything is kept"
    if one is newest:
        return "the newest"
    if one.at_us > newest.at_us - int(keep.within_seconds * MICROSECONDS):
        return "within"
    return "last good or last proven" if {one.id, one.original} & set(protected) else ""


def _rules(keep: Keep) -> tuple[tuple[str, int, Callable[[Saved], object]], ...]:
    """Every rule: its name, how many it keeps, and what two snapshots of the same span have in common."""
    zone = ZoneInfo(keep.zone)

    def at(one: Saved) -> datetime:
        return datetime.fromtimestamp(one.at_us / MICROSECONDS, zone)

    return (
        ("last", keep.last, lambda one: one.id),
        ("hourly", keep.hourly, lambda one: one.at_us // (3600 * MICROSECONDS)),
        ("daily", keep.daily, lambda one: at(one).date()),
        ("weekly", keep.weekly, lambda one: at(one).isocalendar()[:2]),
        ("monthly", keep.monthly, lambda one: (at(one).year, at(one).month)),
        ("yearly", keep.yearly, lambda one: at(one).year),
    )


def _fill(
    newest_first: Iterable[Saved], name: str, count: int, mark: Callable[[Saved], object], kept: dict[str, str]
) -> None:
    """Keep the newest snapshot of each of the newest `count` spans in which there are any."""
    spans: set[object] = set()
    for one in newest_first:
        span = mark(one)
        if span in spans:
            continue
        if len(spans) == count:
            return
        spans.add(span)
        kept.setdefault(one.id, name)


def _is_real(one: Saved, holding: Holding) -> bool:
    return one.original in {known.snapshot for known in holding.recorded}


def _strangers(
    snapshots: Iterable[Saved], holding: Holding, *, now_us: int, since_us: int, accepted: Collection[str]
) -> list[Finding]:
    """What claims to be ours and is not: by the record nobody made it."""
    recorded = {known.snapshot: known for known in holding.recorded}
    told = {one.id: _strange(one, recorded.get(one.original), holding, now_us, since_us) for one in snapshots}
    looked_at = {one.id for one in snapshots if {one.id, one.original} & set(accepted)}
    return [_finding(Strange.SNAPSHOT, id_, holding, why) for id_, why in told.items() if why and id_ not in looked_at]


def _strange(one: Saved, known: Recorded | None, holding: Holding, now_us: int, since_us: int) -> str:
    if one.at_us > now_us + int(AHEAD_SECONDS * MICROSECONDS):
        return "is from the future"
    if known is not None:
        is_other = known.at_us and abs(known.at_us - one.at_us) > MICROSECONDS
        return "has another time than when it was made" if is_other else ""
    return "was made by nobody of ours" if one.at_us >= since_us and one.exec_id not in holding.tries else ""


def _missing(snapshots: Iterable[Saved], holding: Holding) -> list[Finding]:
    there = {one.original for one in snapshots}
    gone = [known.snapshot for known in holding.recorded if not known.may_be_gone and known.snapshot not in there]
    return [_finding(Strange.MISSING, id_, holding, "is gone, and nobody of ours removed it") for id_ in gone]


def _finding(what: Strange, id_: str, holding: Holding, why: str) -> Finding:
    return Finding(what=what, id=id_, key=holding.key, words=f"snapshot {id_[:_SHOWN]} of {holding.key} {why}")
