"""kill -9 of one program in the middle of a pull: nothing is called saved, nothing half is kept, the next run needs no hand."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from agent.backups import BackupResult, Job, Kind, Outcome
from agent.backups.mirror import place
from agent.transports.openssh import Login, Route
from tests.lab.sshd import Sshd, running_sshd
from tests.lab.wait import until
from tests.vault import Vault

KEY = "shop/backups/files@web1"
THERE = "there"  # at the other end of the line
VICTIMS = {  # by name, and which of several: rsync has one part that asks, and one that writes
    "rsync": (("ssh", 0), ("rsync", 0), ("rsync", -1), (THERE, -1)),
    "tar": (("ssh", 0), ("tar", 0), (THERE, -1)),
}
SLOW_TAR = """#!/bin/sh
[ -e SLOWLY ] || exec /usr/bin/tar "$@"
/usr/bin/tar "$@" | { head -c 200000; while [ -e SLOWLY ]; do head -c 100; sleep 0.05; done; cat; }
"""


@pytest.fixture(scope="module")
def slow_sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A host without rsync, whose line is slow from the middle on, for as long as there is a file `slowly`."""
    folder = tmp_path_factory.mktemp("slow")
    programs = folder / "bin"
    programs.mkdir()
    for name in ("sh", "find", "date", "readlink", "dirname", "basename", "head", "sleep", "cat"):
        (programs / name).symlink_to(shutil.which(name) or "")
    (programs / "tar").write_text(SLOW_TAR.replace("SLOWLY", str(folder / "slowly")))
    (programs / "tar").chmod(0o755)
    with running_sshd(folder, f"SetEnv PATH={programs}") as running:
        yield running


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    """A repository with one good snapshot; to be copied."""
    folder = tmp_path_factory.mktemp("kept")
    source = folder / "source"
    source.mkdir()
    (source / "old").write_text("hello\n")
    vault = Vault(folder=folder / "vault", source=source).found()
    assert vault.backup("01A").outcome is Outcome.OK
    (source / "large").write_bytes(os.urandom(3_000_000))
    (source / "small").write_text("new\n")
    return vault


@pytest.fixture
def vault(kept: Vault, tmp_path: Path) -> Vault:
    return kept.copy(tmp_path / "vault")


def route_to(host: Sshd, folder: Path) -> Route:
    """The way there, with its key pinned."""
    pins = folder / "known_hosts"
    pins.write_text(f"[{host.address}]:{host.port} {host.public_key}\n")
    login = Login(name="web1", address=host.address, port=host.port, user=host.user, key_file=str(host.key_file))
    return Route(host=login, known_hosts=str(pins))


def processes(pid: int, name: str) -> list[psutil.Process]:
    """What runs below a process under that name, the oldest first."""
    found = []
    for one in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has just ended
            if Path(one.exe()).name == name:
                found.append(one)
    return found


def result_of(vault: Vault, job: Job) -> BackupResult:
    """What the job left."""
    result = vault.result(job)
    assert isinstance(result, BackupResult)
    return result


def saved_nothing(vault: Vault, result: BackupResult) -> None:
    assert (result.outcome in {Outcome.UNREACHABLE, Outcome.INTERRUPTED}, result.snapshot) == (True, ""), result
    assert result.summary
    assert result.hint
    assert [one.exec_id for one in vault.snapshots().snapshots] == ["01A"]


def next_run_is_whole(vault: Vault, exec_id: str, **other: object) -> None:
    """The next run is good, and its snapshot is proven."""
    result = vault.backup(exec_id, **other)
    assert (result.outcome, result.faults, result.torn, result.files) == (Outcome.OK, (), 0, 3)
    drilled = vault.drill(f"{exec_id}D", snapshot=result.snapshot, manifest=result.manifest, **other)
    assert (drilled.passed, drilled.faults) == (True, ())


@pytest.mark.parametrize("by", list(VICTIMS))
def test_each_program_of_a_pull_is_killed_once(vault: Vault, sshd: Sshd, slow_sshd: Sshd, by: str) -> None:
    host = sshd if by == "rsync" else slow_sshd
    route = route_to(host, vault.folder)
    slowly = slow_sshd.log.with_name("slowly")
    folder = place.folder_of(vault.state, KEY)
    for run, (name, number) in enumerate(VICTIMS[by]):
        slowly.touch()
        job = vault.job(Kind.BACKUP, f"01B{run}", route=route, options={"limit": 16e6})
        with vault.start(job) as started:
            try:
                until(lambda: has_begun(folder / "work/staged"), 20, "it fetches")
                (processes(host.pid, by) if name == THERE else processes(started.pid, name))[number].kill()
            finally:
                slowly.unlink()
            assert started.wait(30) == 1, name
        saved_nothing(vault, result_of(vault, job))
        assert not any((folder / "work").iterdir())
        assert not Path(f"{folder / 'tree'}{vault.source}/large").exists()
    next_run_is_whole(vault, "01C", route=route)


def has_begun(staged: Path) -> bool:
    return any(path.is_file() and path.stat().st_size > 50_000 for path in staged.rglob("*"))
