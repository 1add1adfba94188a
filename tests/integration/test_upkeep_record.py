"""What follows from the record of a repository: with a real store, and no restic."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.model.backup import Backup, Repository
from agent.model.cadence import At, Every
from agent.model.execution import Execution, ExecutionKind, ExecutionState
from agent.model.proof import Point, Proof
from agent.model.upkeep import CheckPlan, Keep
from agent.practices import places
from agent.practices import upkeep as practice
from agent.practices.places import Place
from agent.runtime import holdings
from agent.store import backups, dues, executions
from agent.store.engine import Store
from tests.fakes.clock import ToldClock

NOON = (At(text="day at 12:00", zone="UTC", rule="day", hour=12),)
DAY_US, HOUR_US = 86_400_000_000, 3_600_000_000
MAIN = Repository(
    name="main", url="/main", password_secret="p", prune=NOON, check=CheckPlan(every=NOON, cover_seconds=5 * 86400)
)
OFFSITE = Repository(name="offsite", url="/offsite", password_secret="p")
BACKUP = Backup(
    key="shop/backups/files@web1", item="shop/backups/files", service="shop", host="web1", kind="files", options=None,
    repository=MAIN, copies=(OFFSITE,), every=(Every(seconds=86400.0),), keep=Keep(last=2),
)  # fmt: skip
PLACES = places.places([BACKUP])
HERE, THERE = PLACES["agent/repositories/main@web1"], PLACES["agent/repositories/offsite@web1"]


@dataclasses.dataclass
class Record:
    """A store, and what is written into it in the order of its going on."""

    store: Store
    clock: ToldClock
    count: int = 0

    def run(
        self,
        kind: ExecutionKind,
        key: str,
        *,
        state: ExecutionState = ExecutionState.SUCCEEDED,
        args: dict[str, Any] | None = None,
        **detail: Any,
    ) -> Execution:
        """One execution that ended now."""
        self.count += 1
        now_us = self.clock.now()
        execution = Execution(
            id=f"{self.count:026}", number=f"RUN{self.count:07}", kind=kind, item="", service="", host=None, state=state,
            actor="agent", why="", correlation_id=key, episode=1, attempt=1, boot_id="b", deadline_ns=0, intent_at_us=now_us,
            ended_at_us=now_us, args=args or {}, detail={"outcome": "ok", **detail}, summary=f"run {self.count}",
        )  # fmt: skip
        with self.store.write() as tx:
            executions.insert(tx, execution)
        self.clock.pass_seconds(60)
        return execution

    def saved(self, name: str, **more: Any) -> Point:
        """One backup with its point."""
        execution = self.run(ExecutionKind.BACKUP, BACKUP.key, args={"repository": "main"})
        usual = {"files": 100, "size_bytes": 1000, "added_bytes": 10}
        point = Point(
            key=BACKUP.key, exec_id=execution.id, snapshot=name, at_us=execution.intent_at_us, **(usual | more)
        )
        with self.store.write() as tx:
            backups.add_point(tx, point)
        return point

    def check(self, **detail: Any) -> None:
        """A check of what is due now, that ended with that."""
        args = self.share()
        state = ExecutionState.SUCCEEDED if not detail else ExecutionState.FAILED
        self.run(ExecutionKind.CHECK, HERE.cause, state=state, args=args, **detail)
        if not detail:
            with self.store.write() as tx:
                for share in args["shares"]:
                    dues.mark(tx, f"read:{HERE.cause}:{share}/{args['of']}", self.clock.now())

    def share(self) -> dict[str, Any]:
        with self.store.read() as reader:
            return holdings.with_share(reader, HERE, self.clock.now())

    def rests(self) -> str:
        with self.store.read() as reader:
            return practice.rests(holdings.facts(reader, HERE, self.clock.now()))

    def hint(self) -> str:
        with self.store.read() as reader:
            return holdings.facts(reader, HERE, self.clock.now()).hint

    def late(self, place: Place) -> tuple[str, ...]:
        with self.store.read() as reader:
            return holdings.facts(reader, place, self.clock.now()).late


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    clock = ToldClock()
    store = Store.open(tmp_path, clock, migrate=True)
    with store.write() as tx:
        for place in PLACES.values():
            dues.mark(tx, f"watched:{place.cause}", clock.now())
    yield Record(store, clock)
    store.close()


def test_a_share_that_was_not_sound_comes_first_until_it_is(record: Record) -> None:
    assert record.share() == {"shares": [1], "of": 5}
    record.check()
    assert record.share()["shares"] == [2]
    record.check(outcome="damaged", damage=["pack 1"])
    assert "it is damaged: RUN0000002" in record.rests()
    assert record.share() == {"shares": [2], "of": 5}
    record.check(outcome="locked")
    assert "it is damaged: RUN0000002" in record.rests(), "a check that could not look resolves nothing"
    record.check()
    assert record.rests() == ""
    assert record.share()["shares"] == [3]


def test_damage_that_no_check_found_is_looked_for_in_all_of_the_data_at_once(record: Record) -> None:
    record.saved("s1")
    record.check()
    record.run(ExecutionKind.DRILL, BACKUP.key, state=ExecutionState.FAILED, outcome="damaged")
    assert "it is damaged" in record.rests()
    with record.store.read() as reader:
        assert holdings.is_suspect(reader, HERE)
    whole = {"shares": [1], "of": 1, "parts": 5}
    assert record.share() == whole
    record.check(outcome="damaged", damage=["pack 1"])
    with record.store.read() as reader:
        assert not holdings.is_suspect(reader, HERE), "once is enough until its next time"
    assert record.share() == whole, "a share alone would prove nothing"
    record.check()
    assert record.rests() == ""


@pytest.mark.parametrize("of_first", [True, False], ids=["the first", "the second"])
def test_damage_that_a_copy_met_is_told_of_the_repository_that_is_damaged(record: Record, *, of_first: bool) -> None:
    record.saved("s1")
    args = {"source": HERE.cause, "upto": 0}
    record.run(
        ExecutionKind.COPY, THERE.cause, state=ExecutionState.FAILED, args=args, outcome="damaged", of_first=of_first
    )
    with record.store.read() as reader:
        told = [holdings.facts(reader, place, record.clock.now()).damage for place in (HERE, THERE)]
        assert [bool(why) for why in told] == [of_first, not of_first]
        assert holdings.is_suspect(reader, HERE) is of_first


def test_the_record_says_what_should_be_there_and_what_must_stay(record: Record) -> None:
    names = [record.saved(name).snapshot for name in ("s1", "s2", "s3")]
    record.saved("s4", partial=True)
    proof = Proof(
        key=BACKUP.key,
        exec_id="d",
        snapshot="s2",
        at_us=1,
        passed=True,
        compared=1,
        torn=0,
        faults=(),
        restore_seconds=1,
    )
    with record.store.write() as tx:
        backups.add_proof(tx, proof)
    stray = record.run(ExecutionKind.BACKUP, BACKUP.key, state=ExecutionState.FAILED, args={"repository": "main"})
    record.run(ExecutionKind.BACKUP, BACKUP.key, args={"repository": "elsewhere"})
    record.run(ExecutionKind.PRUNE, HERE.cause, state=ExecutionState.FAILED, planned=["s1"])
    with record.store.read() as reader:
        (here,), (there,) = holdings.of(reader, HERE), holdings.of(reader, THERE)
    assert [(one.snapshot, one.may_be_gone) for one in here.recorded] == [
        ("s4", False), ("s3", False), ("s2", False), ("s1", True),
    ]  # fmt: skip
    assert set(here.protected) == {names[2], "s2"}
    assert stray.id in here.tries
    assert here.keep == Keep(last=2)
    assert there.keep is None, "nothing is removed where there is no `prune`"
    assert all(one.may_be_gone for one in there.recorded), "nothing is known to be copied yet"
    record.run(ExecutionKind.COPY, THERE.cause, args={"source": HERE.cause, "upto": here.recorded[2].at_us})
    with record.store.read() as reader:
        (there,) = holdings.of(reader, THERE)
    assert [one.snapshot for one in there.recorded if not one.may_be_gone] == ["s2"]


def test_what_is_overdue_is_said_and_what_runs_is_not(record: Record) -> None:
    record.saved("s1")
    record.check()
    record.run(ExecutionKind.PRUNE, HERE.cause)
    assert record.late(HERE) == ()
    record.clock.pass_seconds(25 * 3600)
    assert record.late(THERE) == ("1 snapshots of main wait to be copied there",)
    record.clock.pass_seconds(12 * 3600)
    assert set(record.late(HERE)) == {"its check is overdue", "its prune is overdue"}
    record.run(ExecutionKind.CHECK, HERE.cause, state=ExecutionState.DISPATCHED)
    assert record.late(HERE) == ("its prune is overdue",)


def test_a_mass_change_of_a_backup_stops_removal_where_it_is_saved(record: Record) -> None:
    for name in "abc":
        record.saved(name)
    assert record.rests() == ""
    record.saved("d", files=10)
    assert record.rests() == f"{BACKUP.key}: 10 files, where there were 100"
    assert "after a few more backups" in record.hint()
