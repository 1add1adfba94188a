"""The clock with 100,000 entries, 10,000 results stored, samples on disk and packed, and a reload of 10,000 checks."""

import asyncio
import contextlib
import random
import sqlite3
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from agent.app import Builder
from agent.clock import MICROSECONDS, NANOSECONDS, SystemClock
from agent.model.cadence import Every
from agent.model.check import Check, Rules, RunFrom
from agent.model.look import Look, Result, Verdict
from agent.runtime import garbage
from agent.runtime.memories import Memories
from agent.runtime.recorder import Recorder
from agent.runtime.scheduler import Scheduler
from agent.runtime.workers import Workers
from agent.store import packing, samples
from agent.store.engine import Store
from benchmarks import validate_cost
from benchmarks.measuring import Figure, result

ENTRIES = 100_000
RESULTS = 10_000
REPEATS = 7
RELOADS = 3
SERIES = 200
MINUTES = 23 * 60  # not a whole day: that would be rolled up as well
MANY_SERIES = 20_000
HOUR_US = 3600 * MICROSECONDS
DAY_US = 24 * HOUR_US


class Told:
    """A clock that passes when told, so that a minute need not be waited for."""

    boot_id = "told"

    def __init__(self) -> None:
        self.passed_ns = 1_000 * NANOSECONDS
        self.began_us = SystemClock().now() // DAY_US * DAY_US - 2 * DAY_US

    def now(self) -> int:
        """Wall time."""
        return self.began_us + self.passed_ns // 1_000

    def boottime(self) -> int:
        """Time since boot."""
        return self.passed_ns

    async def sleep_until(self, boottime_ns: int) -> None:
        """Time passes at once."""
        self.passed_ns = max(self.passed_ns, boottime_ns)


def checks(count: int) -> list[Check]:
    """So many checks, once a minute, ten on a host."""
    made = []
    for number in range(count):
        host, item = f"host-{number // 10}", f"bench/checks/check-{number % 10}"
        made.append(
            Check(
                key=f"{item}@{host}", item=item, service="bench", host=host, kind="load", options=None,
                run_from=RunFrom.HOST, every=(Every(seconds=60.0),), timeout_seconds=5.0, retry_every_seconds=15.0,
                rules=Rules(key=f"{item}@{host}"),
            )
        )  # fmt: skip
    return made


def clock_cost() -> list[float]:
    """CPU milliseconds per second of telling what is due, in batches by host."""
    clock = Told()
    scheduler = Scheduler(clock)
    scheduler.adopt(checks(ENTRIES))
    found = []
    for _ in range(REPEATS):
        begun, taken = time.process_time(), 0
        for _ in range(240):
            clock.passed_ns += NANOSECONDS // 4
            taken += sum(len(due) for _, due in scheduler.take())
        found.append((time.process_time() - begun) / 60 * 1e3)
        if taken != ENTRIES:
            raise RuntimeError(f"{taken} of {ENTRIES} came up in a minute")
    return found


def results(clock: Told, looked_at: Iterable[Check]) -> Iterable[Result]:
    """One result of each of these checks, with two metrics each."""
    for check in looked_at:
        metrics = {"used": random.random(), "time": 0.01 + random.random() / 100}
        look = Look(verdict=Verdict.OK, summary="41 % used", metrics=metrics)
        yield Result(key=check.key, begun_us=clock.now() - 31_000, ended_us=clock.now(), look=look)


async def store_cost(folder: Path) -> list[float]:
    """CPU milliseconds for 10,000 results with their samples, from the recorder's hands to the disk, threads included."""
    clock, workers = Told(), Workers()
    store = Store.open(folder, SystemClock(), migrate=True)
    recorder = Recorder(store, clock, workers, Memories(clock))
    found, looked_at = [], checks(RESULTS)  # once: a check's key is one text for as long as a policy stands
    garbage.settle()  # as the daemon does
    for _ in range(REPEATS + 1):
        clock.passed_ns += 60 * NANOSECONDS
        given = list(results(clock, looked_at))
        begun = time.process_time()
        for one in given:
            recorder.note(one)
        await recorder.flush()
        found.append((time.process_time() - begun) * 1e3)
    workers.close()
    store.close()
    return found[1:]  # the first has to name every series


def sample_bytes(folder: Path) -> float:
    """Bytes on disk per sample: almost a day of noisy minutes of 200 series, packed, the rest of the database included."""
    clock = Told()
    store = Store.open(folder, SystemClock(), migrate=True)
    catalogue, levels = samples.Catalogue(), [random.uniform(0.1, 0.9) for _ in range(SERIES)]
    with store.write() as tx:
        names = [samples.Name(f"bench/checks/one@host-{number}", "", "used") for number in range(SERIES)]
        numbers = catalogue.learn(tx, names)
    before = on_disk(store.path)
    for minute in range(MINUTES):
        at_us = clock.began_us + minute * 60 * MICROSECONDS
        levels = [min(1.0, max(0.0, level + random.gauss(0, 0.004))) for level in levels]
        with store.write() as tx:
            tenth = at_us // samples.TENTH_US
            samples.append(tx, samples.Batch(numbers, [tenth] * SERIES, levels))
            if minute % 60 == 59:
                done = None
                while done := packing.piece(tx, at_us + HOUR_US, done):
                    pass
    store.close()
    return (on_disk(store.path) - before) / (SERIES * MINUTES)


def packing_cost(folder: Path) -> tuple[float, list[float]]:
    """CPU seconds to pack an hour of what a thousand hosts measure, and seconds that each piece held the writer."""
    store = Store.open(folder, SystemClock(), migrate=True)
    start = Told().began_us // samples.TENTH_US
    with store.write() as tx:
        names = [samples.Name(f"bench/checks/one@host-{number}", "", "used") for number in range(MANY_SERIES)]
        numbers = samples.Catalogue().learn(tx, names)
    for minute in range(60):
        with store.write() as tx:
            values = [random.random() for _ in numbers]
            samples.append(tx, samples.Batch(numbers, [start + minute * 600] * len(numbers), values))
    begun, done, held = time.process_time(), None, list[float]()
    while not held or done is not None:
        at = time.monotonic()
        with store.write() as tx:
            done = packing.piece(tx, start * samples.TENTH_US + HOUR_US, done)
        held.append(time.monotonic() - at)
    spent = time.process_time() - begun
    store.close()
    return spent, held


def on_disk(path: Path) -> int:
    """Bytes of all pages in use."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
    return int((pages - free) * size)


def reload_cost(folder: Path) -> tuple[list[float], list[float], int]:
    """CPU and wall seconds of a reload after one of 1,000 files was edited, and how many other checks were moved."""
    validate_cost.lay_out(folder)
    agent = Builder(folder / "config.yaml").agent(migrate=True)
    agent.scheduler.adopt(agent.book.policies.checks.values())
    garbage.settle()  # as the daemon does
    cpu, wall, moved = [], [], 0
    for turn in range(RELOADS + 1):
        before = agent.scheduler.places()
        text = validate_cost.POLICY.format(number=7, host=7).replace("every: 60s", f"every: {50 + turn}s")
        (folder / "policies/service-7.yaml").write_text(text, encoding="utf-8")
        begun, begun_cpu = time.perf_counter(), time.process_time()
        outcome = agent.reloader.reload(agent.reloader.read(), consent=False, actor="bench")
        agent.scheduler.adopt(agent.book.policies.checks.values())
        cpu.append(time.process_time() - begun_cpu)
        wall.append(time.perf_counter() - begun)
        if not outcome.changed:
            raise RuntimeError("the edit did not come into force")
        after = agent.scheduler.places()
        moved += sum(before[key] != after[key] for key in before if not key.startswith("service-7/"))
    agent.close()
    return cpu[1:], wall[1:], moved


def main() -> dict[str, Any]:
    """All of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "home").mkdir()
        stored = asyncio.run(store_cost(folder / "stored"))
        sizes = [sample_bytes(folder / "sampled")]
        packing_cpu, held = packing_cost(folder / "packed")
        cpu, wall, moved = reload_cost(folder / "home")
    return result(
        "the clock, the store, a reload",
        Figure(name="100,000 entries on the clock, CPU per second", unit="ms", values=tuple(clock_cost()), limit=0.5),
        Figure(name="10,000 results stored, CPU", unit="ms", values=tuple(stored), limit=30.0),
        Figure(name="one sample on disk, kept at full resolution", unit="bytes", values=tuple(sizes), limit=2.5),
        Figure(name=f"an hour of {MANY_SERIES:,} series packed, CPU", unit="s", values=(packing_cpu,)),
        Figure(name="  each piece held the writer for", unit="s", values=tuple(held)),
        Figure(name="reload of 10,000 checks after one of 1,000 files was edited, CPU", unit="s", values=tuple(cpu)),
        Figure(name="the same, time", unit="s", values=tuple(wall), limit=1.0),
        Figure(name="checks moved by it that were not edited", unit="checks", values=(float(moved),), limit=0.0),
    )
