"""The executor with a real store and real shims: what cannot be written down now is written down later, once."""

import asyncio
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.errors import InputError, StoreError
from agent.model.execution import Execution, ExecutionKind, ExecutionState
from agent.runtime import attic
from agent.runtime.book import Book
from agent.runtime.executor import AGAIN_SECONDS, Executor, Finish, this_process
from agent.runtime.workers import Workers
from agent.store import counters, executions, ids, leases
from agent.store.engine import Store
from agent.store.tx import Tx
from agent.transports.child import Ended, Packet
from tests.fakes import policies
from tests.fakes.clock import ToldClock

FULL = StoreError("database or disk is full", hint="make room")


@dataclasses.dataclass
class Told:
    """Work that is done at once; the store is full for so many of those who want to write down its end."""

    full: int = 0
    garbled: bool = False
    missing: bool = False

    def packet(self, _: Execution, run_dir: Path) -> Packet:
        if self.missing:
            raise InputError("its policy is gone")
        return Packet(argv=("/bin/true",), cwd="/", env={}, timeout_seconds=30.0)

    def finish(self, _: Execution, run_dir: Path, ended: Ended, /) -> Finish:
        if self.garbled:
            raise ValueError("no JSON")
        return Finish(state=ExecutionState.SUCCEEDED, summary="done", exit_code=ended.exit_code)

    def lost(self, _: Execution, /) -> Finish:
        return Finish(state=ExecutionState.FAILED, summary="lost")

    def record(self, tx: Tx, execution: Execution, finish: Finish) -> Callable[[], None]:
        if self.full:
            self.full -= 1
            raise FULL
        return lambda: None


@dataclasses.dataclass
class Scene:
    """An executor of this process."""

    store: Store
    clock: ToldClock
    workers: Workers
    book: Book
    work: Told

    def __post_init__(self) -> None:
        self.executor = Executor(
            store=self.store, clock=self.clock, book=self.book, workers=self.workers, failpoint=lambda _: None,
            works={ExecutionKind.BACKUP: self.work},
        )  # fmt: skip

    def filed(self, by: Sequence[object] | None = None) -> Execution:
        """An intent that holds its host; by this process, unless another is named."""
        with self.store.write() as tx:
            identity = ids.ulid(self.clock)
            made = Execution(
                id=identity, number=counters.next_number(tx, "RUN"), kind=ExecutionKind.BACKUP, item="x", service="x",
                host="here", state=ExecutionState.INTENT, actor="agent", why="", correlation_id="x", episode=1, attempt=1,
                boot_id=self.clock.boot_id, deadline_ns=0, intent_at_us=self.clock.now(), run_dir=f"runs/{identity}",
                args={"filed_by": by or this_process(self.clock)},
            )  # fmt: skip
            executions.insert(tx, made)
            leases.acquire(tx, name=f"saving:{made.number}", owner=made.id, pid=0, started=0, deadline_ns=0)
        return made

    def state(self, execution: Execution) -> ExecutionState:
        with self.store.read() as reader:
            found = executions.get(reader, execution.id)
        assert found is not None
        return found.state

    def held(self) -> list[str]:
        with self.store.read() as reader:
            return [lease.owner for lease in leases.held(reader)]

    async def drive(self, *started: Execution) -> None:
        """As the daemon does, until nothing runs; a minute passes for each look."""
        for one in started:
            await self.executor.start(one)
        ends_ns = SystemClock().boottime() + 30 * 10**9
        while self.executor.running():
            assert SystemClock().boottime() < ends_ns, "it takes too long"
            await self.executor.poll()
            self.clock.pass_seconds(60)
            await asyncio.sleep(0.01)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    found = policies.load_with(policies.new_home(tmp_path / "home"), {})
    assert found.policies is not None, found.problems
    clock = ToldClock(boot_id=SystemClock().boot_id)
    store = Store.open(tmp_path / "state", clock, migrate=True)
    book, workers = Book(store), Workers()
    book.adopt(found.policies, 1)
    yield Scene(store, clock, workers, book, Told())
    workers.close()
    store.close()


def test_an_end_that_could_not_be_written_down_is_written_down_when_there_is_room_again(scene: Scene) -> None:
    """Else it runs for ever by the record, and its host and its repository are held until the agent is started anew."""
    scene.work.full = 2
    first, second = scene.filed(), scene.filed()
    asyncio.run(scene.drive(first, second))
    assert (scene.state(first), scene.state(second)) == (ExecutionState.SUCCEEDED, ExecutionState.SUCCEEDED)


def test_an_end_that_cannot_be_read_is_what_a_lost_one_is_and_holds_nothing_for_ever(scene: Scene) -> None:
    """What may be repeated is repeated: of a backup, nobody needs to find out how far it came."""
    scene.work.garbled = True
    one = scene.filed()
    asyncio.run(scene.drive(one))
    assert scene.state(one) is ExecutionState.FAILED
    with scene.store.read() as reader:
        ended = executions.get(reader, one.id)
    assert scene.held() == []
    assert ended is not None
    assert ended.summary == "it ended with 0, and its record cannot be read: no JSON"


def test_what_a_run_left_is_kept_for_a_month_and_what_ended_doubtfully_until_a_person_has_looked(scene: Scene) -> None:
    """Each leaves nine files: with a thousand backups a day, three million files and twelve gigabytes a year."""
    runs = scene.executor.run_dir(scene.filed()).parent
    ended, running, doubtful = scene.filed(), scene.filed(), scene.filed()
    with scene.store.write() as tx:
        for one, state in ((ended, ExecutionState.FAILED), (doubtful, ExecutionState.UNCERTAIN)):
            executions.update(
                tx, dataclasses.replace(one, state=state, ended_at_us=scene.clock.now(), revision=one.revision + 1)
            )
    for one in (ended, running, doubtful):
        (runs / one.id).mkdir(parents=True)
        (runs / one.id / "stdout").write_text("said")
    (runs / "notes of a person").mkdir()
    scene.clock.pass_seconds(30 * 86_400 - 1)
    assert attic.clear(scene.store, runs, scene.clock.now()) == 0
    scene.clock.pass_seconds(2)
    assert attic.clear(scene.store, runs, scene.clock.now()) == 1
    assert {path.name for path in runs.iterdir()} == {running.id, doubtful.id, "notes of a person"}
    assert scene.state(ended) is ExecutionState.FAILED
    assert attic.clear(scene.store, runs / "nowhere", scene.clock.now()) == 0


def test_a_start_that_failed_and_could_not_be_written_down_holds_nothing_for_ever(scene: Scene) -> None:
    """Nobody else takes it up while the process lives that filed it."""
    scene.work.missing, scene.work.full = True, 2
    one = scene.filed()

    async def start_and_drive() -> None:
        with pytest.raises(StoreError):
            await scene.executor.start(one)
        assert scene.held() == [one.id]
        await scene.drive()

    asyncio.run(start_and_drive())
    assert (scene.state(one), scene.held()) == (ExecutionState.FAILED, [])
    with scene.store.read() as reader:
        ended = executions.get(reader, one.id)
    assert ended is not None
    assert ended.summary == "it could not be started: its policy is gone"


def test_what_cannot_be_adopted_now_keeps_nothing_else_from_it_and_is_adopted_later(scene: Scene) -> None:
    """A disk that was full at the very moment when a crashed agent came back."""
    scene.work.full = 1
    first, second = scene.filed(by=(1, 1, "an earlier boot")), scene.filed(by=(1, 1, "an earlier boot"))
    asyncio.run(scene.executor.adopt())
    assert (scene.state(first), scene.state(second)) == (ExecutionState.INTENT, ExecutionState.CANCELLED)
    assert not scene.executor.is_behind(), "it is not tried again and again at once"
    scene.clock.pass_seconds(AGAIN_SECONDS)
    assert scene.executor.is_behind()
    asyncio.run(scene.executor.adopt())
    assert (scene.state(first), scene.held(), scene.executor.is_behind()) == (ExecutionState.CANCELLED, [], False)
