"""Hosts that prove themselves by a certificate of an authority in known_hosts, before real sshds."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.clock import Deadline, SystemClock
from agent.errors import HostKeyError
from agent.model.host import Connection, Host
from agent.transports.ssh import SshPool
from tests.lab.authority import Authority
from tests.lab.sshd import Sshd, host_of, pin, running_sshd
from tests.lab.wait import until

CLOCK = SystemClock()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module", params=["ed25519", "ecdsa", "rsa"])
def certified(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sshd, Path]]:
    """An sshd that shows a certificate once there is one, and the public key to be signed."""
    folder = tmp_path_factory.mktemp("certified")
    option = f"HostCertificate {folder}/host_key-cert.pub"
    with running_sshd(folder, option, host_key_type=request.param) as running:
        yield running, folder / "host_key.pub"


Show = Callable[..., Sshd]


@pytest.fixture
def show(certified: tuple[Sshd, Path], authority: Authority) -> Show:
    """Sign the host's key, and let its sshd show that."""
    there, public_file = certified

    def shown(names: str = there.address, by: Authority = authority, valid: str = "always:forever") -> Sshd:
        made = by.sign(public_file, names, valid=valid, host=True)
        body = made.read_text().split()[1]
        os.kill(there.pid, signal.SIGHUP)
        until(lambda: body in scanned(there), 10, "its sshd shows the certificate")
        return there

    return shown


def scanned(there: Sshd) -> str:
    argv = ["ssh-keyscan", "-c", "-T", "5", "-p", str(there.port), there.address]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30).stdout


def enter(pins: Path, there: Sshd) -> str:
    host = host_of(there, "web1")
    pool = SshPool(pins, CLOCK)
    try:
        return pool.run_batch(host, [("echo in", 5.0)], Deadline.after(CLOCK, 20.0))[0].text
    finally:
        pool.close()


def ssh_enters(pins: Path, there: Sshd) -> bool:
    """What OpenSSH, and so Ansible, says of the same file."""
    options = [
        f"UserKnownHostsFile={pins}",
        "GlobalKnownHostsFile=/dev/null",
        "StrictHostKeyChecking=yes",
        "BatchMode=yes",
    ]
    argv = ["ssh", "-F", "none", *(word for option in options for word in ("-o", option))]
    login = [*argv, "-i", str(there.key_file), "-p", str(there.port), f"{there.user}@{there.address}", "true"]
    return subprocess.run(login, check=False, timeout=30, stderr=subprocess.DEVNULL).returncode == 0


def test_a_certified_host_needs_no_pin(
    show: Show, authority: Authority, tmp_path: Path, certified: tuple[Sshd, Path]
) -> None:
    pins = tmp_path / "known_hosts"
    there = show(f"elsewhere,{certified[0].address}")
    pins.write_text(f"@cert-authority [127.*]:*,!elsewhere {authority.public_key}\n")
    assert enter(pins, there) == "in\n"
    assert ssh_enters(pins, there)


@pytest.mark.parametrize("certified", ["ed25519"], indirect=True)
def test_a_certificate_that_does_not_count_is_refused_with_the_reason(
    show: Show, authority: Authority, tmp_path: Path, certified: tuple[Sshd, Path]
) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    pins, there = tmp_path / "known_hosts", certified[0]
    trusted = f"@cert-authority * {authority.public_key}\n"
    pins.write_text(trusted)
    useless: tuple[tuple[dict[str, Any], str], ...] = (
        ({"names": "elsewhere.example.org"}, "its certificate is for elsewhere.example.org"),
        ({"names": "127.*"}, r"its certificate is for 127\.\*"),
        ({"valid": "20200101:20200201"}, "is not valid now"),
        ({"by": other}, "which is no authority for it"),
    )
    for made, words in useless:
        show(**made)
        with pytest.raises(HostKeyError, match=words) as caught:
            enter(pins, there)
        assert "watchkeeper host trust web1" in caught.value.hint
        assert not ssh_enters(pins, there)
    show()
    for text, words in (
        (f"@cert-authority *,!{there.address} {authority.public_key}\n", "is not known yet"),
        (f"@cert-authority elsewhere {authority.public_key}\n", "is not known yet"),
        (f"{trusted}@revoked * {authority.public_key}\n", "which is revoked"),
        (f"{trusted}@revoked * {there.public_key}\n", "is revoked"),
    ):
        pins.write_text(text)
        with pytest.raises(HostKeyError, match=words):
            enter(pins, there)
    pins.write_text(trusted)
    assert enter(pins, there) == "in\n"


@pytest.mark.parametrize("certified", ["ed25519"], indirect=True)
def test_a_pin_counts_beside_an_authority_that_does_not(show: Show, authority: Authority, tmp_path: Path) -> None:
    pins, there = tmp_path / "known_hosts", show("elsewhere")
    pins.write_text(f"@cert-authority * {authority.public_key}\n")
    place = Host(name="web1", address=there.address, port=there.port, connection=Connection.SSH)
    pin(pins, place, there)
    assert enter(pins, there) == "in\n"
    assert "@cert-authority" in pins.read_text()


def test_a_host_without_a_certificate_is_pinned_as_ever(sshd: Sshd, authority: Authority, tmp_path: Path) -> None:
    pins = tmp_path / "known_hosts"
    pins.write_text(f"@cert-authority * {authority.public_key}\n@cert-authority rubbish\n")
    with pytest.raises(HostKeyError, match="is not known yet"):
        enter(pins, sshd)
    place = Host(name="web1", address=sshd.address, port=sshd.port, connection=Connection.SSH)
    pin(pins, place, sshd)
    assert enter(pins, sshd) == "in\n"
