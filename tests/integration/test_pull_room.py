"""A disk that is too small, or becomes full: for a mirror, in the middle of it; nothing is called saved, and room heals it."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.backups import BackupResult, Outcome
from agent.backups.mirror import place
from agent.transports.openssh import Login, Route
from tests.lab.sshd import Sshd, running_sshd
from tests.vault import Vault

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")
KEY = "shop/backups/files@web1"
GROWS = '#!/bin/sh\n[ ! -e MARK ] || {{ head -c 3000000 /dev/urandom >>"$(cat MARK)"; rm MARK; }}\nexec /usr/bin/{name} "$@"\n'


@pytest.fixture(scope="module")
def growing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sshd, Path]]:
    """A host where a file grows after it was listed, before it is sent; and the file that says which."""
    folder = tmp_path_factory.mktemp("growing")
    programs, mark = folder / "bin", folder / "mark"
    programs.mkdir()
    for name in ("sh", "find", "date", "readlink", "dirname", "basename", "head", "cat", "rm"):
        (programs / name).symlink_to(shutil.which(name) or "")
    with running_sshd(folder, f"SetEnv PATH={programs}") as running:
        yield running, mark


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    """An empty repository; to be copied."""
    folder = tmp_path_factory.mktemp("founded")
    return Vault(folder=folder / "vault", source=folder / "source").found()


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of its own with 3 MB."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("way", ["rsync", "tar"])
def test_a_mirror_without_room_stays_as_it_was_and_is_good_again_with_room(
    founded: Vault, growing: tuple[Sshd, Path], tmp_path: Path, way: str
) -> None:
    """First the list says that it is too much; then a file grows behind the list's back."""
    host, mark = growing
    for name in ("rsync", "tar"):
        (mark.parent / "bin" / name).unlink(missing_ok=True)
    program = mark.parent / "bin" / way
    program.write_text(GROWS.format(name=way).replace("MARK", str(mark)))
    program.chmod(0o755)
    vault = founded.copy(tmp_path / "vault")
    source = tmp_path / "source"
    source.mkdir()
    (source / "a").write_bytes(os.urandom(500_000))
    (source / "b").write_text("old\n")
    pins = tmp_path / "known_hosts"
    pins.write_text(f"[{host.address}]:{host.port} {host.public_key}\n")
    login = Login(name="web1", address=host.address, port=host.port, user=host.user, key_file=str(host.key_file))

    def backup(exec_id: str) -> BackupResult:
        route = Route(host=login, known_hosts=str(pins))
        return vault.backup(exec_id, route=route, options={"paths": [str(source)]})

    mirrored = Path(f"{place.tree_of(vault.state, KEY)}{source}")
    with small_disk(vault.state / "mirrors"):
        assert backup("01A").outcome is Outcome.OK
        (source / "b").write_text("new\n")
        (source / "c").write_bytes(os.urandom(2_500_000))
        refused(backup("01B"), "bytes are missing")
        (source / "c").unlink()
        mark.write_text(str(source / "a"))
        (source / "a").write_bytes(os.urandom(500_000))
        refused(backup("01C"), "became full")
        assert (mark.exists(), (mirrored / "a").stat().st_size) == (False, 500_000)
        assert [one.exec_id for one in vault.snapshots().snapshots] == ["01A"]
        subprocess.run(["mount", "-o", "remount,size=50m", str(vault.state / "mirrors")], check=True)
        again = backup("01D")
    assert (again.outcome, again.faults, again.torn, again.files) == (Outcome.OK, (), 0, 2)


def refused(result: BackupResult, words: str) -> None:
    assert (result.outcome, result.snapshot) == (Outcome.NO_SPACE, "")
    assert words in result.summary
    assert "make room on that file system" in result.hint
