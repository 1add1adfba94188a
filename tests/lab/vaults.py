"""Repositories elsewhere: behind sftp, a REST server with a login, and S3; each serves a folder of this machine."""

import base64
import contextlib
import dataclasses
import hashlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.lab.sshd import Sshd
from tests.lab.wait import until

S3_SERVER = os.environ.get("WATCHKEEPER_TEST_S3_SERVER", "")  # such as moto_server; Debian has none
USER = "watch"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """What is served: the folder behind it, the url of that folder, and what one needs to get there."""

    folder: Path
    url: str
    credentials: Mapping[str, str] = dataclasses.field(default_factory=dict)
    known_hosts: str = ""

    def but(self, **credentials: str) -> "Elsewhere":
        """The same with other credentials."""
        return dataclasses.replace(self, credentials={**self.credentials, **credentials})


@contextlib.contextmanager
def behind_sftp(folder: Path, sshd: Sshd) -> Iterator[Elsewhere]:
    """The folder by the sshd at hand, whose key is pinned."""
    pins = folder.parent / "pins of hosts"
    pins.write_text(f"[{sshd.address}]:{sshd.port} {sshd.public_key}\n")
    yield Elsewhere(
        folder=folder,
        url=f"sftp://{sshd.user}@{sshd.address}:{sshd.port}/{folder}",
        credentials={"SSH_KEY": sshd.key_file.read_text()},
        known_hosts=str(pins),
    )


@contextlib.contextmanager
def behind_rest(folder: Path, password: str, *options: str, address: str = "") -> Iterator[Elsewhere]:
    """The folder by a REST server that asks for a login; with further options of rclone, such as --append-only."""
    if shutil.which("rclone") is None:
        pytest.skip("no rclone on this machine")
    logins = folder.parent / "htpasswd"
    digest = hashlib.sha1(password.encode()).digest()  # noqa: S324  # the form of htpasswd that needs no program
    logins.write_text(f"{USER}:{{SHA}}{base64.b64encode(digest).decode()}\n")
    address = address or _free_address()
    argv = [
        "rclone",
        "serve",
        "restic",
        "--cache-objects=false",
        "--addr",
        address,
        "--htpasswd",
        str(logins),
        *options,
        str(folder),
    ]
    with _serving(argv, address):
        yield Elsewhere(
            folder=folder,
            url=f"rest:http://{address}/",
            credentials={"RESTIC_REST_USERNAME": USER, "RESTIC_REST_PASSWORD": password},
        )


@contextlib.contextmanager
def behind_s3(folder: Path, password: str) -> Iterator[Elsewhere]:
    """A bucket of a server that keeps everything in memory; `folder` is not used by it."""
    address = _free_address()
    host, _, port = address.partition(":")
    with _serving([S3_SERVER, "-H", host, "-p", port], address):
        yield Elsewhere(
            folder=folder,
            url=f"s3:http://{address}/vault",
            credentials={"AWS_ACCESS_KEY_ID": USER, "AWS_SECRET_ACCESS_KEY": password},
        )


@contextlib.contextmanager
def _serving(argv: Sequence[str], address: str) -> Iterator[None]:
    env = {"PATH": os.environ["PATH"], "RCLONE_CONFIG": "/nonexistent/rclone.conf"}
    nothing = subprocess.DEVNULL
    child = subprocess.Popen(argv, env=env, stdin=nothing, stdout=nothing, stderr=nothing)
    try:
        until(lambda: _answers(address), 20, f"{argv[0]} serves")
        yield
    finally:
        child.terminate()
        child.wait(10)


def _free_address() -> str:
    host = f"127.{64 + os.getpid() % 64}.{os.getpid() // 64 % 250 + 1}.2"
    with socket.socket() as probe:
        probe.bind((host, 0))
        return f"{host}:{probe.getsockname()[1]}"


def _answers(address: str) -> bool:
    host, _, port = address.partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True
