"""The probes of hosts where they really run: by this machine's shell, over SSH in one round trip, under a real systemd."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.checks.command import Command, CommandOptions
from agent.checks.disk import Disk, DiskOptions
from agent.checks.load import Load, LoadOptions
from agent.checks.memory import Memory, MemoryOptions
from agent.checks.nagios import Nagios, NagiosOptions
from agent.checks.process import Process, ProcessOptions
from agent.checks.systemd import Systemd, SystemdOptions
from agent.clock import Deadline, SystemClock
from agent.model.look import Look, Section, Verdict
from agent.transports import local
from agent.transports.ssh import SshPool
from tests.lab.lab import Lab
from tests.lab.sshd import Sshd, host_of, pin
from tests.lab.wait import in_time, until

CLOCK = SystemClock()
PLUGIN = """\
#!/bin/sh
echo "DISK $1 | '/'=10%;80;90 free=3GB"
echo "more | time=12ms"
echo complaint >&2
exit "$2"
"""


def here(probe: Any, options: Any, seconds: float = 10.0) -> Look:
    """What the probe says of this machine by its script."""
    [section] = local.run_batch([(probe.script(options), seconds)], Deadline.after(CLOCK, seconds + 5))
    look: Look = probe.read(section, options)
    return look


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """A plugin for Nagios: prints its first argument, exits with its second."""
    file = tmp_path / "check it"
    file.write_text(PLUGIN)
    file.chmod(0o755)
    return file


@pytest.mark.parametrize(
    ("code", "verdict"), [(0, "ok"), (1, "warning"), (2, "critical"), (3, "unknown"), (9, "unknown")]
)
def test_a_plugin_runs_as_its_author_meant(plugin: Path, code: int, verdict: str) -> None:
    look = here(Nagios, NagiosOptions(command=f"'{plugin}' 'it''s fine' {code}"))
    assert look.verdict == verdict
    assert look.summary.endswith("DISK its fine")
    assert look.evidence == "DISK its fine\nmore\ncomplaint"
    if verdict != "unknown":
        assert look.metrics == {"/": pytest.approx(0.1), "free": 3e9, "time": pytest.approx(0.012)}


def test_a_plugin_that_is_killed_floods_or_cannot_run_is_unknown(plugin: Path) -> None:
    plugin.chmod(0o644)
    assert "cannot be executed" in here(Nagios, NagiosOptions(command=f"'{plugin}' x 0")).summary
    assert "signal 9" in here(Nagios, NagiosOptions(command="kill -9 $$")).summary
    assert here(Nagios, NagiosOptions(command="yes"), seconds=2).verdict is Verdict.UNKNOWN
    assert here(Nagios, NagiosOptions(command="head -c 9000000 /dev/zero >&2; echo fine")).verdict is Verdict.OK


def test_a_command_without_end_is_critical_in_time() -> None:
    with in_time(0.5):
        look = here(Command, CommandOptions(command="echo started; sleep 60"), seconds=0.5)
    assert (look.verdict, look.summary) == (Verdict.CRITICAL, "the command did not end in time")


NAME = f"wk{os.getpid()}very-long-name-of-a-program"  # one per test process: they must not count each other's


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process with a name and a command line that nothing else here has."""
    name = tmp_path / NAME
    name.symlink_to(sys.executable)
    code = "import sys; print(flush=True); sys.stdin.read()"
    argv = [str(name), "-c", code, "worker: one of (two)"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield child
        child.kill()


@pytest.mark.parametrize("look", [here, lambda probe, options: probe.look(options)], ids=["script", "psutil"])
def test_a_process_is_found_by_name_pattern_and_user(sleeper: subprocess.Popen[bytes], look: Any) -> None:
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    for options in (
        ProcessOptions(name=NAME),
        ProcessOptions(pattern=NAME + r".* worker: one of \(two\)$", user=user),
        ProcessOptions(pattern=f"^[^ ]*wk{os.getpid()}ve[a-z]+", user=str(os.getuid())),
    ):
        seen = look(Process, options)
        assert (seen.verdict, seen.metrics["count"]) == (Verdict.OK, 1), seen
        assert 1e6 < seen.metrics["memory"] < 1e9
        assert 0 <= seen.metrics["cpu"] < 8
    assert look(Process, ProcessOptions(name=NAME[:20], user="nobody")).verdict is Verdict.CRITICAL
    assert look(Process, ProcessOptions(pattern=NAME + ".*nowhere")).verdict is Verdict.CRITICAL
    assert look(Process, ProcessOptions(name="sh", user="no-such-user")).verdict is Verdict.UNKNOWN


def test_what_has_ended_and_was_not_collected_does_not_run(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    options = ProcessOptions(name=NAME)
    assert here(Process, options).metrics["count"] == 0
    assert Process.look(options).metrics["count"] == 0


def test_a_shell_that_carries_the_pattern_does_not_find_itself() -> None:
    assert here(Process, ProcessOptions(pattern="wk-nobody-runs-this")).metrics["count"] == 0


ALL: list[tuple[Any, Any]] = [
    (Disk, DiskOptions(match=("all",))),
    (Memory, MemoryOptions()),
    (Load, LoadOptions()),
    (Process, ProcessOptions(pattern="sshd")),
    (Command, CommandOptions(command="cat; echo 7; echo hidden >&2")),
    (Nagios, NagiosOptions(command="echo 'OK | a=5ms'; exit 1")),
    (Systemd, SystemdOptions(unit="ssh.service")),
    (Disk, DiskOptions(path="/")),
]


def over_ssh(there: Any, folder: Path, checks: list[tuple[Any, Any]]) -> list[Look]:
    """What all these say of a host, asked in one round trip."""
    host = host_of(there, "there")
    pin(folder / "known_hosts", host, there)
    pool = SshPool(folder / "known_hosts", CLOCK)
    try:
        scripts = [(probe.script(options), 10.0) for probe, options in checks]
        sections: list[Section] = pool.run_batch(host, scripts, Deadline.after(CLOCK, 60))
        assert pool.counts().round_trips == 1
    finally:
        pool.close()
    return [probe.read(section, options) for (probe, options), section in zip(checks, sections, strict=True)]


def test_all_of_them_share_one_round_trip_without_minding_each_other(sshd: Sshd, tmp_path: Path) -> None:
    looks = over_ssh(sshd, tmp_path, ALL)
    disks, memory, load, process, command, nagios, _, root = looks
    assert [look.verdict for look in (memory, load, process, command, root)] == [Verdict.OK] * 5, looks
    assert "/" in disks.instances
    assert command.metrics == {"exit": 0, "value": 7}
    assert nagios.verdict is Verdict.WARNING
    assert nagios.metrics == {"a": pytest.approx(0.005)}
    assert process.metrics["count"] != 0


@pytest.mark.lab
def test_units_of_a_real_host_are_seen_in_every_state(lab: Lab, tmp_path: Path) -> None:
    host = lab.hosts[0]
    units = {
        "fine": "ExecStart=/bin/sleep inf",
        "dies": "ExecStart=/bin/false",
        "loops": "ExecStart=/bin/false\nRestart=always\nRestartSec=60",
        "starts": "Type=notify\nExecStart=/bin/sleep inf\nTimeoutStartSec=60",
        "once": "Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true",
    }
    for name, lines in units.items():
        host.exec(f"printf '[Service]\\n{lines}\\n' >/run/systemd/system/wk-{name}.service".replace("\n", "\\n"))
    host.exec("systemctl daemon-reload; systemctl mask --runtime wk-masked.service")
    host.exec("systemctl start wk-fine wk-once; systemctl start --no-block wk-dies wk-loops wk-starts")
    until(lambda: "failed" in host.exec("systemctl is-active wk-dies || true"), 5, "wk-dies failed")
    until(lambda: "auto-restart" in host.exec("systemctl show -p SubState wk-loops"), 5, "wk-loops waits")
    names = [*units, "masked", "absent"]
    looks = over_ssh(host, tmp_path, [(Systemd, SystemdOptions(unit=f"wk-{name}.service")) for name in names])
    host.exec(
        "systemctl stop --no-block 'wk-*'; rm /run/systemd/system/wk-*; systemctl daemon-reload; systemctl reset-failed"
    )
    seen = {name: (str(look.verdict), look.summary.partition(": ")[2]) for name, look in zip(names, looks, strict=True)}
    assert seen == {
        "fine": ("ok", "active (running)"),
        "dies": ("critical", "failed, result exit-code"),
        "loops": ("critical", "activating (auto-restart), result exit-code"),
        "starts": ("warning", "activating (start)"),
        "once": ("ok", "active (exited)"),
        "masked": ("critical", "the unit is masked; inactive (dead)"),
        "absent": ("critical", "there is no such unit; inactive (dead)"),
    }
