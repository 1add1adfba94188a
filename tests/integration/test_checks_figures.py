"""The probes of hosts that measure the machine, its ports and its files, by two shells: what they say is so."""

import hashlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.checks.clock import ClockOptions, HostClock
from agent.checks.container import Container, ContainerOptions
from agent.checks.cpu import Cpu, CpuOptions
from agent.checks.file import File, FileOptions
from agent.checks.inodes import Inodes, InodesOptions
from agent.checks.port import ListeningPort, PortOptions
from agent.checks.swap import Swap, SwapOptions
from agent.checks.uptime import Uptime, UptimeOptions
from agent.clock import Deadline, SystemClock
from agent.model.look import Look, Section, Verdict
from agent.transports import local
from agent.transports.ssh import SshPool
from tests.lab.sshd import Sshd, host_of, pin
from tests.lab.wait import until

CLOCK = SystemClock()


@pytest.fixture(params=["dash", "busybox sh"])
def shell(request: pytest.FixtureRequest) -> str:
    """A shell that hosts have."""
    return str(request.param)


def here(shell: str, probe: Any, options: Any, **memory: Any) -> Look:
    """What the probe says of this machine by its script, run by that shell."""
    argv = [*shell.split(), "-c", f"exec 2>&1 </dev/null\n{probe.script(options, **memory)}"]
    done = local.run(argv, deadline=Deadline.after(CLOCK, 20), env={"PATH": os.environ["PATH"]})
    section = Section(text=done.stdout, exit_code=done.exit_code, timed_out=done.timed_out)
    look: Look = probe.read(section, options, **memory)
    return look


def test_the_machine_is_measured(shell: str) -> None:
    cpu = here(shell, Cpu, CpuOptions())
    counted = sum(cpu.memory or ())
    until(lambda: _ticks() > counted + 2, 5, "the kernel counts on")  # two looks in one tick tell nothing
    looks = [
        cpu,
        here(shell, Cpu, CpuOptions(), memory=cpu.memory),
        here(shell, Swap, SwapOptions()),
        here(shell, Uptime, UptimeOptions()),
        here(shell, Inodes, InodesOptions(path="/")),
    ]
    assert [look.verdict for look in looks] == [Verdict.OK] * len(looks), looks
    assert looks[3].metrics["booted"] == CLOCK.boot_id
    status = os.statvfs("/")
    assert looks[4].instances["/"].metrics["free"] == pytest.approx(status.f_favail, rel=0.05)


def _ticks() -> float:
    return sum(map(float, Path("/proc/stat").read_text().splitlines()[0].split()[1:]))


@pytest.fixture
def listening() -> Iterator[dict[str, int]]:
    """Sockets of this test by name, with their ports."""
    sockets = {
        "tcp": socket.create_server(("127.0.0.1", 0)),
        "tcp6": socket.create_server(("::1", 0), family=socket.AF_INET6),
        "udp": socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        "bound": socket.socket(),
    }
    sockets["udp"].bind(("127.0.0.2", 0))
    sockets["bound"].bind(("127.0.0.1", 0))
    yield {name: one.getsockname()[1] for name, one in sockets.items()}
    for one in sockets.values():
        one.close()


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("tcp", {}, "listens on 127.0.0.1"),
        ("tcp", {"address": "127.0.0.1"}, "listens on 127.0.0.1"),
        ("tcp", {"address": "192.0.2.1"}, "listens on 127.0.0.1 alone, not on 192.0.2.1"),
        ("tcp", {"protocol": "udp"}, "nothing listens"),
        ("tcp6", {"address": "0:0::1"}, "listens on ::1"),
        ("udp", {"protocol": "udp"}, "listens on 127.0.0.2"),
        ("bound", {}, "nothing listens"),
    ],
)
def test_a_port_is_listened_on_where_the_kernel_says(
    listening: dict[str, int], shell: str, name: str, options: dict[str, str], words: str
) -> None:
    valid = PortOptions.model_validate({"port": listening[name], **options})
    look = here(shell, ListeningPort, valid)
    assert look.summary == f"port {valid.port}/{valid.protocol}: {words}"
    assert look.verdict is (Verdict.CRITICAL if "not" in words else Verdict.OK)


def test_connections_to_a_port_do_not_listen_on_it(listening: dict[str, int], shell: str) -> None:
    with socket.create_connection(("127.0.0.1", listening["tcp"])) as client:
        own = PortOptions(port=client.getsockname()[1])
        assert here(shell, ListeningPort, own).metrics == {"listening": "down"}


@pytest.mark.parametrize("name", ["plain", "with 'quotes' and $(sign)s", "-dash", "back\\slash"])
def test_a_file_is_measured(tmp_path: Path, shell: str, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(b"content")
    file.chmod(0o640)
    os.utime(file, (0, CLOCK.now() / 1e6 - 7200))
    look = here(shell, File, FileOptions(path=str(file), sha256=True))
    assert look.verdict is Verdict.OK, look
    assert look.metrics["size"] == 7
    assert look.metrics["mode"] == "0640"
    assert look.metrics["age"] == pytest.approx(7200, abs=30)
    assert look.metrics["sha256"] == hashlib.sha256(b"content").hexdigest()


def test_what_is_no_ordinary_file_is_measured_but_never_read(tmp_path: Path, shell: str) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert here(shell, File, FileOptions(path=str(pipe))).verdict is Verdict.OK
    look = here(shell, File, FileOptions(path=str(pipe), sha256=True))
    assert (look.verdict, look.metrics["size"]) == (Verdict.UNKNOWN, 0)


def test_a_file_is_there_or_not_as_it_should_be(tmp_path: Path, shell: str) -> None:
    absent = str(tmp_path / "absent")
    assert here(shell, File, FileOptions(path=absent)).verdict is Verdict.CRITICAL
    assert here(shell, File, FileOptions(path=absent, exists=False)).verdict is Verdict.OK
    assert here(shell, File, FileOptions(path=str(tmp_path), exists=False)).verdict is Verdict.CRITICAL
    assert here(shell, File, FileOptions(path="/etc/passwd/x")).verdict is Verdict.CRITICAL


ENGINE = """\
#!/bin/sh
# Stands in for an engine, which no small package has: prints what it was asked as the state's error.
printf '{"state": {"Status": "exited", "Error": "%s"}}\\n' "$(printf '[%s]' "$@" | tr '"' "'")"
"""


def test_an_engine_is_asked_for_the_state_alone(tmp_path: Path, shell: str) -> None:
    engine = tmp_path / "podman"
    engine.write_text(ENGINE)
    engine.chmod(0o755)
    options = ContainerOptions(name="web.1", engine="podman")
    argv = ["env", f"PATH={tmp_path}:{os.environ['PATH']}", *shell.split(), "-c", Container.script(options)]
    done = local.run(argv, deadline=Deadline.after(CLOCK, 20))
    template = "{'state': {{json .State}}, 'restarts': {{json .RestartCount}}}"
    assert f"[inspect][--type][container][--format][{template}][web.1]" in done.stdout


def test_this_machine_agrees_with_itself_about_the_time() -> None:
    [section] = local.run_batch([(HostClock.script(ClockOptions()), 10.0)], Deadline.after(CLOCK, 15))
    look = HostClock.read(section, ClockOptions())
    assert (look.verdict, look.metrics["offset"]) == (Verdict.OK, 0.0), look


def test_a_host_over_ssh_agrees_too(sshd: Sshd, tmp_path: Path) -> None:
    host = host_of(sshd, "there")
    pin(tmp_path / "known_hosts", host, sshd)
    pool = SshPool(tmp_path / "known_hosts", CLOCK)
    probes: list[tuple[Any, Any]] = [(HostClock, ClockOptions()), (Cpu, CpuOptions()), (Swap, SwapOptions())]
    try:
        scripts = [(probe.script(options), 10.0) for probe, options in probes]
        sections = pool.run_batch(host, scripts, Deadline.after(CLOCK, 60))
    finally:
        pool.close()
    looks = [probe.read(section, options) for (probe, options), section in zip(probes, sections, strict=True)]
    assert [look.verdict for look in looks] == [Verdict.OK] * 3, looks
    assert looks[0].metrics["offset"] == 0.0
