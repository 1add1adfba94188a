"""A plain sshd on a loopback address of its own, for tests that need no host around it."""

import contextlib
import dataclasses
import getpass
import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.lab.network import command
from tests.lab.wait import until


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


@contextlib.contextmanager
def running_sshd(
    folder: Path, *options: str, host_key_type: str = "ed25519", before: Sequence[str] = ()
) -> Iterator[Sshd]:
    """An sshd with a fresh host key and extra lines of sshd_config for as long as the block lasts.

    `before` is a command that becomes the sshd that it is told to run.
    """
    host_key, key_file, log = folder / "host_key", folder / "id_user", folder / "sshd.log"
    for file, kind in ((host_key, host_key_type), (key_file, "ed25519")):
        command("ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(file))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd refuses to start without
    address = f"127.{64 + os.getpid() % 64}.{os.getpid() // 64 % 250 + 1}.1"
    port = _free_port(address)
    config = folder / "sshd_config"
    config.write_text("\n".join([*options, *_config(host_key, key_file, address, port), ""]))  # the first value counts
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
