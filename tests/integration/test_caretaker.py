"""What a backup's and a repository's checks read of a real store, and what upkeep is due by it; with no restic."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.event import listen

from agent.model.execution import Execution, ExecutionKind, ExecutionState
from agent.model.journal import Entry
from agent.model.proof import Point
from agent.runtime.book import Book
from agent.runtime.caretaker import Caretaker
from agent.runtime.executor import Executor
from agent.runtime.freshness import Freshness
from agent.runtime.upkeep import Upkeep
from agent.runtime.workers import Workers
from agent.secrets import Secrets
from agent.store import backups, dues, executions, journal
from agent.store.engine import Store
from tests.fakes import policies
from tests.fakes.clock import ToldClock

POLICY = """version: 1
service: shop
hosts: local
backups:
  files: {files: {paths: [/etc]}, every: 12h, rpo: 24h, copies: [offsite]}
"""
KEY, HERE, THERE = "shop/backups/files@local", "agent/repositories/main@local", "agent/repositories/offsite@local"
DAY_US = 86_400_000_000


@dataclasses.dataclass
class Scene:
    """A store, a policy in force, and who looks after its repositories."""

    store: Store
    clock: ToldClock
    book: Book
    upkeep: Upkeep
    caretaker: Caretaker
    count: int = 0

    def ended(self, kind: ExecutionKind, cause: str, **args: Any) -> Execution:
        """An execution that succeeded just now."""
        self.count += 1
        now_us = self.clock.now()
        made = Execution(
            id=f"{self.count:026}", number=f"RUN{self.count:07}", kind=kind, item="", service="", host=None,
            state=ExecutionState.SUCCEEDED, actor="agent", why="", correlation_id=cause, episode=1, attempt=1, boot_id="b",
            deadline_ns=0, intent_at_us=now_us, ended_at_us=now_us, args=args, detail={"outcome": "ok"},
        )  # fmt: skip
        with self.store.write() as tx:
            executions.insert(tx, made)
            dues.mark(tx, f"{kind}:{cause}", now_us)
            told = Entry(actor="agent", kind=f"execution-{made.state}", object_type="execution", object_id=made.number,
                         why="", exec_id=made.id)  # fmt: skip
            journal.append(tx, told)
        return made

    def saved(self, name: str) -> Point:
        """A backup that has just left a point."""
        made = self.ended(ExecutionKind.BACKUP, KEY, repository="main")
        point = Point(
            key=KEY, exec_id=made.id, snapshot=name, at_us=self.clock.now(), files=1, size_bytes=1, added_bytes=1
        )
        with self.store.write() as tx:
            backups.add_point(tx, point)
        return point

    def listen(self) -> list[tuple[str, Any]]:
        """What is asked of the store from now on."""
        asked: list[tuple[str, Any]] = []
        with self.store.read() as reader:
            listen(
                reader.engine, "before_cursor_execute", lambda _, __, words, given, *___: asked.append((words, given))
            )
        return asked

    def due(self) -> set[tuple[str, str]]:
        return {(place.cause, kind) for kind, place, _, _ in self.caretaker.due(self.clock.now())}


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    found = policies.load_with(policies.new_home(tmp_path / "home"), {"shop.yaml": POLICY})
    assert found.policies is not None, found.problems
    clock = ToldClock()
    store = Store.open(tmp_path / "state", clock, migrate=True)
    book, workers = Book(store), Workers()
    book.adopt(found.policies, 1)
    upkeep = Upkeep(store=store, clock=clock, book=book, secrets=Secrets(tmp_path / "secrets"), noticed=lambda _: None)
    upkeep.watch_from_now()
    executor = Executor(store=store, clock=clock, book=book, workers=workers, works={}, failpoint=lambda _: None)
    caretaker = Caretaker(store=store, clock=clock, upkeep=upkeep, executor=executor, workers=workers)
    yield Scene(store, clock, book, upkeep, caretaker)
    workers.close()
    store.close()


def test_a_look_at_a_backup_or_a_repository_reads_what_is_about_it_and_no_more(scene: Scene) -> None:
    """With thousands of them, each reading all there is would be most of what the agent does."""
    scene.saved("s1")
    asked = scene.listen()
    assert scene.upkeep.places() is scene.upkeep.places()
    Freshness(store=scene.store, clock=scene.clock, book=scene.book).fresh(scene.book.policies.checks[KEY])
    scene.upkeep.look(scene.book.policies.checks[HERE])
    reads = [one for one in asked if one[0].startswith("SELECT")]
    assert len(reads) > 5
    with scene.store.read() as reader:
        plans = [
            row.detail for words, given in reads for row in reader.exec_driver_sql(f"EXPLAIN QUERY PLAN {words}", given)
        ]
    assert [plan for plan in plans if plan.startswith("SCAN")] == []


def test_a_look_at_a_repository_reads_its_newest_runs_and_not_all_that_it_ever_did(scene: Scene) -> None:
    """With a thousand hosts, reading fifty runs of each kind every minute was a third of a core."""
    point = scene.saved("s1")
    for _ in range(20):
        scene.clock.pass_seconds(86_400)
        scene.ended(ExecutionKind.CHECK, HERE)
        scene.ended(ExecutionKind.PRUNE, HERE)
        scene.ended(ExecutionKind.COPY, THERE, source=HERE, upto=point.at_us)
    asked = scene.listen()
    scene.upkeep.look(scene.book.policies.checks[HERE])
    scene.upkeep.look(scene.book.policies.checks[THERE])
    scene.due()
    runs = [one for one in asked if "FROM executions" in one[0]]
    with scene.store.read() as reader:
        read = [len(reader.exec_driver_sql(words, given).all()) for words, given in runs]
    assert max(read) == 1


def test_what_was_copied_is_not_copied_again_when_the_newest_point_is_forgotten(scene: Scene) -> None:
    first = scene.saved("s1")
    scene.clock.pass_seconds(60)
    newest = scene.saved("s2")
    assert (THERE, ExecutionKind.COPY) in scene.due()
    scene.ended(ExecutionKind.COPY, THERE, source=HERE, upto=newest.at_us)
    assert (THERE, ExecutionKind.COPY) not in scene.due()
    with scene.store.write() as tx:
        backups.forget_points(tx, [KEY], [newest.snapshot])
    assert (THERE, ExecutionKind.COPY) not in scene.due(), f"{first.snapshot} is there, and nothing else is to come"
    scene.clock.pass_seconds(60)
    scene.saved("s3")
    assert (THERE, ExecutionKind.COPY) in scene.due(), "what rests wakes when something is written about it"


def test_a_repository_that_was_checked_in_the_future_is_checked_again_and_told_when_nobody_does(scene: Scene) -> None:
    """The clock was wrong when the machine came up, and was set back since."""
    scene.saved("s1")
    scene.clock.step_seconds(3650 * 86_400)
    scene.ended(ExecutionKind.CHECK, HERE)
    scene.clock.step_seconds(-3650 * 86_400)
    assert (HERE, ExecutionKind.CHECK) in scene.due()
    scene.clock.pass_seconds(3 * 86_400)
    assert "its check is overdue" in scene.upkeep.look(scene.book.policies.checks[HERE]).summary
