"""What a host's certificate must say; those that no sshd would show are made here."""

import base64
import time
from pathlib import Path

import pytest

from agent.model.host import Connection, Host
from agent.transports import authorities
from agent.transports.known_hosts import HostKey
from tests.lab.authority import Authority
from tests.lab.network import command

HOST = Host(name="web1", address="web1.example.org", port=2222, connection=Connection.SSH)
NOW_US = 1_764_000_000_000_000


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def of(file: Path) -> HostKey:
    kind, body = file.read_text().split()[:2]
    return HostKey(type=kind, base64=body)


def tampered(key: HostKey) -> HostKey:
    body = bytearray(base64.b64decode(key.base64))
    body[-1] ^= 1
    return HostKey(type=key.type, base64=base64.b64encode(body).decode())


def test_only_a_whole_certificate_for_hosts_proves_a_host(authority: Authority, tmp_path: Path) -> None:
    command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key"))
    pins, public = tmp_path / "known_hosts", tmp_path / "key.pub"
    pins.write_text(f"@cert-authority *.example.org {authority.public_key}\n")
    good = of(authority.sign(public, HOST.address, host=True))
    assert authorities.fault(good, pins, HOST, NOW_US) == ""
    assert "signature of its certificate is wrong" in authorities.fault(tampered(good), pins, HOST, NOW_US)
    assert "shows no certificate" in authorities.fault(of(public), pins, HOST, NOW_US)
    rubbish = HostKey(type=good.type, base64=good.base64[:80])
    assert "cannot be read" in authorities.fault(rubbish, pins, HOST, NOW_US)
    for_users = of(authority.sign(public, HOST.address))
    assert "one for users" in authorities.fault(for_users, pins, HOST, NOW_US)


@pytest.mark.parametrize(
    ("patterns", "counts"),
    [
        ("*", True),
        ("*.example.org", True),
        ("WEB1.example.org", True),
        ("[web1.example.org]:2222", True),
        ("[*]:2222", True),
        ("web?.example.org,other", True),
        ("[web1.example.org]:22", False),
        ("*.example.org,!web1.*", False),
        ("!web1.example.org", False),
        ("example.org", False),
        ("web1xexample.org", False),
        ("(web1.example.org)+", False),
        ("*" * 30 + "x", False),
        ("*e" * 30, False),
    ],
)
def test_patterns_mean_what_ssh_takes_them_for(
    patterns: str,
    counts: bool,
    authority: Authority,
    tmp_path: Path,
) -> None:
    pins = tmp_path / "known_hosts"
    pins.write_text(
        f"@cert-authority {patterns} {authority.public_key}\n# @cert-authority * x y\n@cert-authority * a ?\n"
    )
    begun = time.process_time()
    assert bool(authorities.authorities(pins, HOST)) is counts
    assert time.process_time() - begun < 5
    assert authorities.revoked(pins, HOST) == ()
