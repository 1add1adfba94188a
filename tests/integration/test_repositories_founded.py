"""A repository's first use: by several jobs at once, and where the first attempt was killed."""

import dataclasses
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.backups import Kind, Outcome
from tests.far import Far, far
from tests.lab import vaults
from tests.lab.sshd import Sshd
from tests.vault import Vault


@pytest.fixture
def vault(tmp_path: Path, restic: str) -> Vault:
    """No repository yet."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source/a").write_bytes(os.urandom(1000))
    (tmp_path / "vault").mkdir()
    return Vault(folder=tmp_path / "vault", source=tmp_path / "source", program=restic)


def test_the_first_backups_of_several_hosts_found_one_repository_together(vault: Vault) -> None:
    """Two inits of restic beside each other make a repository that no password opens again."""
    jobs = [
        dataclasses.replace(vault.job(Kind.BACKUP, f"01{name}"), key=f"shop/backups/files@{name}", host=name)
        for name in ("web1", "web2", "web3")
    ]
    running = [vault.start(job) for job in jobs]
    said = [one.communicate(timeout=60) for one in running]
    assert [vault.result(job).outcome for job in jobs] == [Outcome.OK] * len(jobs), said


def test_a_first_use_that_was_killed_is_begun_again(vault: Vault) -> None:
    """An init that is killed leaves folders, and at most a key that opens nothing."""
    vault.found()
    (vault.repository / "config").unlink()
    done = vault.backup("01A")
    assert (done.outcome, vault.drill("01B").passed) == (Outcome.OK, True), done.summary


def test_a_repository_that_lost_its_config_is_not_founded_anew(vault: Vault) -> None:
    vault.found().backup("01A")
    (vault.repository / "config").unlink()
    subprocess.run(["rm", "-r", str(vault.state)], check=True)
    before = sorted(vault.repository.rglob("*"))
    done = vault.backup("01B")
    assert (done.outcome, "without its file `config`" in done.summary) == (Outcome.DAMAGED, True)
    assert sorted(vault.repository.rglob("*")) == before


def cut_short(there: Far, restic: str) -> Path:
    """What an init leaves that was killed between its key and its config."""
    made = Vault(folder=there.vault.folder / "made", source=there.vault.source, program=restic).found().repository
    (made / "config").unlink()
    shutil.copytree(made, there.folder)
    return next((there.folder / "keys").iterdir())


def is_begun_again(there: Far, restic: str) -> None:
    """The first backup makes the repository after all; where there is more than a key, it touches nothing."""
    key = cut_short(there, restic)
    done = there.vault.backup("01A")
    assert (done.outcome, key.exists()) == (Outcome.OK, False), done.summary
    assert there.vault.drill("01B").passed
    (there.folder / "config").unlink()
    shutil.rmtree(there.vault.state)
    before = sorted(there.folder.rglob("*"))
    done = there.vault.backup("01C")
    assert (done.outcome, "without its file `config`" in done.summary) == (Outcome.DAMAGED, True), done.summary
    assert sorted(there.folder.rglob("*")) == before


def test_a_first_use_that_was_killed_is_begun_again_behind_sftp(tmp_path: Path, restic: str, sshd: Sshd) -> None:
    served = tmp_path / "s[e]rv'd"
    served.mkdir()
    with vaults.behind_sftp(served, sshd) as way:
        is_begun_again(far(tmp_path, way, restic), restic)


def test_a_first_use_that_was_killed_is_begun_again_behind_a_rest_server(tmp_path: Path, restic: str) -> None:
    served = tmp_path / "served"
    served.mkdir()
    with vaults.behind_rest(served, "log:in") as way:
        is_begun_again(far(tmp_path, way, restic), restic)


def test_a_key_that_may_not_be_removed_is_named(tmp_path: Path, restic: str) -> None:
    served = tmp_path / "served"
    served.mkdir()
    with vaults.behind_rest(served, "login", "--append-only") as way:
        there = far(tmp_path, way, restic)
        key = cut_short(there, restic)
        done = there.vault.backup("01A")
        assert (done.outcome, key.exists()) == (Outcome.REFUSED, True)
        assert f"its key may not be removed: remove keys/{key.name} there" in done.summary
