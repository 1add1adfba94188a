"""A plain sshd on a loopback address of its own, for tests that need no host around it."""

import contextlib
import dataclasses
import getpass
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from agent.model.host import Connection, Host
from agent.transports import known_hosts
from agent.transports.known_hosts import HostKey
from tests.lab.network import command
from tests.lab.wait import until

SIZE: Mapping[str, Sequence[str]] = {"rsa": ("-b", "2048")}  # the usual 3072 take ssh-keygen a second more


@dataclasses.dataclass(kw_only=True, slots=True)
class Sshd:
    """An sshd that lets the current user in with `key_file`. `public_key` is its host key, as known_hosts has it."""

    address: str
    port: int
    user: str
    key_file: Path
    public_key: str
    pid: int
    log: Path


class Keyed(Protocol):
    """Whatever has a host key."""

    @property
    def public_key(self) -> str:
        """Its host key, as known_hosts has it: type and base64."""


class Enterable(Keyed, Protocol):
    """Whatever lets somebody in over SSH."""

    @property
    def address(self) -> str:
        """Where it answers."""

    @property
    def port(self) -> int:
        """At which port."""

    @property
    def user(self) -> str:
        """Whom it lets in."""

    @property
    def key_file(self) -> Path:
        """With which key."""


def host_of(there: Enterable, name: str) -> Host:
    """It as a host of the inventory."""
    return Host(
        name=name, address=there.address, port=there.port, user=there.user, key_file=str(there.key_file),
        connection=Connection.SSH,
    )  # fmt: skip


def pin(pins: Path, host: Host, there: Keyed) -> None:
    """Have its host key known as that of a host."""
    kind, body = there.public_key.split()
    known_hosts.pin(pins, host, HostKey(type=kind, base64=body))


@contextlib.contextmanager
def running_sshd(
    folder: Path, *options: str, host_key_type: str = "ed25519", before: Sequence[str] = ()
) -> Iterator[Sshd]:
    """An sshd with a fresh host key and extra lines of sshd_config for as long as the block lasts.

    Whoever logs in is at home in the folder: what this machine's user has in his own home is no part of a host.
    `before` is a command that becomes the sshd that it is told to run.
    """
    host_key, key_file, log = folder / "host_key", folder / "id_user", folder / "sshd.log"
    for file, kind in ((host_key, host_key_type), (key_file, "ed25519")):
        command("ssh-keygen", "-q", "-t", kind, *SIZE.get(kind, ()), "-N", "", "-f", str(file))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd refuses to start without
    address = f"127.{64 + os.getpid() % 64}.{os.getpid() // 64 % 250 + 1}.1"
    port = _free_port(address)
    config = folder / "sshd_config"
    lines = [*options, *_config(host_key, key_file, address, port), f"SetEnv HOME={folder}", ""]
    config.write_text("\n".join(lines))  # the first value counts
    with log.open("wb") as output:
        child = subprocess.Popen(
            [*before, "/usr/sbin/sshd", "-D", "-e", "-f", str(config)], stdin=subprocess.DEVNULL, stderr=output
        )
    try:
        until(lambda: _greets(address, port), 10, f"sshd answers: {log.read_text(errors='replace')}")
        public_key = " ".join(host_key.with_suffix(".pub").read_text().split()[:2])
        yield Sshd(
            address=address,
            port=port,
            user=getpass.getuser(),
            key_file=key_file,
            public_key=public_key,
            pid=child.pid,
            log=log,
        )
    finally:
        child.kill()
        child.wait(10)


def _config(host_key: Path, key_file: Path, address: str, port: int) -> list[str]:
    return [
        f"ListenAddress {address}:{port}",
        f"HostKey {host_key}",
        f"AuthorizedKeysFile {key_file.with_suffix('.pub')}",
        "PidFile none",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "StrictModes no",
        "UsePAM no",
        "UseDNS no",
        "LogLevel VERBOSE",
        "MaxStartups 200",
        "Subsystem sftp internal-sftp",
    ]


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _greets(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
