"""Locks in real repositories: what our dead restic left is gone in seconds; what is somebody else's stays, whatever it costs."""

import contextlib
import os
import random
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.backups import Kind, Outcome
from agent.backups.restic.command import Ended, Restic
from agent.backups.restic.locks import FOLDER
from agent.clock import MICROSECONDS, SystemClock, rfc3339
from tests.lab.wait import in_time, until
from tests.quick_key import lay_lock
from tests.vault import Vault

CLOCK = SystemClock()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, restic: str) -> Vault:
    """A repository with one snapshot; not to be changed."""
    folder = tmp_path_factory.mktemp("kept")
    (folder / "source").mkdir()
    (folder / "source/random").write_bytes(os.urandom(200_000))
    vault = Vault(folder=folder / "vault", source=folder / "source", program=restic).found()
    assert vault.backup("01A").outcome is Outcome.OK
    return vault


@pytest.fixture
def vault(kept: Vault, tmp_path: Path) -> Vault:
    """A copy of it."""
    return kept.copy(tmp_path / "vault")


def locks(vault: Vault) -> set[str]:
    """The locks in the repository."""
    return {path.name for path in (vault.repository / "locks").iterdir() if len(path.name) == 64}


def foreign(vault: Vault, *, minutes: float = 0.0, exclusive: bool = True, **other: object) -> str:
    """Somebody's lock, renewed so many minutes ago."""
    at = rfc3339(CLOCK.now() - int(minutes * 60 * MICROSECONDS))
    lock = {"time": at, "exclusive": exclusive, "hostname": "vault-2", "username": "root", "pid": 4711}
    return lay_lock(vault.repository, vault.secret, lock | other)


@contextlib.contextmanager
def holding(vault: Vault, exec_id: str) -> Iterator[int]:
    """A restic of ours that has the repository for itself, as for a check or a prune; its process."""
    job = vault.job(Kind.BACKUP, exec_id, limit_kib=1)
    before, ended = locks(vault), list[Ended]()
    restic = Restic(job, vault.setting(job))
    thread = threading.Thread(target=lambda: ended.append(restic.call("check", "--read-data", "--no-cache")))
    thread.start()
    try:
        until(lambda: locks(vault) > before, 20, "it has its lock")
        (record,) = (vault.state / FOLDER).glob("*/[0-9]*")
        yield int(record.name.partition("-")[0])
    finally:
        for record in (vault.state / FOLDER).glob("*/[0-9]*"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(record.name.partition("-")[0]), signal.SIGKILL)
        thread.join()


def test_after_a_killed_check_the_next_run_mends_itself_in_seconds(vault: Vault) -> None:
    with holding(vault, "01B") as pid:
        assert vault.backup("01C").outcome is Outcome.LOCKED
        assert Path(f"/proc/{pid}/comm").read_text() == "restic\n"
    assert len(locks(vault)) == 1
    with in_time(5.0):
        assert vault.backup("01D").outcome is Outcome.OK
    assert locks(vault) == set()
    assert list((vault.state / FOLDER).glob("*/*")) == []


@pytest.mark.parametrize("minutes", [0, 29, 31, 6000])
def test_a_lock_of_another_machine_is_never_removed_however_old(vault: Vault, minutes: float) -> None:
    name = foreign(vault, minutes=minutes)
    refused = vault.backup("01B")
    assert refused.outcome is Outcome.LOCKED
    assert "PID 4711 on vault-2" in refused.summary
    assert "restic unlock" in refused.hint
    assert locks(vault) == {name}


def test_a_lock_of_our_name_and_number_from_before_our_record_stays(vault: Vault) -> None:
    """A container may have this machine's name, and a process of any number."""
    with holding(vault, "01B") as pid:
        pass
    twin = foreign(vault, minutes=20, hostname=socket.gethostname(), pid=pid)
    assert len(locks(vault)) == 2
    assert vault.backup("01C").outcome is Outcome.LOCKED
    assert locks(vault) == {twin}


@pytest.mark.parametrize(("minutes", "is_read"), [(5, False), (31, True)])
def test_what_only_reads_goes_by_a_stale_lock_and_waits_for_a_fresh_one(
    vault: Vault, minutes: float, *, is_read: bool
) -> None:
    name = foreign(vault, minutes=minutes)
    back = vault.restore("01B", vault.folder / "back")
    assert back.outcome is (Outcome.OK if is_read else Outcome.LOCKED)
    assert vault.drill("01C").passed is is_read
    assert vault.snapshots().outcome is Outcome.OK
    assert locks(vault) == {name}


def test_a_lock_is_waited_for_and_the_work_done_once_it_is_gone(vault: Vault) -> None:
    name = foreign(vault)
    gone = threading.Timer(0.5, (vault.repository / "locks" / name).unlink)
    gone.start()
    assert vault.backup("01B", lock_wait_seconds=30.0).outcome is Outcome.OK
    gone.join()


def test_in_random_company_only_dead_locks_of_ours_disappear(vault: Vault) -> None:
    """Locks of living and dead processes, of this machine and others, on our record and not."""
    draw = random.Random(5)
    for turn in range(4):
        with holding(vault, f"01B{turn}") as pid:
            ours = locks(vault)
        assert len(ours) == 1
        company = {
            foreign(vault, minutes=draw.choice([0, 20, 40]), exclusive=False, pid=draw.choice([1, pid, os.getpid()])),
            foreign(vault, minutes=draw.choice([10, 50]), exclusive=False, hostname=socket.gethostname(),
                    pid=draw.choice([1, pid, 4_000_000])),
        }  # fmt: skip
        assert vault.backup(f"01C{turn}").outcome is Outcome.OK
        assert locks(vault) == company
        for name in company:
            (vault.repository / "locks" / name).unlink()
