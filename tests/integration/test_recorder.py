"""The recorder: what was seen reaches the disk, also after a write that failed."""

import asyncio
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.errors import StoreError
from agent.model.look import Look, Result, Verdict
from agent.runtime.recorder import Recorder
from agent.runtime.workers import Workers
from agent.store import looks, samples
from agent.store.engine import Store
from agent.store.packed import HOUR_US
from agent.store.samples import Name
from tests.fakes.clock import ToldClock


class Disk:
    """A failpoint: full for as long as it is told so."""

    def __init__(self) -> None:
        self.is_full = False
        self._room_for: int | None = None

    def after(self, commits: int) -> None:
        """Full after so many more."""
        self._room_for = commits

    def __call__(self, point: str) -> None:
        """Called before each commit."""
        if point == "before-commit" and self._room_for is not None:
            self.is_full, self._room_for = self._room_for == 0, (self._room_for - 1) if self._room_for else None
        if self.is_full and point == "before-commit":
            raise StoreError("disk full", hint="make room")


def seen(key: str, at_us: int, **metrics: float) -> Result:
    return Result(key=key, begun_us=at_us, ended_us=at_us, look=Look(verdict=Verdict.OK, summary="", metrics=metrics))


def test_a_write_that_failed_mixes_up_no_numbers_and_the_last_looks_are_written_later(tmp_path: Path) -> None:
    clock, workers, disk = SystemClock(), Workers(1), Disk()
    store = Store.open(tmp_path / "state", clock, migrate=True, failpoint=disk)
    recorder, now = Recorder(store, clock, workers), clock.now()

    async def work() -> None:
        disk.is_full = True
        recorder.note(seen("s/c/lost@web", now, used=1.0))
        with pytest.raises(StoreError):
            await recorder.flush()
        disk.is_full = False
        recorder.note(seen("s/c/kept@web", now, used=2.0, free=3.0))
        await recorder.flush()

    asyncio.run(work())
    with store.read() as reader:
        assert set(looks.latest(reader)) == {"s/c/lost@web", "s/c/kept@web"}
        found = {
            (key, metric): [sample.value for sample in samples.read(reader, Name(key, "", metric), now - 10**7, now)]
            for key in ("s/c/lost@web", "s/c/kept@web")
            for metric in ("used", "free")
        }
    assert found == {
        ("s/c/lost@web", "used"): [], ("s/c/lost@web", "free"): [],
        ("s/c/kept@web", "used"): [2.0], ("s/c/kept@web", "free"): [3.0],
    }  # fmt: skip
    workers.close()
    store.close()


def test_metrics_that_come_and_go_or_turn_into_words_keep_their_own_series(tmp_path: Path) -> None:
    clock, workers = SystemClock(), Workers(1)
    store = Store.open(tmp_path / "state", clock, migrate=True)
    recorder, now, key = Recorder(store, clock, workers), clock.now() // 100_000 * 100_000, "s/c/a@web"
    told: list[dict[str, float | str]] = [
        {"used": 1.0}, {"used": 2.0, "free": 20.0}, {"free": 30.0, "used": 3.0}, {"used": "full", "free": 40.0}, {},
        {"free": 50.0},
    ]  # fmt: skip

    async def work() -> None:
        for place, metrics in enumerate(told):
            look = Look(verdict=Verdict.OK, summary="", metrics=metrics, instances={"/srv": Look(
                verdict=Verdict.OK, summary="", metrics={"used": float(place)},
            )})  # fmt: skip
            at_us = now + place * 1_000_000
            recorder.note(Result(key=key, begun_us=at_us, ended_us=at_us, look=look))
            if place % 2:
                await recorder.flush()
        await recorder.flush()

    asyncio.run(work())
    with store.read() as reader:
        for instance, metric, wanted in (
            ("", "used", [1.0, 2.0, 3.0]), ("", "free", [20.0, 30.0, 40.0, 50.0]),
            ("/srv", "used", [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
        ):  # fmt: skip
            found = samples.read(reader, Name(key, instance, metric), now, now + 10**7)
            assert [sample.value for sample in found] == wanted, (instance, metric)
    workers.close()
    store.close()


def test_packing_that_could_not_be_written_goes_on_where_it_was_and_loses_nothing(tmp_path: Path) -> None:
    clock, workers, disk = SystemClock(), Workers(1), Disk()
    store = Store.open(tmp_path / "state", clock, migrate=True, failpoint=disk)
    recorder = Recorder(store, clock, workers)
    keys, at_us = [f"s/c/load@host-{number}" for number in range(40)], clock.now() - 2 * HOUR_US

    async def work() -> None:
        for key in keys:
            recorder.note(seen(key, at_us, load1=1.0))
        await recorder.flush()
        disk.after(5)
        with pytest.raises(StoreError):
            await recorder.pack()
        disk.is_full = False
        await recorder.pack()

    asyncio.run(work())
    with store.read() as reader:
        left = reader.exec_driver_sql("SELECT count(*) FROM sample_batches").scalar_one()
        found = [samples.read(reader, Name(key, "", "load1"), at_us - 10**6, at_us + 10**6) for key in keys]
    assert (left, [len(some) for some in found]) == (0, [1] * len(keys))
    workers.close()
    store.close()


def test_a_look_that_is_written_after_its_hour_is_packed_with_it(tmp_path: Path) -> None:
    clock, workers, key = ToldClock(), Workers(1), "s/c/load@web"
    clock.now_us = hour_us = clock.now_us // HOUR_US * HOUR_US
    store = Store.open(tmp_path / "state", SystemClock(), migrate=True)
    recorder, seconds = Recorder(store, clock, workers), (-60, -10, -1)

    async def work() -> None:
        for second in seconds:
            recorder.note(seen(key, hour_us + second * 1_000_000, load1=1.0))
            if second < -1:
                await recorder.flush()
        clock.pass_seconds(1)
        await recorder.pack()  # while the last one waits
        await recorder.flush()
        clock.pass_seconds(120)
        await recorder.pack()

    asyncio.run(work())
    with store.read() as reader:
        found = samples.read(reader, Name(key, "", "load1"), hour_us - HOUR_US, hour_us + HOUR_US)
        left = reader.exec_driver_sql("SELECT count(*) FROM sample_batches").scalar_one()
    assert ([sample.at_us - hour_us for sample in found], left) == ([second * 1_000_000 for second in seconds], 0)
    workers.close()
    store.close()


def test_a_host_that_invents_names_fills_neither_disk_nor_memory_with_their_samples(tmp_path: Path) -> None:
    clock, workers = SystemClock(), Workers(1)
    store = Store.open(tmp_path / "state", clock, migrate=True)
    recorder, now = Recorder(store, clock, workers), clock.now()

    async def work() -> None:
        for turn in range(6):
            names = (f"{turn}-{number}" for number in range(samples.MOST_INSTANCES // 4))
            inner = {name: Look(verdict=Verdict.OK, summary="", metrics={"in": 1.0}) for name in ("eth0", *names)}
            look = Look(verdict=Verdict.OK, summary="", instances=inner)
            recorder.note(Result(key="s/c/ports@switch", begun_us=now, ended_us=now + turn, look=look))
            recorder.note(seen("s/c/other@switch", now + turn, used=1.0))
            await recorder.flush()

    asyncio.run(work())
    with store.read() as reader:
        count = reader.exec_driver_sql("SELECT count(*) FROM series WHERE instance != ''").scalar_one()
        kept = {
            name: len(samples.read(reader, Name(key, name, metric), now - 10**6, now + 10**6))
            for key, name, metric in (
                ("s/c/ports@switch", "eth0", "in"), ("s/c/ports@switch", "5-7", "in"), ("s/c/other@switch", "", "used"),
            )
        }  # fmt: skip
    assert count <= samples.MOST_INSTANCES + samples.MOST_INSTANCES // 4
    assert kept == {"eth0": 6, "5-7": 0, "": 6}
    workers.close()
    store.close()
