"""Restores in place, as root, into real trees: nothing is lost, no trick leads out of them, and what is there is told."""

import os
import shutil
import stat
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.backups import BackupResult, Kind, Outcome, RestoreResult
from agent.backups.files import Files
from agent.backups.putting import program
from agent.backups.restic import describe
from agent.transports.openssh import Login, Route
from tests.lab.sshd import Sshd
from tests.vault import Vault, furnish

_ACL_ROWS = ((1, 6, -1), (2, 6, 1234), (4, 4, -1), (16, 6, -1), (32, 0, -1))  # u::rw u:1234:rw g::r m::rw o::-
ACL = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *row) for row in _ACL_ROWS)
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Vault, BackupResult]:
    """A repository with one snapshot of a tree with everything; its source is made anew for each test."""
    folder = tmp_path_factory.mktemp("saved")
    vault = Vault(folder=folder / "vault", source=folder / "source").found()
    furnish(vault.source)
    (vault.source / "tool").chmod(0o755)
    os.chown(vault.source / "conf/app.conf", 1234, 1235)
    os.setxattr(vault.source / "tool", "user.origin", b"built here")
    os.setxattr(vault.source / "conf", "system.posix_acl_default", ACL)
    os.setxattr(vault.source / "conf/app.conf", "system.posix_acl_access", ACL)
    (vault.source / "nulls").write_bytes(bytes(500_000))
    with (vault.source / "holey").open("wb") as stream:
        stream.write(b"first")
        stream.seek(300_000)
        stream.write(b"last")
    result = vault.backup("01A")
    assert result.outcome is Outcome.OK, result
    return vault, result


@pytest.fixture(scope="module")
def original(saved: tuple[Vault, BackupResult]) -> dict[str, tuple[object, ...]]:
    """The tree as it was saved."""
    found = tree(saved[0].source)
    return {path: seen for path, seen in found.items() if path != "junk.tmp"}


@pytest.fixture
def vault(saved: tuple[Vault, BackupResult]) -> Iterator[Vault]:
    """The same, after which nothing of the source is left."""
    vault, _ = saved
    yield vault
    for folder in (vault.source, vault.state / "kept"):
        if folder.is_symlink():
            folder.unlink()
        shutil.rmtree(folder, ignore_errors=True)


def put_back(vault: Vault, exec_id: str, **other: object) -> RestoreResult:
    job = vault.job(Kind.RESTORE, exec_id, in_place=True, **other)
    return Files.restore(job, vault.setting(job))


def tree(source: Path) -> dict[str, tuple[object, ...]]:
    """Everything that a backup has to bring back of a tree."""
    found: dict[str, tuple[object, ...]] = {}
    for top, folders, files in os.walk(source):
        for path in (Path(top, name) for name in (*folders, *files)):
            seen = path.lstat()
            what: object = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
            has_holes = stat.S_ISREG(seen.st_mode) and describe.has_holes(seen)
            more = (describe.attributes(str(path)), stat.S_ISDIR(seen.st_mode) or seen.st_nlink, has_holes, what)
            found[str(path.relative_to(source))] = (seen.st_mode, seen.st_uid, seen.st_gid, seen.st_mtime_ns, *more)
    return found


def test_a_tree_that_is_gone_comes_back_as_it_was(original: dict[str, tuple[object, ...]], vault: Vault) -> None:
    """With 0 differences in mode, owner, time to the nanosecond, attributes, ACLs, second names and holes."""
    shutil.rmtree(vault.source, ignore_errors=True)
    first = put_back(vault, "01B")
    assert (first.outcome, first.faults, first.kept) == (Outcome.OK, (), "")
    assert tree(vault.source) == original
    assert (vault.source / "hard").samefile(vault.source / "tool")
    assert [(vault.source / name).stat().st_blocks for name in ("sparse", "holey")] == [0, 16]
    again = put_back(vault, "01C")
    assert (again.outcome, again.summary.split(" on ")[0]) == (
        Outcome.OK, f"0 written, 0 replaced, {first.entries} left as they were",
    )  # fmt: skip
    assert tree(vault.source) == original
    assert list((vault.state / "sandbox").iterdir()) == []


def test_a_tree_that_is_restored_aside_is_the_same_but_for_its_place(
    saved: tuple[Vault, BackupResult], original: dict[str, tuple[object, ...]], tmp_path: Path
) -> None:
    vault, _ = saved
    result = vault.restore("01Z", tmp_path / "aside")
    assert (result.outcome, result.faults) == (Outcome.OK, ())
    assert result.summary == f"{result.entries} entries restored into {tmp_path}/aside"
    assert tree(Path(f"{tmp_path}/aside{vault.source}")) == original


def test_what_is_replaced_is_kept_and_what_is_not_in_the_snapshot_is_left_alone(vault: Vault) -> None:
    put_back(vault, "01B")
    before = tree(vault.source)
    (vault.source / "conf/app.conf").write_text("broken by hand\n")
    (vault.source / "conf/app.conf").chmod(0o666)
    (vault.source / "newer").write_text("written since\n")
    (vault.source / "link").unlink()
    (vault.source / "link").symlink_to("/etc/passwd")
    shutil.rmtree(vault.source / "empty")
    (vault.source / "empty").write_text("a file in the place of a folder\n")
    result = put_back(vault, "01C")
    assert (result.outcome, result.faults) == (Outcome.OK, ())
    assert " 3 replaced" in result.summary or " 4 replaced" in result.summary  # the folder's own mode may count
    kept = Path(result.kept + str(vault.source))
    assert f"what was replaced is kept in {result.kept} on this machine" in result.summary
    assert (kept / "conf/app.conf").read_text() == "broken by hand\n"
    assert (kept / "empty").read_text() == "a file in the place of a folder\n"
    assert (kept / "link").readlink() == Path("/etc/passwd")
    assert Path(result.kept).stat().st_mode & 0o077 == 0
    assert (vault.source / "newer").read_text() == "written since\n"
    after = tree(vault.source)
    del after["newer"]
    assert after == before


def test_one_file_is_put_back_and_nothing_else(vault: Vault) -> None:
    put_back(vault, "01B")
    for name in ("tool", "conf/app.conf"):
        (vault.source / name).write_text("broken\n")
    result = put_back(vault, "01C", include=(f"{vault.source}/conf/app.conf",))
    assert (result.outcome, result.entries) == (Outcome.OK, 1)
    assert (vault.source / "conf/app.conf").read_text() == "listen 80\n"
    assert (vault.source / "tool").read_text() == "broken\n"
    missing = put_back(vault, "01D", include=(f"{vault.source}/never",))
    assert missing.outcome is Outcome.SOURCE_MISSING
    assert missing.summary.startswith("nothing was touched: ")


@pytest.mark.parametrize(
    ("trick", "words"),
    [
        ("a linked parent", "leads over a link"),
        ("a linked folder inside", ""),
        ("a folder in the place of a file", "a folder is in its place"),
    ],
)
def test_no_trick_leads_out_of_the_tree(vault: Vault, trick: str, words: str, tmp_path: Path) -> None:
    put_back(vault, "01B")
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "app.conf").write_text("another's\n")
    include: tuple[str, ...] = ()
    if trick == "a linked parent":
        shutil.rmtree(vault.source)
        vault.source.symlink_to(victim)
        include = (f"{vault.source}/conf/app.conf",)
    elif trick == "a linked folder inside":
        shutil.rmtree(vault.source / "conf")
        (vault.source / "conf").symlink_to(victim)
    else:
        (vault.source / "tool").unlink()
        (vault.source / "tool").mkdir()
    result = put_back(vault, "01C", include=include)
    assert (victim / "app.conf").read_text() == "another's\n"
    assert [path.name for path in victim.iterdir()] == ["app.conf"]
    if words:
        assert result.outcome is Outcome.FAILED
        assert words in result.summary
        assert result.summary.startswith("nothing was touched")
        assert "--target" in result.hint
    else:
        assert result.outcome is Outcome.OK
        assert not (vault.source / "conf").is_symlink()
        assert Path(f"{result.kept}{vault.source}/conf").readlink() == victim


def test_a_damaged_snapshot_touches_nothing(saved: tuple[Vault, BackupResult], tmp_path: Path) -> None:
    broken = saved[0].copy(tmp_path / "vault")
    for pack in (broken.repository / "data").rglob("?" * 64):
        pack.chmod(0o600)
        pack.write_bytes(b"\0" * pack.stat().st_size)
    shutil.rmtree(broken.source, ignore_errors=True)
    result = put_back(broken, "01B")
    assert result.outcome is not Outcome.OK
    assert result.summary.startswith("nothing was touched: ")
    assert not broken.source.exists()


def test_a_host_over_ssh_gets_its_files_back_by_our_pins_only(
    vault: Vault, original: dict[str, tuple[object, ...]], sshd: Sshd, tmp_path: Path
) -> None:
    """The host is this machine behind a real sshd: what the program does there is what it does anywhere."""
    pins = tmp_path / "known_hosts"
    pins.write_text(f"[{sshd.address}]:{sshd.port} {sshd.public_key}\n")
    login = Login(name="web1", address=sshd.address, port=sshd.port, user=sshd.user, key_file=str(sshd.key_file))
    route = Route(host=login, known_hosts=str(pins))
    shutil.rmtree(vault.source, ignore_errors=True)
    first = put_back(vault, "01B", route=route)
    assert (first.outcome, first.faults) == (Outcome.OK, ())
    assert tree(vault.source) == original
    (vault.source / "conf/app.conf").write_text("broken\n")
    second = put_back(vault, "01C", route=route)
    assert (second.outcome, second.kept) == (Outcome.OK, "/var/lib/watchkeeper/kept/01C")
    assert Path(f"{second.kept}{vault.source}/conf/app.conf").read_text() == "broken\n"
    shutil.rmtree(second.kept)
    assert tree(vault.source) == original
    beside = put_back(vault, "01D", route=route, target=str(tmp_path / "beside"))
    assert (beside.outcome, beside.target) == (Outcome.OK, str(tmp_path / "beside"))
    assert Path(f"{beside.target}{vault.source}/conf/app.conf").read_text() == "listen 80\n"
    pins.write_text("")
    stranger = put_back(vault, "01E", route=route)
    assert stranger.outcome is Outcome.FAILED
    assert "host trust web1" in stranger.hint
    assert not list(Path("/var/lib/watchkeeper").glob("stage-*"))


def test_the_agents_own_state_is_never_put_back(tmp_path: Path) -> None:
    vault = Vault(folder=tmp_path, source=tmp_path / "state").found()
    vault.source.mkdir(exist_ok=True)
    (vault.source / "watchkeeper.db").write_text("old\n")
    assert vault.backup("01A").outcome is Outcome.OK
    (vault.source / "watchkeeper.db").write_text("new\n")
    result = put_back(vault, "01B")
    assert result.outcome is Outcome.FAILED
    assert "belongs to the agent" in result.summary
    assert (vault.source / "watchkeeper.db").read_text() == "new\n"


def test_the_program_runs_by_the_standard_library_alone() -> None:
    done = subprocess.run(
        ["python3", "-I", "-S", "-c", program.text()],
        input='{"do": "clear", "stage": "/nonexistent/stage"}\n', capture_output=True, text=True, check=True, timeout=20,
    )  # fmt: skip
    assert done.stdout == "{}\n"
