"""The report on recoverability, as documents: each backup, each repository, and the hosts of which nothing is saved."""

import dataclasses
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.clock import Clock, rfc3339
from agent.model.backup import Backup
from agent.model.execution import Execution, ExecutionKind, ExecutionState
from agent.model.proof import Point, Proof
from agent.practices import places, proofs
from agent.practices import recoverability as practice
from agent.practices.places import Place
from agent.practices.recoverability import SPAN_US, Trial
from agent.runtime import repositories
from agent.runtime.book import Book
from agent.store import backups, executions
from agent.store.engine import Store
from agent.store.tx import Reader

MOST_POINTS = 1000  # of one backup: hourly ones of a month and more
_BAD = frozenset({ExecutionState.FAILED, ExecutionState.UNCERTAIN})


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Recoverability:
    """Reads the record of the last 30 days, and has it reckoned up."""

    store: Store
    clock: Clock
    book: Book

    def report(self) -> dict[str, Any]:
        """Everything: `items` per backup, `repositories`, `hosts_without_backup`; what is not known is null."""
        everything = self.book.policies.backups
        with self.store.read() as reader:
            points = {key: backups.points(reader, key, MOST_POINTS) for key in everything}
            items = [self._backup(reader, everything[key], points[key]) for key in sorted(everything)]
        return {
            "from": rfc3339(self.clock.now() - SPAN_US),
            "to": rfc3339(self.clock.now()),
            "items": items,
            "repositories": self._repositories(points),
            "hosts_without_backup": list(practice.uncovered(self.book.policies.hosts, everything.values())),
        }

    def of(self, backup: Backup) -> dict[str, Any]:
        """One backup in numbers."""
        with self.store.read() as reader:
            return self._backup(reader, backup, backups.points(reader, backup.key, MOST_POINTS))

    def _backup(self, reader: Reader, backup: Backup, points: list[Point]) -> dict[str, Any]:
        now_us = self.clock.now()
        since_us = now_us - SPAN_US
        recent = executions.listing(reader, correlation_id=backup.key, since_us=since_us)
        trials = list(_trials(recent))
        rpo = practice.rpo_series(points, since_us, now_us)
        drilled = backups.proofs(reader, backup.key)
        rto = practice.rto_series(drilled, since_us)
        rate, cost = practice.success_rate(trials, since_us), practice.cost(trials, points, since_us)
        return {
            "key": backup.key,
            "id": backup.item,
            "number": None,
            "service": backup.service,
            "item": backup.item,
            "host": backup.host,
            "runs": cost.runs,
            "success_rate": None if rate is None else round(rate, 4),
            "rpo_s": backup.rpo_seconds,
            "rpo_now_s": round(rpo[-1].seconds, 1) if rpo else None,
            "rpo_worst_s": _rounded(practice.worst(rpo)),
            "rpo_series": [{"at": rfc3339(one.at_us), "s": round(one.seconds, 1)} for one in rpo],
            "rto_s": backup.drill.rto_seconds if backup.drill else None,
            "rto_measured_s": round(rto[-1].seconds, 1) if rto else None,
            "rto_worst_s": _rounded(practice.worst(rto)),
            "rto_series": [{"at": rfc3339(one.at_us), "s": round(one.seconds, 1)} for one in rto],
            **_promised(backup, drilled, points, now_us),
            "growth_bytes_per_day": _rounded(practice.growth(points, since_us, now_us)),
            "added_bytes": cost.added_bytes,
            "wall_s": round(cost.wall_seconds, 1),
            "cpu_s": _rounded(cost.cpu_seconds),
            "trend": practice.trend(points),
            "repository": backup.repository.name or None,
            "copies": [one.name for one in backup.copies],
        }

    def _repositories(self, points: Mapping[str, list[Point]]) -> list[dict[str, Any]]:
        """Each repository; those on one disk fill it together."""
        found = places.places(self.book.policies.backups.values())
        disks = {cause: _disk(place) for cause, place in found.items()}
        per_day = {cause: self._growth(place, points) for cause, place in found.items()}
        documents = []
        for cause, place in sorted(found.items()):
            device, free = disks[cause]
            beside = [per_day[other] for other in found if device is not None and disks[other][0] == device]
            together = sum(one for one in beside if one is not None) if any(beside) else None
            documents.append(
                {
                    "id": cause,
                    "repository": place.repository.name,
                    "host": place.host,
                    "backups": [one.key for one in place.backups],
                    "growth_bytes_per_day": _rounded(per_day[cause]),
                    "free_bytes": free,
                    "full_in_s": _rounded(practice.full_in(free, together)),
                }
            )
        return documents

    def _growth(self, place: Place, points: Mapping[str, list[Point]]) -> float | None:
        now_us = self.clock.now()
        held = [point for one in place.backups for point in points[one.key]]
        return practice.growth(held, now_us - SPAN_US, now_us)


def _trials(recent: Iterable[Execution]) -> Iterator[Trial]:
    """The runs that ended: of a round whose prepare failed, that is the run."""
    for one in recent:
        if one.ended_at_us is None or one.state is ExecutionState.CANCELLED:
            continue
        if one.kind is ExecutionKind.BACKUP or (one.kind is ExecutionKind.PREPARE and one.state in _BAD):
            yield Trial(
                began_us=one.dispatched_at_us or one.intent_at_us,
                ended_us=one.ended_at_us,
                ok=one.state is ExecutionState.SUCCEEDED,
                cpu_seconds=one.detail.get("cpu_seconds"),
            )


def _promised(backup: Backup, drilled: Sequence[Proof], points: Sequence[Point], now_us: int) -> dict[str, Any]:
    """How long a restore of the newest point would take, and for how long one damaged file could stay unseen."""
    sample = backup.drill.sample if backup.drill else 0
    files = drilled[0].files if drilled else points[0].files if points else None
    predicted = proofs.predicted_seconds(drilled, points[0].size_bytes) if points else None
    drills = unseen = None
    if backup.drill is not None and files is not None:
        drills = proofs.round_length(files, sample)
        unseen = proofs.longest_unseen_seconds(files, sample, backup.drill.every, now_us)
    return {"rto_predicted_s": _rounded(predicted), "unseen_drills": drills, "unseen_s": _rounded(unseen)}


def _disk(place: Place) -> tuple[int | None, int | None]:
    """The disk of a repository in a folder of this machine, and what is free there; None for any other."""
    path = Path(repositories.place(place.repository, place.host or ""))
    if not path.is_absolute():
        return None, None
    there = next((one for one in (path, *path.parents) if one.exists()), Path("/"))
    return there.stat().st_dev, shutil.disk_usage(there).free


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
