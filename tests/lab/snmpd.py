"""Debian's snmpd on a loopback address of its own, with a community and users, and nothing of the machine's own setup."""

import contextlib
import dataclasses
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from agent.transports.snmp import ber, message
from tests.lab.wait import until

PASSWORD, PRIVACY = "signed-by-me", "sealed-by-me"
_USERS = {"sha1": "SHA", "sha224": "SHA-224", "sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Snmpd:
    """Where it listens. Community `public`; users `sha1` to `sha512` with both passwords, `signer` without privacy."""

    address: str
    port: int
    pid: int


@contextlib.contextmanager
def running_snmpd(folder: Path, *options: str) -> Iterator[Snmpd]:
    """An snmpd for as long as the block lasts."""
    address = f"127.{64 + os.getpid() % 64}.{os.getpid() // 64 % 250 + 1}.2"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        port = probe.getsockname()[1]
    config = folder / "snmpd.conf"
    lines = [f"agentaddress udp:{address}:{port}", "rocommunity public", "sysName the-lab"]
    for user, digest in _USERS.items():
        lines += [f"createUser {user} {digest} {PASSWORD} AES {PRIVACY}", f"rouser {user} priv"]
    lines += [f"createUser signer SHA-256 {PASSWORD}", "rouser signer auth", *options, ""]
    config.write_text("\n".join(lines))
    with (folder / "snmpd.log").open("wb") as log:
        child = subprocess.Popen(
            ["/usr/sbin/snmpd", "-f", "-LE", "3", "-C", "-c", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "SNMP_PERSISTENT_DIR": str(folder), "MIBS": ""},
        )
    try:
        until(lambda: answers(address, port), 10, "snmpd answers")
        yield Snmpd(address=address, port=port, pid=child.pid)
    finally:
        child.kill()
        child.wait(10)


def answers(address: str, port: int, community: str = "public") -> bool:
    """Whether an agent answers to a community."""
    request = message.v2c(community.encode(), message.pdu(message.GET, (ber.oid("1.3.6.1.2.1.1.2.0"),)), 2**30)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.2)
        asking.connect((address, port))
        try:
            asking.send(request)
            return bool(asking.recv(2048))
        except OSError:
            return False
