"""The way to a repository breaks in mid-backup: nothing is called saved, and no lock stays that would stop a check or prune."""

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from agent.backups import BackupResult, Kind, Outcome
from agent.backups.restic import verify
from agent.backups.restic.command import Restic
from tests.far import Far, far
from tests.lab import vaults
from tests.lab.sshd import Sshd
from tests.lab.wait import until
from tests.vault import Vault


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, restic: str) -> Path:
    """An empty repository, quick to open; to be copied."""
    folder = tmp_path_factory.mktemp("made")
    return Vault(folder=folder, source=folder, program=restic).found().repository


def in_the_middle(there: Far, breaks: Callable[[int], object], *, exit_code: int = 1) -> BackupResult:
    """What a backup left whose way to the repository broke; `breaks` is told the number of the job's process."""
    vault = there.vault
    (vault.source / "big").write_bytes(os.urandom(3_000_000))
    job = vault.job(Kind.BACKUP, "01A", limit_kib=500)
    with vault.start(job) as started:
        until(lambda: any(path.stat().st_size > 100 for path in (there.folder / "locks").iterdir()), 20, "it is at it")
        breaks(started.pid)
        assert started.wait(50) == exit_code
    result = vault.result(job)
    assert isinstance(result, BackupResult)
    return result


def locks(there: Far) -> list[str]:
    """The locks in the repository, seen from the server."""
    return [path.name for path in (there.folder / "locks").iterdir() if len(path.name) == 64]


def is_whole_again(there: Far) -> None:
    """The next backup works by itself, and so does what needs the repository for itself alone."""
    vault = there.vault
    again = vault.backup("01B")
    assert (again.outcome, again.faults) == (Outcome.OK, ())
    assert [one.exec_id for one in vault.snapshots().snapshots] == ["01B"]
    job = vault.job(Kind.BACKUP, "01C")
    assert verify.check(Restic(job, vault.setting(job)), (1,), 1).outcome is Outcome.OK
    assert locks(there) == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the server serves."""
    served = tmp_path / "served"
    served.mkdir()
    return served


def test_ssh_is_killed_under_a_restic_that_saves_by_sftp(
    tmp_path: Path, folder: Path, made: Path, restic: str, sshd: Sshd
) -> None:
    def kill_ssh(pid: int) -> None:
        (ssh,) = [one for one in psutil.Process(pid).children(recursive=True) if one.name() == "ssh"]
        ssh.kill()

    with vaults.behind_sftp(folder, sshd) as way:
        there = far(tmp_path, way, restic)
        shutil.copytree(made, there.folder)
        lost = in_the_middle(there, kill_ssh)
        assert (lost.outcome, lost.snapshot) == (Outcome.UNREACHABLE, "")
        is_whole_again(there)


def test_a_server_that_starts_anew_is_waited_for(tmp_path: Path, folder: Path, made: Path, restic: str) -> None:
    with contextlib.ExitStack() as first, contextlib.ExitStack() as second:
        way = first.enter_context(vaults.behind_rest(folder, "login"))
        there = far(tmp_path, way, restic)
        shutil.copytree(made, there.folder)

        def start_anew(_: int) -> None:
            first.close()
            second.enter_context(vaults.behind_rest(folder, "login", address=address_of(way)))

        saved = in_the_middle(there, start_anew, exit_code=0)
        assert (saved.outcome, saved.faults, saved.files) == (Outcome.OK, (), 2)
        assert locks(there) == []


def test_a_lock_outlives_a_server_that_is_away_for_some_runs(
    tmp_path: Path, folder: Path, made: Path, restic: str
) -> None:
    """Server and restic end together; while nobody can look for the lock, it is not forgotten."""
    with contextlib.ExitStack() as running:
        way = running.enter_context(vaults.behind_rest(folder, "login"))
        there = far(tmp_path, way, restic)
        shutil.copytree(made, there.folder)

        def kill_both(pid: int) -> None:
            running.close()
            (program,) = [one for one in psutil.Process(pid).children() if one.name() == "restic"]
            program.kill()

        assert in_the_middle(there, kill_both).outcome is Outcome.INTERRUPTED
    assert there.vault.backup("01X").outcome is Outcome.UNREACHABLE
    with vaults.behind_rest(folder, "login", address=address_of(way)):
        is_whole_again(there)


def address_of(way: vaults.Elsewhere) -> str:
    """Where it was served."""
    return way.url.removeprefix("rest:http://").rstrip("/")


def test_a_server_with_another_host_key_gets_nothing(
    tmp_path: Path, folder: Path, made: Path, restic: str, sshd: Sshd
) -> None:
    with vaults.behind_sftp(folder, sshd) as way:
        there = far(tmp_path, way, restic)
        shutil.copytree(made, there.folder)
        pins = Path(there.vault.known_hosts)
        right = pins.read_text()
        pins.write_text(f"{right.rpartition(' ')[0]} {Path(f'{sshd.key_file}.pub').read_text().split()[1]}\n")
        refused = there.vault.backup("01A")
        assert (refused.outcome, refused.snapshot) == (Outcome.UNREACHABLE, "")
        assert "compare its host key" in refused.hint
        pins.write_text(right)
        assert there.vault.backup("01B").outcome is Outcome.OK
