"""The daemon as a process: one per state folder, stopped and reloaded by signals, and what systemd hears of it."""

import os
import signal
import socket
from collections.abc import Iterator

import pytest

from agent.clock import SystemClock
from agent.runtime.heartbeat import Heartbeat
from agent.store import journal, looks, owners
from tests.acceptance.world import World
from tests.lab.wait import until

FILES = "agent/policies/files@none"


class Turning(SystemClock):
    """A clock that a test turns forward."""

    turned_ns = 0

    def boottime(self) -> int:
        return super().boottime() + self.turned_ns


@pytest.fixture
def systemd() -> Iterator[socket.socket]:
    """What systemd is for a service: a datagram socket, here one without a file."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0watchkeeper-{os.getpid()}")
        listening.settimeout(10)
        yield listening


def address(listening: socket.socket) -> str:
    """How NOTIFY_SOCKET names it."""
    return "@" + str(listening.getsockname()[1:], "ascii")


def heard(listening: socket.socket) -> str:
    return str(listening.recv(100), "ascii")


def test_a_daemon_owns_its_folder_finishes_its_look_on_sigterm_and_tells_systemd_so(
    world: World, systemd: socket.socket
) -> None:
    looking = world.host / "looking"
    world.policy("shop", checks={"slow": {"command": f"touch {looking}; sleep 0.7; echo slept well"}})
    first = world.run(NOTIFY_SOCKET=address(systemd))
    assert (heard(systemd), heard(systemd)) == ("READY=1", "WATCHDOG=1")

    second = world.start()
    assert second.ends() == 4
    assert f"another daemon runs on it (pid {first.process.pid})" in second.told()
    with world.store.read() as reader:
        owner = owners.current(reader)
    assert owner is not None
    assert owner.pid == first.process.pid

    looking.unlink(missing_ok=True)
    until(looking.exists, 10, "a look has begun")
    assert first.stop() == 0
    assert next(said for said in iter(lambda: heard(systemd), "") if said != "WATCHDOG=1") == "STOPPING=1"
    with world.store.read() as reader:
        seen = looks.latest(reader, ["shop/checks/slow@here"])["shop/checks/slow@here"]
        last = journal.lines(reader)[-1]
    assert seen.summary == "slept well"
    assert seen.begun_us / 1e6 >= looking.stat().st_mtime - 0.5, "the look that was under way is the one kept"
    assert last.entry.kind == "agent-stopped"
    assert owners.running(world.state, SystemClock()) is None


def test_sighup_reads_everything_again_and_a_playbook_that_is_gone_is_an_error_of_the_policy(world: World) -> None:
    """The file of a playbook is not watched, so only the signal can have told the daemon."""
    world.policy(
        "shop",
        checks={"up": world.check(incident="none", remedy="mend")},
        remedies={"mend": world.remedy(mode="propose")},
    )
    daemon = world.run()
    (world.folder / "playbooks" / "mend.yml").rename(world.folder / "mend.away")
    daemon.process.send_signal(signal.SIGHUP)
    world.until(lambda: world.is_open(FILES), "the error is told")
    incident = world.incident(FILES)
    assert incident is not None
    assert "policies/shop.yaml:" in incident.why
    assert "there is no playbook 'mend.yml'" in incident.why
    (world.folder / "mend.away").rename(world.folder / "playbooks" / "mend.yml")
    daemon.process.send_signal(signal.SIGHUP)
    world.until(lambda: world.is_resolved(FILES), "it is mended")
    assert daemon.stop() == 0


def test_the_watchdog_hears_nothing_while_a_loop_hangs(systemd: socket.socket) -> None:
    clock = Turning()
    heartbeat = Heartbeat(clock, address(systemd))
    for loop in ("checks", "deliveries"):
        heartbeat.expect(loop, within_seconds=30)
    assert heartbeat.beat()
    clock.turned_ns += 31_000_000_000
    heartbeat.stamp("checks")
    assert heartbeat.late() == ("deliveries",)
    assert not heartbeat.beat()
    heartbeat.stamp("deliveries")
    assert heartbeat.beat()
    systemd.setblocking(False)
    assert [heard(systemd), heard(systemd)] == ["WATCHDOG=1", "WATCHDOG=1"]
    with pytest.raises(BlockingIOError):
        heard(systemd)


def test_a_service_manager_that_went_away_stops_nobody(systemd: socket.socket) -> None:
    where = address(systemd)
    systemd.close()
    assert Heartbeat(SystemClock(), where).beat()
    assert Heartbeat(SystemClock(), None).beat()
