"""Fingerprints, scanning and the known_hosts file, held against the real OpenSSH programs."""

import subprocess
from pathlib import Path

import pytest

from agent.clock import Deadline, SystemClock
from agent.model.host import Connection, Host
from agent.transports import known_hosts
from agent.transports.known_hosts import HostKey
from tests.lab.network import command
from tests.lab.sshd import Sshd, running_sshd

CLOCK = SystemClock()


def of(sshd: Sshd) -> Host:
    return Host(
        name="plain",
        address=sshd.address,
        port=sshd.port,
        user=sshd.user,
        key_file=str(sshd.key_file),
        connection=Connection.SSH,
    )


@pytest.mark.parametrize(
    "options",
    [["ed25519"], ["rsa", "-b", "2048"], ["rsa", "-b", "3072"], ["ecdsa", "-b", "256"], ["ecdsa", "-b", "521"]],
    ids=" ".join,
)
def test_a_key_is_described_as_ssh_keygen_does(options: list[str], tmp_path: Path) -> None:
    file = tmp_path / "key"
    command("ssh-keygen", "-q", "-N", "", "-f", str(file), "-C", "", "-t", *options)
    kind, body = file.with_suffix(".pub").read_text().split()[:2]
    described = command("ssh-keygen", "-l", "-f", str(file.with_suffix(".pub")))
    assert str(HostKey(type=kind, base64=body)) == described.strip().replace(" no comment ", " ")


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_scanning_gives_the_key_without_logging_in(kind: str, tmp_path: Path) -> None:
    with running_sshd(tmp_path, host_key_type=kind) as sshd:
        key = known_hosts.scan_key(tmp_path / "none", of(sshd), Deadline.after(CLOCK, 10.0))
        assert f"{key.type} {key.base64}" == sshd.public_key
        assert "Accepted" not in sshd.log.read_text()


def test_openssh_reads_what_we_pin(sshd: Sshd, tmp_path: Path) -> None:
    pins = tmp_path / "known_hosts"
    host = of(sshd)
    known_hosts.pin(pins, host, known_hosts.scan_key(pins, host, Deadline.after(CLOCK, 10.0)))
    options = [f"UserKnownHostsFile={pins}", "StrictHostKeyChecking=yes", "BatchMode=yes"]
    argv = ["ssh", "-F", "none", *(word for option in options for word in ("-o", option))]
    login = [*argv, "-i", str(sshd.key_file), "-p", str(sshd.port), f"{sshd.user}@{sshd.address}", "true"]
    assert subprocess.run(login, check=False, timeout=30).returncode == 0
    known_hosts.forget(pins, host)
    assert subprocess.run(login, check=False, timeout=30, stderr=subprocess.DEVNULL).returncode == 255


def test_we_read_what_openssh_hashed(tmp_path: Path) -> None:
    pins = tmp_path / "known_hosts"
    host = Host(name="web1", address="web1.example", port=2222, connection=Connection.SSH)
    command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key"))
    kind, body = (tmp_path / "key.pub").read_text().split()[:2]
    key = HostKey(type=kind, base64=body)
    known_hosts.pin(pins, host, key)
    command("ssh-keygen", "-H", "-f", str(pins))
    assert "web1" not in pins.read_text()
    assert known_hosts.pinned(pins, host) == (key,)
    known_hosts.forget(pins, host)
    assert known_hosts.pinned(pins, host) == ()
