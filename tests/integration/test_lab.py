"""The lab keeps its word: hosts of their own, cables that can be pulled, keys that can change, nothing left."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.lab.lab import Lab
from tests.lab.network import command
from tests.lab.sshd import Sshd
from tests.lab.wait import in_time, until

pytestmark = pytest.mark.lab


def ssh(lab: Lab, position: int, script: str) -> subprocess.CompletedProcess[str]:
    host = lab.hosts[position]
    options = [
        "-F",
        "none",
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
        "-o",
        "ConnectTimeout=2",
    ]
    argv = ["ssh", *options, "-i", str(host.key_file), f"{host.user}@{host.address}", script]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)


def test_each_host_has_its_own_name_systemd_and_root(lab: Lab) -> None:
    assert [ssh(lab, position, "hostname").stdout.strip() for position in (0, 1)] == [host.name for host in lab.hosts]
    assert ssh(lab, 0, "systemctl is-system-running").stdout == "running\n"
    lab.hosts[0].exec("touch /srv/only-here")
    assert "only-here" not in ssh(lab, 1, "ls /srv").stdout
    assert not Path("/srv/only-here").exists()


def test_a_service_can_be_made_broken_and_restarted(lab: Lab) -> None:
    host = lab.hosts[0]
    host.exec("printf '[Service]\\nExecStart=/bin/sleep inf\\n' >/run/systemd/system/nap.service")
    host.exec("systemctl daemon-reload; systemctl start nap; pkill -9 -x sleep")
    until(lambda: "failed" in host.exec("systemctl is-active nap || true"), 5, "nap failed")
    host.exec("systemctl restart nap; systemctl is-active nap; systemctl stop nap")


def test_the_hosts_of_the_lab_see_each_other(lab: Lab) -> None:
    script = f"exec 3<>/dev/tcp/{lab.hosts[1].address}/22; head -c 4 <&3"
    assert lab.hosts[0].exec(f"bash -c '{script}'") == "SSH-"


def test_a_cable_can_be_pulled_and_put_back(lab: Lab) -> None:
    lab.hosts[1].cut()
    try:
        assert ssh(lab, 1, "true").returncode == 255
        assert ssh(lab, 0, "true").returncode == 0
    finally:
        lab.hosts[1].join()
    assert ssh(lab, 1, "true").returncode == 0


def test_a_host_key_can_change(lab: Lab) -> None:
    before = lab.hosts[1].public_key
    lab.hosts[1].rekey()
    assert lab.hosts[1].public_key != before


def test_the_inventory_is_what_ansible_reads(lab: Lab, tmp_path: Path) -> None:
    hosts = yaml.safe_load(lab.inventory(tmp_path, "web1", "web2").read_text())["all"]["hosts"]
    assert [hosts[name]["ansible_host"] for name in ("web1", "web2")] == [host.address for host in lab.hosts]


def test_a_killed_test_process_takes_its_hosts_along_and_the_next_one_sweeps(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys, time; from tests.lab.lab import Lab\n"
        "lab = Lab(pathlib.Path(sys.argv[1]), 1); print(lab.hosts[0].pid, lab.network.bridge, flush=True); time.sleep(99)"
    )
    argv = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        pid, bridge = child.stdout.readline().split()
        child.kill()
    until(lambda: not Path(f"/proc/{pid}/root/etc").exists(), 5, "the host is gone")
    assert bridge in command("ip", "-brief", "link", "show", "type", "bridge")
    command(sys.executable, "-c", "from tests.lab.network import sweep; sweep()")
    assert bridge not in command("ip", "-brief", "link", "show", "type", "bridge")
    assert list(Path("/sys/fs/cgroup").rglob(f"{bridge}h*")) == []


def test_a_lab_is_quick(lab: Lab, tmp_path: Path) -> None:
    with in_time(10.0):
        another = Lab(tmp_path, 2)
        another.close()


def test_a_plain_sshd_answers_on_loopback(sshd: Sshd) -> None:
    scanned = command("ssh-keyscan", "-t", "ed25519", "-p", str(sshd.port), sshd.address)
    assert sshd.public_key in scanned
