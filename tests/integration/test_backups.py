"""Backups by the real restic: what is saved, what is not, and what is said about it."""

import contextlib
import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from agent.backups import JOB, PASSWORD_FILE, BackupResult, Kind, Outcome, dump
from agent.backups.files import Files
from agent.backups.restic.command import Restic
from agent.backups.restic.version import parse_version
from agent.clock import SystemClock
from agent.errors import InputError, ToolError
from agent.transports import child
from tests.canary import search_canary
from tests.lab.wait import until
from tests.quick_key import cheapen
from tests.vault import TOP, Vault

AS_ROOT = os.geteuid() == 0


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory, restic: str) -> Vault:
    """An empty repository; to be copied."""
    folder = tmp_path_factory.mktemp("founded")
    return Vault(folder=folder / "vault", source=folder / "source", program=restic).found()


@pytest.fixture
def vault(tmp_path: Path, restic: str) -> Vault:
    """A small source and no repository yet."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "a").write_text("hello\n")
    (source / "b").write_text("world\n")
    return Vault(folder=tmp_path, source=source, program=restic)


@pytest.fixture
def ready(founded: Vault, vault: Vault) -> Vault:
    """The same, with an empty repository."""
    shutil.copytree(founded.repository, vault.repository)
    return vault


@pytest.fixture(scope="module")
def kept(founded: Vault) -> tuple[Vault, BackupResult]:
    """A repository with one snapshot; not to be changed."""
    vault = founded.copy(founded.folder.parent / "kept")
    vault.source.mkdir()
    (vault.source / "a").write_text("hello\n")
    (vault.source / "random").write_bytes(os.urandom(200_000))
    return vault, vault.backup("01A")


@pytest.fixture
def broken(kept: tuple[Vault, BackupResult], tmp_path: Path) -> Vault:
    """A copy of it, to be broken."""
    return kept[0].copy(tmp_path / "vault")


def test_a_second_backup_reads_and_stores_only_what_changed(ready: Vault) -> None:
    first = ready.backup("01A")
    assert (first.outcome, first.hashed, first.files, first.size_bytes) == (Outcome.OK, 2, 2, 12)
    (ready.source / "b").write_text("world!\n")
    second = ready.backup("01B")
    assert (second.outcome, second.hashed, second.torn, second.size_bytes) == (Outcome.OK, 1, 0, 13)
    assert second.added_bytes > 0
    assert second.snapshot != first.snapshot
    assert [one.exec_id for one in ready.snapshots().snapshots] == ["01B", "01A"]
    before = ready.restore("01C", ready.folder / "before", at_us=second.at_us - 1)
    assert (before.outcome, before.snapshot) == (Outcome.OK, first.snapshot)
    assert Path(f"{before.target}{ready.source}/b").read_text() == "world\n"
    too_early = ready.restore("01D", ready.folder / "early", at_us=first.at_us - 1)
    assert (too_early.outcome, too_early.entries) == (Outcome.SOURCE_MISSING, 0)
    assert "none of 2 snapshots" in too_early.summary


def test_a_wrong_password_is_said_so_and_founds_nothing(kept: tuple[Vault, BackupResult]) -> None:
    stranger = dataclasses.replace(kept[0], secret="wrong")
    keys = sorted((kept[0].repository / "keys").iterdir())
    try:
        for result in (stranger.backup("01X"), stranger.drill("01X"), stranger.snapshots()):
            assert result.outcome is Outcome.WRONG_PASSWORD
            assert "compare the secret" in result.hint
            assert "wrong password" in result.summary
    finally:
        assert kept[0].password_file.exists()
    assert sorted((kept[0].repository / "keys").iterdir()) == keys


def lock(vault: Vault) -> "subprocess.Popen[str]":
    """A live process that holds the repository for itself."""
    holder = vault.restic("check", "--read-data", "--limit-download", "1", "--no-cache")
    while not list((vault.repository / "locks").iterdir()):
        assert holder.poll() is None
    return holder


def test_a_locked_repository_is_left_alone_alive_or_dead_when_the_lock_is_not_ours(broken: Vault) -> None:
    with lock(broken) as holder:
        refused = broken.backup("01B")
        assert (refused.outcome, refused.snapshot) == (Outcome.LOCKED, "")
        assert f"PID {holder.pid} on {socket.gethostname()}" in refused.summary
        assert "restic unlock" in refused.hint
        assert holder.poll() is None
        assert len(list((broken.repository / "locks").iterdir())) == 1
        holder.kill()
    assert broken.backup("01C").outcome is Outcome.LOCKED
    assert broken.restic("unlock").wait() == 0
    assert broken.backup("01D").outcome is Outcome.OK


def test_one_missing_source_makes_a_partial_backup_and_all_make_none(ready: Vault) -> None:
    gone = str(ready.folder / "gone")
    partial = ready.backup("01A", options={"paths": [str(ready.source), gone]})
    assert (partial.outcome, partial.faults, partial.fault_count) == (Outcome.PARTIAL, (f"does not exist: {gone}",), 1)
    assert partial.files == 2
    point = partial.point(ready.job(Kind.BACKUP, "01A"))
    assert point is not None
    assert point.partial
    missing = ready.backup("01B", options={"paths": [gone]})
    assert (missing.outcome, missing.snapshot) == (Outcome.SOURCE_MISSING, "")
    assert missing.hint


def test_a_source_that_is_only_a_link_is_told_and_a_linked_parent_is_followed(ready: Vault) -> None:
    link = ready.folder / "link"
    link.symlink_to(ready.source)
    result = ready.backup("01A", options={"paths": [str(link), f"{link}/a"]})
    assert (result.outcome, result.faults) == (Outcome.PARTIAL, (f"only the link itself: {link}",))
    assert [entry.path for entry in ready.entries(result.manifest)[1]] == [str(link), f"{ready.source}/a"]


def test_files_that_cannot_be_read_are_listed(ready: Vault) -> None:
    (ready.source / "b").chmod(0)
    (ready.source / "closed").mkdir(mode=0)
    job = ready.job(Kind.BACKUP, "01A")
    powerless = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if AS_ROOT else []
    with ready.start(job, *powerless) as started:
        assert started.wait(60) == 1
    result = ready.result(job)
    (ready.source / "closed").chmod(0o700)
    assert isinstance(result, BackupResult)
    assert result.outcome is Outcome.PARTIAL
    for name in ("b", "closed"):  # 0.14 loses most reasons, newer ones word them otherwise
        assert [line for line in result.faults if line.startswith("not read: ") and f"{ready.source}/{name}" in line]
    assert result.snapshot
    assert ready.drill("01B", manifest=result.manifest).passed


def test_a_file_that_changes_during_the_backup_is_torn_and_no_failure(ready: Vault) -> None:
    done = threading.Event()

    def write() -> None:
        with (ready.source / "busy").open("wb") as stream:
            while not done.wait(0.001):
                stream.write(b"line\n")
                stream.flush()

    (ready.source / "busy").touch()
    writer = threading.Thread(target=write)
    writer.start()
    try:
        saved = ready.backup("01A")
    finally:
        done.set()
        writer.join()
    assert saved.outcome is Outcome.OK
    assert saved.torn >= 1
    drilled = ready.drill("01B", snapshot=saved.snapshot, manifest=saved.manifest)
    assert (drilled.passed, drilled.faults, drilled.torn) == (True, (), saved.torn)


def test_restic_killed_in_mid_backup_is_an_interruption_and_the_next_run_works(ready: Vault) -> None:
    """Nothing half is listed, and the lock that it leaves is gone with the next run."""
    (ready.source / "big").write_bytes(os.urandom(2_000_000))
    job = ready.job(Kind.BACKUP, "01A", limit_kib=500)
    with ready.start(job) as started:
        until(lambda: locks(ready) != [], 20, "it is at it")
        (program,) = [one for one in psutil.Process(started.pid).children() if one.name() == "restic"]
        program.kill()
        assert started.wait(60) == 1
    result = ready.result(job)
    assert isinstance(result, BackupResult)
    assert (result.outcome, result.snapshot, result.hint) == (Outcome.INTERRUPTED, "", "run it again")
    assert (ready.snapshots().snapshots, len(locks(ready))) == ((), 1)
    again = ready.backup("01B")
    assert (again.outcome, again.faults, locks(ready)) == (Outcome.OK, (), [])
    assert ready.drill("01C", manifest=again.manifest).passed


def locks(vault: Vault) -> list[str]:
    """Its locks, without what is being written."""
    return [path.name for path in (vault.repository / "locks").iterdir() if len(path.name) == 64]


def test_a_backup_whose_shim_is_lost_is_found_and_ended_with_its_restic(ready: Vault) -> None:
    (ready.source / "big").write_bytes(os.urandom(2_000_000))
    job, clock = ready.job(Kind.BACKUP, "01A", limit_kib=500), SystemClock()
    run_dir = ready.run_dir(job)
    run_dir.mkdir(parents=True, mode=0o700)
    (run_dir / JOB).write_text(dump(job))
    packet = child.Packet(
        argv=(sys.executable, "-m", "agent.backups", str(run_dir)),
        cwd=str(TOP),
        env={"PATH": os.environ["PATH"]},
        timeout_seconds=60.0,
        secret_files={PASSWORD_FILE: ready.secret.encode()},
    )
    shim = child.launch(run_dir, packet, clock)
    while not locks(ready):
        assert isinstance(child.peek(run_dir, shim, clock), child.Running)
    family = psutil.Process(shim.pid).children(recursive=True)
    (restic,) = [one for one in family if one.name() == "restic"]
    restic.suspend()
    os.kill(shim.pid, signal.SIGKILL)
    assert child.sweep(run_dir) >= 1
    assert psutil.wait_procs(family, timeout=10)[1] == []
    assert ready.backup("01B").outcome is Outcome.OK
    assert locks(ready) == []


def test_a_repository_that_vanished_is_not_founded_anew(broken: Vault) -> None:
    assert broken.backup("01B").outcome is Outcome.OK
    shutil.rmtree(broken.repository)
    result = broken.backup("01B")
    assert result.outcome is Outcome.MISSING_REPOSITORY
    assert "was there before and is gone" in result.summary
    assert not broken.repository.exists()


@pytest.mark.parametrize(
    ("name", "outcome"),
    [("letter.txt", Outcome.MISSING_REPOSITORY), ("keys/mine", Outcome.DAMAGED), ("lost+found", Outcome.OK)],
)
def test_a_repository_is_founded_in_an_empty_folder_only(vault: Vault, name: str, outcome: Outcome) -> None:
    path = vault.repository / name
    path.parent.mkdir(parents=True)
    path.mkdir() if name == "lost+found" else path.touch()
    assert vault.backup("01A").outcome is outcome
    assert path.exists()


def test_a_repository_within_the_source_does_not_save_itself(founded: Vault, vault: Vault) -> None:
    nested = dataclasses.replace(vault, folder=vault.source / "[vault]")
    nested.folder.mkdir()
    shutil.copytree(founded.repository, nested.repository)
    result = nested.backup("01A")
    assert result.outcome is Outcome.OK
    saved = [entry.path for entry in nested.entries(result.manifest)[1]]
    assert f"{nested.folder}/password" in saved
    assert not [path for path in saved if path.startswith((str(nested.repository), f"{nested.state}/restic-cache"))]


@pytest.mark.skipif(not AS_ROOT, reason="only root mounts a small disk")
def test_a_full_disk_is_told_from_other_failures(founded: Vault, broken: Vault) -> None:
    small = broken.folder / "small"
    small.mkdir()
    (broken.state / "sandbox").mkdir(exist_ok=True)
    for folder in (small, broken.state / "sandbox"):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "none", str(folder)], check=True)
    try:
        lacking = broken.drill("01B")
        assert (lacking.outcome, lacking.passed, lacking.restore_seconds) == (Outcome.NO_SPACE, False, 0.0)
        shutil.copytree(founded.repository, small / "repository")
        job = dataclasses.replace(broken.job(Kind.BACKUP, "01C"), repository=str(small / "repository"))
        full = Files.backup(job, broken.setting(job))
        assert (full.outcome, full.snapshot) == (Outcome.NO_SPACE, "")
        assert full.hint == "make room on that file system"
        subprocess.run(["mount", "-o", "remount,size=50m", str(small)], check=True)
        assert Files.backup(dataclasses.replace(job, exec_id="01D"), broken.setting(job)).outcome is Outcome.OK
    finally:
        for folder in (small, broken.state / "sandbox"):
            subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(not AS_ROOT, reason="only root mounts a small disk")
def test_a_full_disk_under_our_own_state_is_told_and_leaves_no_lock_behind(broken: Vault) -> None:
    shutil.rmtree(broken.state)
    broken.state.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "none", str(broken.state)], check=True)
    try:
        filler = broken.state / "filler"
        with contextlib.suppress(OSError), filler.open("wb") as stream:
            while True:
                stream.write(bytes(4096))
                stream.flush()
        full = broken.backup_apart("01B")
        assert (full.outcome, full.hint) == (Outcome.NO_SPACE, f"make room for {broken.state}"), full
        assert locks(broken) == []
        filler.unlink()
        assert broken.backup("01C").outcome is Outcome.OK
        assert [one.exec_id for one in broken.snapshots().snapshots if one.exec_id != "01B"] == ["01C", "01A"]
    finally:
        subprocess.run(["umount", str(broken.state)], check=True)


def test_a_job_out_of_time_says_so(broken: Vault) -> None:
    job = broken.job(Kind.BACKUP, "01B", timeout_seconds=0.0)
    with broken.start(job) as started:
        assert started.wait(60) == 1
    assert broken.result(job).outcome is Outcome.TIMEOUT
    assert broken.backup("01C", timeout_seconds=0.2).outcome is Outcome.TIMEOUT


def test_the_password_is_found_nowhere(ready: Vault, canary: str) -> None:
    cheapen(ready.repository, ready.secret, canary)
    secret = dataclasses.replace(ready, secret=canary)
    job = secret.job(Kind.BACKUP, "01A")
    with secret.start(job) as started:
        out, err = started.communicate(timeout=60)
    assert (started.returncode, canary in out + err) == (0, False)
    assert search_canary(canary, [ready.folder], allowed=[secret.password_file]) == ()
    assert sorted(path.name for path in secret.run_dir(job).iterdir()) == ["job.json", "progress.json", "result.json"]


def test_what_cannot_begin_names_the_next_step(vault: Vault) -> None:
    job = vault.job(Kind.BACKUP, "01A")
    without = dataclasses.replace(vault, program="no-restic")
    with pytest.raises(ToolError, match="cannot start no-restic") as caught:
        without.backup("01A")
    assert caught.value.hint == "run: apt-get install restic"
    with pytest.raises(InputError, match="no password"):
        Restic(job, dataclasses.replace(vault.setting(job), environment={}))
    with pytest.raises(InputError, match="is no way to a repository"):
        Restic(dataclasses.replace(job, repository="b2:bucket:/srv"), vault.setting(job))


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("restic 0.14.0 compiled with go1.19.8 on linux/amd64\n", (0, 14, 0)),
        ("restic 0.19.1-dev (compiled manually) compiled with go1.24", (0, 19, 1)),
        ("restic 1.0.0", (1, 0, 0)),
    ],
)
def test_a_version_that_is_new_enough(text: str, version: tuple[int, int, int]) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize("text", ["restic 0.13.1 compiled with go1.18", "restic 0.9.6", "", "rustic 0.7"])
def test_a_version_that_is_too_old_or_none(text: str) -> None:
    with pytest.raises(ToolError) as caught:
        parse_version(text)
    assert "apt-get install restic" in caught.value.hint
