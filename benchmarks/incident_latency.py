"""How long it takes from the deciding result to an incident that a power cut cannot take away."""

import asyncio
import tempfile
import time
from pathlib import Path
from types import MappingProxyType
from typing import Any

from agent.clock import SystemClock
from agent.model.cadence import Every
from agent.model.check import Check, Rules, RunFrom, Threshold
from agent.model.config import Config, SinkSpec
from agent.model.look import Look, Result, Verdict
from agent.model.policy import PolicySet
from agent.model.service import Service
from agent.runtime.book import Book
from agent.runtime.desk import Desk
from agent.runtime.workers import Workers
from agent.store import incidents
from agent.store.engine import Store
from benchmarks.measuring import TOP, Figure, result

INCIDENTS = 200


def policies(home: Path) -> PolicySet:
    """That many checks, of which one critical result is enough, and one sink that is to be told."""
    config = Config(
        path=home / "config.yaml", home=home, name="bench", timezone="UTC", owner="team", inventory=home, policies=home,
        playbooks=home, state=home, secrets=home, sinks=(SinkSpec(name="log", kind="jsonl", options=None),),
    )  # fmt: skip
    items = [f"shop/checks/front-{number}" for number in range(INCIDENTS)]
    return PolicySet(
        digest="", config=config, hosts={}, remedies={}, backups={},
        services=MappingProxyType({"shop": Service(name="shop", owner="team")}),
        checks=MappingProxyType({check.key: check for check in map(check_of, items)}),
    )  # fmt: skip


def check_of(item: str) -> Check:
    """One check on one host."""
    key = f"{item}@web1"
    return Check(
        key=key, item=item, service="shop", host="web1", kind="tcp", options=None, run_from=RunFrom.AGENT,
        every=(Every(seconds=60.0),), timeout_seconds=10.0, retry_every_seconds=15.0,
        rules=Rules(key=key, fail_after=Threshold(count=1)),
    )  # fmt: skip


async def waits(store: Store, book: Book) -> list[float]:
    """Milliseconds of each incident, one after the other, over the thread that writes."""
    clock, workers = SystemClock(), Workers(1)
    desk = Desk(store, clock, book)
    taken = []
    for key in book.policies.checks:
        now_us = clock.now()
        look = Look(verdict=Verdict.CRITICAL, summary="connection refused")
        seen = Result(key=key, begun_us=now_us, ended_us=now_us, look=look)
        begun = time.perf_counter()
        await workers.write(desk.follow, key, seen)
        taken.append((time.perf_counter() - begun) * 1e3)
    workers.close()
    return taken


def main() -> dict[str, Any]:
    """On the disk of this work tree, not in /tmp, which may be memory."""
    with tempfile.TemporaryDirectory(dir=TOP, prefix=".bench-") as name:
        store = Store.open(Path(name), SystemClock(), migrate=True)
        book = Book(store)
        book.adopt(policies(Path(name)), generation=1)
        cpu = time.process_time()
        taken = asyncio.run(waits(store, book))
        each = (time.process_time() - cpu) / INCIDENTS * 1e3
        with store.read() as reader:
            filed = sum(incidents.open_of(reader, key) is not None for key in book.policies.checks)
        store.close()
    assert filed == INCIDENTS, f"{filed} incidents were filed"
    worst = sorted(taken)[int(INCIDENTS * 0.99)]
    return result(
        f"deciding result → incident, journal and outbox durable, {INCIDENTS} times",
        Figure(name="CPU of one", unit="ms", values=(each,)),
        Figure(name="time of one", unit="ms", values=tuple(taken), limit=50.0),
        Figure(name="time of the slowest but 1 %", unit="ms", values=(worst,), limit=50.0),
    )
