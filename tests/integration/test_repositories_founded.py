"""A repository's first use: by several jobs at once, and where the first attempt was killed."""

import dataclasses
import os
import subprocess
from pathlib import Path

import pytest

from agent.backups import Kind, Outcome
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
