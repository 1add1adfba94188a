"""What our record knows of a repository: what it should hold, what may be copied, what of its upkeep is done or late."""

from collections.abc import Callable, Collection, Iterator

from agent.backups import Outcome
from agent.model.backup import Backup
from agent.model.execution import Execution, ExecutionKind, ExecutionState
from agent.model.proof import Point
from agent.model.upkeep import Finding, Holding, Recorded, Strange
from agent.practices import calendar
from agent.practices import upkeep as practice
from agent.practices.places import Place, cause_of
from agent.practices.upkeep import MICROSECONDS, Facts
from agent.store import backups, dues, executions
from agent.store.tx import Reader

_JUDGED = {Outcome.OK.value, Outcome.DAMAGED.value}  # of a check: it could look
_SAVING = (ExecutionKind.BACKUP, ExecutionKind.DRILL)
_RECENT = 50


def of(reader: Reader, place: Place) -> tuple[Holding, ...]:
    """What should be in a repository, backup by backup."""
    removed = {
        id_
        for cause in (place.cause, *place.sources)
        for one in executions.listing(reader, kind=ExecutionKind.PRUNE, correlation_id=cause)
        for id_ in (*one.detail.get("removed", ()), *one.detail.get("planned", ()))
    }
    absent = {id_ for one in _good_copies(reader, place) for id_ in one.detail.get("absent", ())}
    until = {source: copied_until(reader, place, source) for source in place.sources}
    here = [_holding(reader, backup, place, removed, None) for backup in place.saved]
    for backup in place.copied:
        until_us = until[cause_of(backup.repository, backup.host)]
        here.append(_holding(reader, backup, place, removed | absent, until_us))
    return tuple(here)


def _holding(
    reader: Reader, backup: Backup, place: Place, removed: Collection[str], copied_until_us: int | None
) -> Holding:
    """`copied_until_us` says how far it is known to have been copied there; None where it is saved itself."""
    runs = executions.listing(reader, kind=ExecutionKind.BACKUP, correlation_id=backup.key)
    made = {one.id: str(one.args.get("repository", "")) for one in runs}
    points = [
        one for one in backups.points(reader, backup.key) if made.get(one.exec_id, "") in {backup.repository.name, ""}
    ]
    recorded = [
        Recorded(
            snapshot=one.snapshot,
            at_us=one.at_us,
            may_be_gone=one.snapshot in removed
            or not made.get(one.exec_id)
            or (copied_until_us is not None and one.at_us > copied_until_us),
        )
        for one in points
    ]
    known = {one.snapshot for one in recorded}
    if copied_until_us is not None:
        recorded += [Recorded(snapshot=id_, at_us=0, may_be_gone=True) for id_ in sorted(removed) if id_ not in known]
    with_points = {one.exec_id for one in points}
    return Holding(
        key=backup.key,
        item=backup.item,
        host=backup.host,
        keep=backup.keep if place.repository.prune else None,
        recorded=tuple(recorded),
        protected=tuple(_protected(reader, backup)),
        tries=tuple(id_ for id_ in made if id_ not in with_points),
    )


def _protected(reader: Reader, backup: Backup) -> Iterator[str]:
    """The last good point, and the last that a drill proved."""
    good, proven = backups.last_good_point(reader, backup.key), backups.last_passed_proof(reader, backup.key)
    if good is not None:
        yield good.snapshot
    if proven is not None:
        yield proven.snapshot
        if proven.older is not None:
            yield proven.older.snapshot


def to_copy(reader: Reader, place: Place, source: str) -> list[Point]:
    """What should be copied there from one of its sources, the oldest first."""
    points = [one for backup in place.sources[source] for one in backups.points(reader, backup.key)]
    return sorted(points, key=lambda one: one.at_us)


def uncopied(reader: Reader, place: Place, source: str) -> list[Point]:
    """Those that are younger than what is known to have been copied from there, the oldest first."""
    until_us = copied_until(reader, place, source)
    points = [one for backup in place.sources[source] for one in backups.younger(reader, backup.key, until_us)]
    return sorted(points, key=lambda one: one.at_us)


def history(reader: Reader, place: Place, kind: ExecutionKind) -> list[Execution]:
    """The last runs of a kind there that ended, the newest first."""
    return executions.tried(reader, kind, place.cause, _RECENT)


def _last(
    reader: Reader, place: Place, kind: ExecutionKind, fits: Callable[[Execution], bool] = lambda _: True
) -> Execution | None:
    """The newest that fits; mostly it is the very last one, and the others need not be read."""
    for limit in (1, _RECENT):
        found = executions.tried(reader, kind, place.cause, limit)
        if (fitting := next(filter(fits, found), None)) is not None or len(found) < limit:
            return fitting
    return None


def _is_judged(one: Execution) -> bool:
    return one.detail.get("outcome") in _JUDGED


def _has_succeeded(one: Execution) -> bool:
    return one.state is ExecutionState.SUCCEEDED


def _good_copies(reader: Reader, place: Place) -> list[Execution]:
    return [one for one in history(reader, place, ExecutionKind.COPY) if one.state is ExecutionState.SUCCEEDED]


def copied_until(reader: Reader, place: Place, source: str) -> int:
    """Up to which time points are known to be there (µs UTC): the last good copy had all; 0 when there was none yet."""
    last = _last(
        reader, place, ExecutionKind.COPY, lambda one: _has_succeeded(one) and one.args.get("source") == source
    )
    return int(last.args["upto"]) if last is not None else 0


def findings(reader: Reader, place: Place) -> tuple[Finding, ...]:
    """What the last list of its snapshots showed that no work of ours explains."""
    seen = (_last(reader, place, kind, _is_judged) for kind in (ExecutionKind.CHECK, ExecutionKind.PRUNE))
    newest = max(filter(None, seen), key=lambda one: one.intent_at_us, default=None)
    told = () if newest is None else newest.detail.get("findings", ())
    return tuple(one for one in map(_finding, told) if not _is_settled(reader, one, place))


def _finding(words: dict[str, str]) -> Finding:
    return Finding(what=Strange(words["what"]), id=words["id"], words=words["words"], key=words.get("key", ""))


def _is_settled(reader: Reader, one: Finding, place: Place) -> bool:
    """Whether a person has taken it for right since."""
    if one.what is Strange.MISSING:
        return all(point.snapshot != one.id for point in backups.points(reader, one.key))
    marks = (f"{mark}:{place.cause}:{one.id}" for mark in ("accepted", "key"))
    return any(dues.last_run(reader, mark) is not None for mark in marks)


def damage(reader: Reader, place: Place) -> Execution | None:
    """The run that last found the repository damaged, unless a check has been good since."""
    judged = _last(reader, place, ExecutionKind.CHECK, _is_judged)
    if judged is not None and judged.detail.get("outcome") == Outcome.DAMAGED:
        return judged
    since_us = judged.intent_at_us if judged is not None else 0
    found = [one for backup in place.saved for kind in _SAVING for one in _damaged(reader, kind, backup.key, since_us)]
    found += _copies_at_fault(reader, place, since_us)
    return next(iter(found), None)


def _damaged(reader: Reader, kind: ExecutionKind, correlation_id: str, since_us: int) -> list[Execution]:
    return executions.came_to(reader, kind, correlation_id, Outcome.DAMAGED.value, since_us=since_us, limit=_RECENT)


def _copies_at_fault(reader: Reader, place: Place, since_us: int) -> Iterator[Execution]:
    """Copies made there, and from there, as far as it is this repository that they complained of."""
    for one in _damaged(reader, ExecutionKind.COPY, place.cause, since_us):
        if not one.detail.get("of_first"):
            yield one
    for cause in sorted({cause_of(copy, backup.host) for backup in place.saved for copy in backup.copies}):
        for one in _damaged(reader, ExecutionKind.COPY, cause, since_us):
            if one.args.get("source") == place.cause and one.detail.get("of_first"):
                yield one


def facts(reader: Reader, place: Place, now_us: int) -> Facts:
    """All that is known of it."""
    wrong = damage(reader, place)
    found = findings(reader, place)
    changes = [practice.mass_change(backups.points(reader, one.key, limit=6)) for one in place.saved]
    checked = _last(reader, place, ExecutionKind.CHECK, _has_succeeded)
    return Facts(
        damage=f"{wrong.number}: {wrong.summary}" if wrong is not None else "",
        findings=tuple(one.words for one in found),
        changes=tuple(why for why in changes if why),
        late=tuple(_late(reader, place, now_us)),
        failed=tuple(_failed(reader, place)),
        hint=_hint(place, is_damaged=wrong is not None, is_strange=bool(found), has_changed=any(changes)),
        checked_at_us=checked.ended_at_us if checked else None,
    )


def _hint(place: Place, *, is_damaged: bool, is_strange: bool, has_changed: bool) -> str:
    """What to do about the worst of it; what damage calls for stands in its own words."""
    if is_strange:
        return f"look at each; what is right: watchkeeper backup check {place.cause.rpartition('/')[2]} --accept"
    if has_changed and not is_damaged:
        return "look at that host: was it emptied, encrypted? If it is meant, it is the usual after a few more backups"
    return ""


def _failed(reader: Reader, place: Place) -> Iterator[str]:
    for kind in (ExecutionKind.CHECK, ExecutionKind.PRUNE, ExecutionKind.COPY):
        last = _last(reader, place, kind)
        if last is not None and last.state is ExecutionState.FAILED:
            yield f"the last {kind} failed: {last.summary}"


def is_founded(reader: Reader, place: Place) -> bool:
    """Whether there is anything in it."""
    if any(backups.first_at(reader, one.key) is not None for one in place.saved):
        return True
    return _last(reader, place, ExecutionKind.COPY, _has_succeeded) is not None


def done_at(reader: Reader, place: Place, kind: ExecutionKind) -> int | None:
    """When a kind of upkeep was last done: it came to an end that says something (µs UTC)."""
    done = _last(reader, place, kind, lambda one: _has_succeeded(one) or one.detail.get("outcome") == Outcome.DAMAGED)
    return None if done is None else done.intent_at_us


def _late(reader: Reader, place: Place, now_us: int) -> Iterator[str]:
    """What should have been done, and does not run now."""
    running = {one.kind for one in executions.open_ones(reader) if one.correlation_id == place.cause}
    since_us = _watched_us(reader, place, now_us)
    plans = {ExecutionKind.PRUNE: place.repository.prune}
    if place.repository.check is not None:
        plans[ExecutionKind.CHECK] = place.repository.check.every
    for kind, every in plans.items():
        if not every or kind in running or not is_founded(reader, place):
            continue
        done_us = done_at(reader, place, kind)
        known = [one for one in (done_us or 0, since_us) if not calendar.is_ahead(one, now_us)]
        if practice.is_overdue(every, max(known, default=now_us), now_us):
            yield f"its {kind} is overdue" + ("" if done_us else ", it was never done")
    if ExecutionKind.COPY not in running:
        yield from _late_copies(reader, place, now_us)


def _watched_us(reader: Reader, place: Place, now_us: int) -> int:
    found = dues.last_run(reader, f"watched:{place.cause}")
    return now_us if found is None else found


def _late_copies(reader: Reader, place: Place, now_us: int) -> Iterator[str]:
    for source, backups_there in place.sources.items():
        waiting = uncopied(reader, place, source)
        patience = max(practice.patience(one.every, now_us) for one in backups_there)
        if waiting and now_us > waiting[0].at_us + int(patience * MICROSECONDS):
            yield f"{len(waiting)} snapshots of {backups_there[0].repository.name} wait to be copied there"


def with_share(reader: Reader, place: Place, now_us: int) -> dict[str, object]:
    """Which shares of its data are read by a check now; all of it where no share can be named that was not sound."""
    plan, wrong = place.repository.check, damage(reader, place)
    of_ = 1 if plan is None else practice.parts(plan, now_us)
    if wrong is not None and not _is_of_a_share(wrong, of_):
        return {"shares": [1], "of": 1, "parts": of_}
    if plan is None:
        return {"shares": [], "of": 1}
    known = dues.beginning_with(reader, f"read:{place.cause}:")
    read_at = {
        share: known[name] for share in range(1, of_ + 1) if (name := f"read:{place.cause}:{share}/{of_}") in known
    }
    due = practice.shares(
        read_at,
        of_,
        since_us=_watched_us(reader, place, now_us),
        next_us=calendar.following(plan.every, now_us),
        cover_seconds=plan.cover_seconds,
    )
    return {"shares": list(due), "of": of_}


def is_suspect(reader: Reader, place: Place) -> bool:
    """Whether something else than a check found damage, and no check has been tried since."""
    wrong = damage(reader, place)
    if wrong is None or wrong.kind is ExecutionKind.CHECK:
        return False
    tried = _last(reader, place, ExecutionKind.CHECK)
    return tried is None or tried.intent_at_us < (wrong.ended_at_us or 0)


def _is_of_a_share(wrong: Execution, of_: int) -> bool:
    """Whether a check of a share found it, one that is still cut like that: it comes first until it is sound."""
    return wrong.kind is ExecutionKind.CHECK and of_ > 1 and wrong.args.get("of") == of_


def has_failed(reader: Reader, place: Place, kind: ExecutionKind) -> bool:
    """Whether its last run failed."""
    last = _last(reader, place, kind)
    return last is not None and last.state is ExecutionState.FAILED


def retry_at(reader: Reader, place: Place, kind: ExecutionKind, interval: float) -> int | None:
    """When a run that failed, without finding anything, is tried again; None when the last one went well."""
    last = _last(reader, place, kind)
    if last is None or last.state is not ExecutionState.FAILED or last.detail.get("outcome") in _JUDGED:
        return None
    return last.intent_at_us + int(min(3600.0, interval) * MICROSECONDS)
