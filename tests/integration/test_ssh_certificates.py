"""Certificates of users, beside a key or in an ssh-agent, before real sshds that trust an authority alone."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.clock import Deadline, SystemClock
from agent.errors import TransportError
from agent.model.host import Connection, Host
from agent.transports.ssh import SshPool
from tests.lab.authority import Authority
from tests.lab.network import command
from tests.lab.sshd import SIZE, Sshd, pin, running_sshd
from tests.lab.wait import until

CLOCK = SystemClock()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Sshd]:
    """An sshd to which keys mean nothing."""
    folder = tmp_path_factory.mktemp("door")
    trusting = f"TrustedUserCAKeys {authority.public_file}"
    with running_sshd(folder, trusting) as running:
        (folder / "id_user.pub").unlink()  # it is read at every login
        yield running


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[SshPool]:
    made = SshPool(tmp_path / "known_hosts", CLOCK)
    yield made
    made.close()


def enter(pool: SshPool, there: Sshd, key_file: Path | None) -> str:
    host = Host(
        name="door",
        address=there.address,
        port=there.port,
        user=there.user,
        key_file=str(key_file) if key_file else None,
        connection=Connection.SSH,
    )
    pin(pool._pins, host, there)
    return pool.run_batch(host, [("echo in", 5.0)], Deadline.after(CLOCK, 20.0))[0].text


def new_key(folder: Path, kind: str) -> Path:
    command("ssh-keygen", "-q", "-t", kind, *SIZE.get(kind, ()), "-N", "", "-f", str(folder / "id"))
    return folder / "id"


@contextlib.contextmanager
def agent_with(folder: Path, *keys: Path) -> Iterator[str]:
    """An ssh-agent that holds these keys, and what lies beside them as -cert.pub."""
    place = folder / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(place)], stdout=subprocess.DEVNULL) as keeper:
        try:
            until(place.exists, 10, "the ssh-agent listens")
            for key in keys:
                environment = {**os.environ, "SSH_AUTH_SOCK": str(place)}
                subprocess.run(["ssh-add", "-q", str(key)], env=environment, check=True, timeout=30)
            yield str(place)
        finally:
            keeper.terminate()


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_certificate_beside_the_key_opens_the_door(
    kind: str, door: Sshd, authority: Authority, pool: SshPool, tmp_path: Path
) -> None:
    key = new_key(tmp_path, kind)
    with pytest.raises(TransportError, match="was refused"):
        enter(pool, door, key)
    authority.sign(key.with_suffix(".pub"), door.user)
    assert enter(pool, door, key) == "in\n"


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_certificate_in_the_agent_opens_the_door_though_its_key_lies_nowhere(
    kind: str, door: Sshd, authority: Authority, pool: SshPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key(tmp_path, kind)
    authority.sign(key.with_suffix(".pub"), door.user)
    with agent_with(tmp_path, key) as place:
        key.unlink()
        monkeypatch.setenv("SSH_AUTH_SOCK", place)
        assert enter(pool, door, None) == "in\n"


@pytest.mark.parametrize(
    ("names", "valid"),
    [(("somebody",), "always:forever"), ((), "20200101:20200201"), ((), "20990101:20990201")],
    ids=["for another user", "expired", "not yet valid"],
)
def test_a_certificate_that_does_not_count_is_named(
    names: tuple[str, ...], valid: str, door: Sshd, authority: Authority, pool: SshPool, tmp_path: Path
) -> None:
    key = new_key(tmp_path, "ed25519")
    authority.sign(key.with_suffix(".pub"), *(names or (door.user,)), valid=valid)
    with pytest.raises(TransportError, match=r"id-cert.pub was refused"):
        enter(pool, door, key)


def test_a_key_with_a_useless_certificate_still_opens_as_itself(
    sshd: Sshd, authority: Authority, pool: SshPool, tmp_path: Path
) -> None:
    key = tmp_path / "id"
    key.write_bytes(sshd.key_file.read_bytes())
    key.chmod(0o600)
    key.with_suffix(".pub").write_bytes(sshd.key_file.with_suffix(".pub").read_bytes())
    authority.sign(key.with_suffix(".pub"), sshd.user)
    assert enter(pool, sshd, key) == "in\n"


def test_a_certificate_that_is_none_is_named(door: Sshd, pool: SshPool, tmp_path: Path) -> None:
    key = new_key(tmp_path, "ed25519")
    (tmp_path / "id-cert.pub").write_text("rubbish")
    with pytest.raises(TransportError, match=r"id-cert.pub is not a usable certificate"):
        enter(pool, door, key)
