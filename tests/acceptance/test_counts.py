"""What a minute of watching costs in things that can be counted: connections, shells, packets, transactions."""

import asyncio
import dataclasses
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.app import Builder
from agent.runtime import daemon
from agent.runtime.agent import Agent
from agent.runtime.rota import Rota
from tests.lab.sshd import Sshd, running_sshd

HOSTS = ("web-1", "web-2", "web-3")
CHECKS = ("memory: ", "load: ", "uptime: ", "swap: ", "disk: /", "process: sshd", "command: echo well")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """Everything that was done so far."""

    connections: int
    round_trips: int
    shells: int
    segments_out: int
    segments_in: int
    transactions: int


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    with running_sshd(tmp_path) as running:
        yield running


def lay_out(home: Path, sshd: Sshd) -> Path:
    for name in ("inventory", "policies", "playbooks", "secrets", "var"):
        (home / name).mkdir(parents=True)
    login = f"ansible_port={sshd.port} ansible_user={sshd.user} ansible_ssh_private_key_file={sshd.key_file}"
    (home / "inventory/hosts").write_text(
        "[web]\n" + "".join(f"{name} ansible_host={sshd.address} {login}\n" for name in HOSTS)
    )
    (home / "var").chmod(0o700)
    (home / "var/known_hosts").write_text(f"[{sshd.address}]:{sshd.port} {sshd.public_key}\n")
    (home / "var/known_hosts").chmod(0o600)
    (home / "config.yaml").write_text("version: 1\nname: counting\nowner: ops\nteams: {ops: {members: []}}\n")
    checks = "".join(f"  check-{number}: {{{kind}, every: 60s}}\n" for number, kind in enumerate(CHECKS))
    (home / "policies/web.yaml").write_text(f"version: 1\nservice: web\nhosts: web\nchecks:\n{checks}")
    return home / "config.yaml"


class Counter:
    """Ticks an agent and counts."""

    def __init__(self, agent: Agent, sshd: Sshd, commits: list[str]) -> None:
        self._agent = agent
        self._sshd = sshd
        self._commits = commits
        self._rota = Rota(agent)

    async def start(self) -> None:
        await daemon.start(self._agent, self._rota)

    async def tick(self) -> None:
        """All that there is comes due in the same moment."""
        for key in self._agent.book.policies.checks:
            self._agent.scheduler.now(key)
        self._rota.turn()
        wanted = self._rota.looked + len(self._agent.book.policies.checks)
        async with asyncio.timeout(60):
            while self._rota.looked < wanted:  # noqa: ASYNC110  the rota tells nobody that it is done
                await asyncio.sleep(0.01)
        await self._agent.recorder.flush()

    def count(self) -> Counts:
        done, where = self._agent.pool.counts(), f"{self._sshd.address}:{self._sshd.port}"
        sockets = _said("ss", "-tniH", "state", "established", "dst", where)
        return Counts(
            connections=done.connections,
            round_trips=done.round_trips,
            shells=self._sshd.log.read_text().count("Starting session"),
            segments_out=sum(map(int, re.findall(r"data_segs_out:(\d+)", sockets))),
            segments_in=sum(map(int, re.findall(r"data_segs_in:(\d+)", sockets))),
            transactions=len(self._commits),
        )


def _said(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_a_steady_tick_is_one_packet_each_way_per_host_and_one_transaction_in_all(tmp_path: Path, sshd: Sshd) -> None:
    commits: list[str] = []

    def failpoint(point: str) -> None:
        if point == "after-commit":
            commits.append(point)

    agent = Builder(lay_out(tmp_path / "home", sshd), failpoint=failpoint).agent(migrate=True)

    async def scene() -> list[Counts]:
        counter = Counter(agent, sshd, commits)
        await counter.start()
        counts = []
        for _ in range(4):
            await counter.tick()
            counts.append(counter.count())
        return counts

    try:
        first, _, third, fourth = asyncio.run(scene())
    finally:
        agent.close()
    assert (first.connections, first.round_trips, first.shells) == (3, 3, 3)
    assert fourth == dataclasses.replace(
        third,
        round_trips=third.round_trips + 3,
        segments_out=third.segments_out + 3,
        segments_in=third.segments_in + 3,
        transactions=third.transactions + 1,
    )
