"""What the record knows of each backup, and how it stands by that: for its check, and for listings."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from agent.clock import MICROSECONDS, Clock
from agent.errors import AgentError
from agent.model.backup import Backup, Standing
from agent.model.check import Check
from agent.model.execution import OPEN_STATES, Execution, ExecutionKind, ExecutionState
from agent.model.look import Look
from agent.model.proof import Point
from agent.practices import backups as practice
from agent.practices import proofs
from agent.practices.backups import Known
from agent.practices.surroundings import AROUND
from agent.runtime import holds
from agent.runtime.book import Book
from agent.store import backups, dues, executions
from agent.store.engine import Store
from agent.store.tx import Reader

RECENT = 20  # executions that tell how the last round went
PATIENCE_SECONDS = 900.0  # for a cleanup that waits for its host
_BAD = frozenset({ExecutionState.FAILED, ExecutionState.UNCERTAIN})


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Freshness:
    """Reads what is known of a backup, and has it judged."""

    store: Store
    clock: Clock
    book: Book

    def fresh(self, check: Check) -> Look:
        """Freshness as a look: the newest point and the newest drill against the rpo."""
        backup = self.book.policies.backups.get(check.key)
        if backup is None:
            raise AgentError(f"{check.key} is no backup of the policies in force")
        with self.store.read() as reader:
            known = self._known(reader, backup)
        return practice.freshness(backup, known, self.clock.now())

    def standing(self, backup: Backup) -> tuple[Standing, Point | None, Mapping[str, Any]]:
        """The verdict over a backup for listings, with its newest point and what its drills say."""
        with self.store.read() as reader:
            known = self._known(reader, backup)
            good, passed = backups.last_good_point(reader, backup.key), backups.last_passed_proof(reader, backup.key)
        more = {
            "last_good_at_us": good.at_us if good else None,
            "proven_at_us": passed.at_us if passed else None,
            "proof": known.proof,
        }
        return practice.judge(backup, known, self.clock.now()).standing, known.point, more

    def _known(self, reader: Reader, backup: Backup) -> Known:
        key, now_us = backup.key, self.clock.now()
        recent = executions.listing(reader, correlation_id=key, limit=RECENT)
        point, watched_us = backups.last_point(reader, key), dues.last_run(reader, f"watched:{key}")
        return Known(
            watched_us=now_us if watched_us is None else watched_us,
            point=point,
            restore_seconds=_restore_seconds(reader, backup, point),
            proof=backups.last_proof(reader, key),
            first_us=backups.first_at(reader, key) if backup.drill is not None else None,
            failed=_failed(recent),
            skipped=_skipped(recent),
            cleanup=_cleanup(recent, is_open=key in holds.rounds(reader), now_us=now_us),
        )


def _restore_seconds(reader: Reader, backup: Backup, point: Point | None) -> float | None:
    """How long a restore would take, where a promise is to be kept."""
    if point is None or backup.drill is None or backup.drill.rto_seconds is None:
        return None
    return proofs.predicted_seconds(backups.proofs(reader, backup.key, proofs.LEARNED_FROM), point.size_bytes)


def _failed(recent: list[Execution]) -> str:
    """Why the newest try that ended failed; "" when it did not."""
    for one in recent:
        if one.ended_at_us is None or one.state is ExecutionState.CANCELLED:
            continue
        if one.kind is ExecutionKind.BACKUP:
            return one.summary if one.state in _BAD else ""
        if one.kind is ExecutionKind.PREPARE and one.state in _BAD:
            return f"its prepare failed: {one.summary}"
    return ""


def _skipped(recent: list[Execution]) -> str:
    newest = next((one for one in recent if one.kind is ExecutionKind.BACKUP), None)
    return newest.summary if newest is not None and newest.detail.get("skipped") else ""


def _cleanup(recent: list[Execution], *, is_open: bool, now_us: int) -> str:
    """What is wrong with the cleanup of the last round, in words; "" when nothing is."""
    around = [one for one in recent if one.kind in {*AROUND, ExecutionKind.BACKUP} and one.args.get("round")]
    if is_open:
        if not around or any(one.state in OPEN_STATES for one in around):
            return ""
        idle = (now_us - (around[0].ended_at_us or now_us)) / MICROSECONDS
        return f"has been waiting for {idle / 60:.0f} min" if idle > PATIENCE_SECONDS else ""
    last = next(
        (one for one in recent if one.kind is ExecutionKind.CLEANUP and one.state in {*_BAD, ExecutionState.SUCCEEDED}),
        None,
    )
    return f"failed: {last.summary}" if last is not None and last.state in _BAD else ""
