"""Repositories elsewhere, by the real restic: founded once, reached with references only, never replaced in silence."""

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.backups import JOB, Kind, Outcome, dump
from agent.clock import SystemClock
from agent.transports import child
from tests.canary import search_canary, search_processes
from tests.far import HOST, Far, far
from tests.lab import vaults
from tests.lab.sshd import Sshd
from tests.lab.vaults import Elsewhere
from tests.lab.wait import in_time, until
from tests.quick_key import cheapen
from tests.vault import TOP, Vault


@pytest.fixture(scope="module", params=("sftp", "rest"))
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, canary: str
) -> Iterator[Elsewhere]:
    """One way after the other, to an empty folder."""
    folder = tmp_path_factory.mktemp("elsewhere") / "vault"
    folder.mkdir()
    if request.param == "sftp":
        way = vaults.behind_sftp(folder, request.getfixturevalue("sshd"))
    else:
        way = vaults.behind_rest(folder, canary)
    with way as there:
        yield there


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, restic: str) -> Path:
    """An empty repository, quick to open; to be copied."""
    folder = tmp_path_factory.mktemp("made")
    return Vault(folder=folder, source=folder, program=restic).found().repository


@pytest.fixture
def founded(tmp_path: Path, server: Elsewhere, restic: str, made: Path) -> Iterator[Far]:
    """A vault with an empty repository on the server."""
    found = far(tmp_path, server, restic)
    shutil.copytree(made, found.folder)
    yield found
    shutil.rmtree(found.folder, ignore_errors=True)


def test_it_is_founded_at_first_use_and_never_a_second_time(tmp_path: Path, server: Elsewhere, restic: str) -> None:
    new = far(tmp_path, server, restic)
    first = new.vault.backup("01A")
    assert (first.outcome, first.files) == (Outcome.OK, 1), first
    cheapen(new.folder, new.vault.secret)
    assert new.vault.drill("01B", manifest=first.manifest).passed
    shutil.rmtree(new.folder)
    second = new.vault.backup("01C")
    assert second.outcome is Outcome.MISSING_REPOSITORY
    assert f"the repository in {new.access.place} was there before and is gone" in second.summary
    assert not (new.folder / "config").exists()


def test_what_is_saved_there_is_listed_proven_and_comes_back(founded: Far) -> None:
    vault = founded.vault
    saved = vault.backup("01A")
    assert (saved.outcome, saved.faults) == (Outcome.OK, ()), saved
    assert [one.exec_id for one in vault.snapshots().snapshots] == ["01A"]
    assert vault.drill("01B", manifest=saved.manifest).passed
    back = vault.restore("01C", vault.folder / "back")
    assert (back.outcome, Path(f"{back.target}{vault.source}/a").read_text()) == (Outcome.OK, "hello\n")


def test_a_lock_left_by_our_killed_restic_is_removed_by_the_next_run(founded: Far) -> None:
    """Backups pass beside such a lock; check and prune do not, for weeks."""
    vault = founded.vault
    (vault.source / "big").write_bytes(os.urandom(8_000_000))
    job = vault.job(Kind.BACKUP, "01A", limit_kib=300)
    with vault.start(job) as started:
        until(lambda: locks(founded) != [], 20, "restic holds its lock")
        for pid in children(started.pid):
            os.kill(pid, signal.SIGKILL)
        assert started.wait(60) == 1
    assert len(locks(founded)) == 1
    (vault.source / "big").unlink()
    with in_time(5.0):
        assert vault.backup("01B").outcome is Outcome.OK
    assert locks(founded) == []


def test_wrong_credentials_are_no_missing_repository(tmp_path: Path, founded: Far, sshd: Sshd, restic: str) -> None:
    other = tmp_path / "other"
    other.mkdir()
    names = list(founded.there.credentials)
    wrong = Path(sshd.key_file.with_name("host_key")).read_text() if "SSH_KEY" in names else "not the one"
    stranger = far(other, founded.there.but(**{names[-1]: wrong}), restic)
    refused = stranger.vault.backup("01A")
    assert (refused.outcome, refused.summary[:27]) == (Outcome.REFUSED, "refused: wrong credentials,"), refused
    assert "`credentials`" in refused.hint
    assert stranger.vault.snapshots().outcome is Outcome.REFUSED
    assert "not the one" not in f"{refused.summary}{refused.hint}{refused.faults}"
    assert [path.name for path in founded.there.folder.iterdir()] == [HOST]


def test_no_secret_is_seen_anywhere_while_it_works_or_afterwards(founded: Far, canary: str) -> None:
    """Through the shim, as the daemon starts it: its arguments, its environment, its run folder, the agent's state."""
    vault, clock = founded.vault, SystemClock()
    cheapen(founded.folder, vault.secret, canary)
    (vault.source / "big").write_bytes(os.urandom(400_000))
    job = vault.job(Kind.BACKUP, "01A", limit_kib=400)
    run_dir = vault.run_dir(job)
    run_dir.mkdir(parents=True, mode=0o700)
    (run_dir / JOB).write_text(dump(job))
    files = {**founded.access.secret_files, "RESTIC_PASSWORD_FILE": canary.encode()}
    packet = child.Packet(
        argv=(sys.executable, "-m", "agent.backups", str(run_dir)), cwd=str(TOP), env={"PATH": os.environ["PATH"]},
        timeout_seconds=60.0, secret_files=files,
    )  # fmt: skip
    shim, seen = child.launch(run_dir, packet, clock), set[str]()
    while isinstance(ended := child.peek(run_dir, shim, clock), child.Running):
        seen.update(place for place in search_processes(canary) if "rclone" not in place)
    assert isinstance(ended, child.Ended)
    assert (ended.exit_code, seen) == (0, set()), (run_dir / "stderr").read_text()
    assert search_canary(canary, [run_dir, vault.state, founded.there.folder]) == ()


def locks(found: Far) -> list[str]:
    """The locks in the repository, seen from the server."""
    return [path.name for path in (found.folder / "locks").iterdir() if len(path.name) == 64]


def children(pid: int) -> list[int]:
    """The processes that this one started."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
