"""Drills and restores by the real restic: what is wrong with a backup is found, and named."""

import contextlib
import dataclasses
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.backups import BackupResult, Kind, Outcome
from agent.backups.files import Files
from agent.backups.restic.manifest import Entry
from agent.transports.openssh import Login, Route
from tests.vault import TOP, Vault

TIDY = ["-c", "import pathlib, sys; from agent.backups.restic.sandbox import sweep; sweep(pathlib.Path(sys.argv[1]))"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Vault, BackupResult]:
    """A repository with one snapshot; not to be changed."""
    folder = tmp_path_factory.mktemp("kept")
    (folder / "source/conf").mkdir(parents=True)
    (folder / "source/conf/a").write_text("hello\n")
    (folder / "source/conf/b [x]*").write_text("world\n")
    (folder / "source/random").write_bytes(os.urandom(300_000))
    vault = Vault(folder=folder / "vault", source=folder / "source").found()
    return vault, vault.backup("01A")


def test_a_database_whose_name_is_no_text_is_asked_as_well(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in (b"gr\xf6\xdfe #?%.db", b"with a journal \xff.db"):
        place = os.fsdecode(os.fsencode(source) + b"/" + name)
        with contextlib.closing(sqlite3.connect(place.encode("utf-8", "surrogateescape"))) as connection:
            connection.execute("CREATE TABLE jobs (name TEXT)")
    Path(f"{place}-journal").touch()
    vault = Vault(folder=tmp_path / "vault", source=source).found()
    vault.backup("01A")
    drilled = vault.drill("01B")
    assert (drilled.passed, drilled.faults) == (True, ())


def test_what_must_be_there_is_not_looked_for_on_this_machine(tmp_path: Path) -> None:
    """A link of the host leads to what the machine that drills has there."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "conf").symlink_to("/etc")
    vault = Vault(folder=tmp_path / "vault", source=source).found()
    vault.backup("01A")
    route = Route(host=Login(name="web1", address="192.0.2.1"), known_hosts="")
    drilled = vault.drill("01B", contains=(f"{source}/conf/passwd",), route=route)
    assert not drilled.passed
    assert drilled.faults == (
        f"must be there, and lies behind the link {source}/conf: name its real path: {source}/conf/passwd",
    )


@pytest.fixture
def broken(kept: tuple[Vault, BackupResult], tmp_path: Path) -> Vault:
    """A copy of it, to be broken."""
    return kept[0].copy(tmp_path / "vault")


def biggest_pack(vault: Vault) -> Path:
    """The pack with the content of the files."""
    return max(
        (path for path in (vault.repository / "data").rglob("*") if path.is_file()), key=lambda one: one.stat().st_size
    )


def flip(path: Path) -> None:
    """Change one bit in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


def sandboxes(vault: Vault) -> list[Path]:
    """What is left of drills."""
    return list((vault.state / "sandbox").iterdir())


def test_one_flipped_bit_is_found_though_the_next_backup_stays_green(
    kept: tuple[Vault, BackupResult], broken: Vault
) -> None:
    flip(biggest_pack(broken))
    assert broken.backup("01B").outcome is Outcome.OK
    drilled = broken.drill("01C")
    assert (drilled.outcome, drilled.passed) == (Outcome.DAMAGED, False)
    assert f"missing: {broken.source}/random" in drilled.faults
    assert any("ciphertext verification failed" in fault for fault in drilled.faults)
    assert "restic check --read-data" in drilled.hint
    assert sandboxes(broken) == []


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: os.truncate(path, 1000)], ids=["deleted", "truncated"])
def test_a_lost_pack_is_found_without_waiting_for_it(broken: Vault, harm: Callable[[Path], object]) -> None:
    pack = biggest_pack(broken)
    pack.chmod(0o600)
    harm(pack)
    drilled = broken.drill("01C", timeout_seconds=30.0)
    assert (drilled.outcome, drilled.passed) == (Outcome.DAMAGED, False)


def test_a_restore_that_is_not_what_was_saved_is_named_entry_by_entry(
    broken: Vault, kept: tuple[Vault, BackupResult]
) -> None:
    header, entries = broken.entries(kept[1].manifest)
    by_name = {entry.path.removeprefix(str(broken.source)): entry for entry in entries}
    by_name["/conf/a"] = dataclasses.replace(by_name["/conf/a"], sha256="0" * 64)
    by_name["/conf"] = dataclasses.replace(by_name["/conf"], mode=0o700)
    by_name["/random"] = dataclasses.replace(by_name["/random"], size=1)
    del by_name["/conf/b [x]*"]
    by_name["/gone"] = Entry(path=f"{broken.source}/gone", kind="file")
    name = broken.rewrite("01B", header, list(by_name.values()))
    drilled = broken.drill("01C", manifest=name, contains=("/etc/passwd", f"{broken.source}/nothing"), rto_seconds=0.0)
    assert (drilled.outcome, drilled.passed) == (Outcome.FAILED, False)
    late = [fault for fault in drilled.faults if fault.endswith("more than its rto of 0 s")]
    assert len(late) == 1
    assert sorted({*drilled.faults} - {*late}) == sorted(
        [
            f"300000 bytes instead of 1: {broken.source}/random",
            f"content differs: {broken.source}/conf/a",
            f"missing: {broken.source}/gone",
            f"mode 0755 instead of 0700: {broken.source}/conf",
            "must be there, but is not below what is saved: /etc/passwd",
            f"must be there, and is not: {broken.source}/nothing",
            f"not in the snapshot: {broken.source}/conf/b [x]*",
        ]
    )
    assert drilled.fault_count == 8
    assert sandboxes(broken) == []


def test_a_drill_without_an_order_takes_the_newest_point_that_can_be_compared(broken: Vault) -> None:
    first, second = broken.snapshots().snapshots[0], broken.backup("01B")
    paths = (f"{broken.source}/conf", f"{broken.source}/conf/b [x]*")
    drilled = broken.drill("01C", contains=paths, rto_seconds=60.0)
    assert (drilled.snapshot, drilled.passed, drilled.faults) == (second.snapshot, True, ())
    for path in (broken.state / "manifests").rglob("01B.*"):
        path.unlink()
    assert broken.drill("01D").snapshot == first.id
    for path in (broken.state / "manifests").rglob("*.gz"):
        path.unlink()
    missing = broken.drill("01E")
    assert (missing.outcome, missing.passed) == (Outcome.FAILED, False)
    assert "manifest missing" in missing.summary
    assert missing.hint == "run the backup again"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("0000000000000000/01A." + "0" * 64 + ".gz", "cannot be read"),
        ("../../source/conf/a", "no name of a manifest"),
        ("/etc/passwd", "no name of a manifest"),
    ],
)
def test_a_manifest_that_is_missing_or_a_trick_fails_the_drill(broken: Vault, name: str, why: str) -> None:
    drilled = broken.drill("01C", manifest=name)
    assert (drilled.outcome, drilled.passed, drilled.compared) == (Outcome.FAILED, False, 0)
    assert why in drilled.faults[0]


def test_an_altered_manifest_or_one_of_another_snapshot_proves_nothing(
    broken: Vault, kept: tuple[Vault, BackupResult]
) -> None:
    other = broken.drill("01C", manifest=kept[1].manifest, snapshot="0" * 64)
    assert (other.passed, "belongs to snapshot" in other.summary) == (False, True)
    flip(broken.state / "manifests" / kept[1].manifest)
    altered = broken.drill("01D", manifest=kept[1].manifest, snapshot=kept[1].snapshot)
    assert (altered.passed, "was altered" in altered.summary) == (False, True)


def test_without_a_snapshot_there_is_nothing_to_prove(broken: Vault) -> None:
    job = dataclasses.replace(broken.job(Kind.DRILL, "01B"), item="shop/backups/other", key="shop/backups/other@web1")
    drilled = Files.drill(job, broken.setting(job))
    assert (drilled.outcome, drilled.passed, drilled.hint) == (Outcome.SOURCE_MISSING, False, "run the backup first")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_drill_that_is_ended_leaves_no_sandbox(broken: Vault, number: int) -> None:
    job = broken.job(Kind.DRILL, "01C")
    box = broken.state / "sandbox/01C"
    with broken.start(job) as started:
        while not box.exists():
            assert started.poll() is None
        started.send_signal(number)
        started.wait(60)
    if number == signal.SIGKILL:
        subprocess.run([sys.executable, *TIDY, str(broken.state)], check=True, cwd=TOP)
    assert sandboxes(broken) == []


def test_a_part_is_restored_and_checked_and_what_is_not_there_is_an_error(broken: Vault) -> None:
    part = broken.restore("01B", broken.folder / "part", include=(f"{broken.source}/conf/b [x]*",))
    assert (part.outcome, part.entries, part.faults) == (Outcome.OK, 1, ())
    assert [path.name for path in Path(part.target).rglob("*") if path.is_file()] == ["b [x]*"]
    nothing = broken.restore("01C", broken.folder / "nothing", include=(f"{broken.source}/no such",))
    assert (nothing.outcome, nothing.entries) == (Outcome.SOURCE_MISSING, 0)
    assert "nothing of that name" in nothing.summary


def test_a_restore_goes_on_without_a_manifest_and_over_what_can_be_saved(broken: Vault) -> None:
    for path in (broken.state / "manifests").rglob("*.gz"):
        path.unlink()
    whole = broken.restore("01B", broken.folder / "whole")
    assert (whole.outcome, whole.faults) == (Outcome.OK, ())
    assert Path(f"{whole.target}{broken.source}/conf/a").read_text() == "hello\n"
    flip(biggest_pack(broken))
    damaged = broken.restore("01C", broken.folder / "damaged")
    assert damaged.outcome is Outcome.DAMAGED
    assert damaged.faults


def test_a_refused_target_is_an_answer_and_nothing_is_made(broken: Vault) -> None:
    job = broken.job(Kind.RESTORE, "01B", target=str(broken.source))
    with broken.start(job) as started:
        assert started.wait(60) == 1
    result = broken.result(job)
    assert (result.outcome, result.summary) == (Outcome.FAILED, f"{broken.source} is not empty")
    assert result.hint


def test_a_state_folder_that_cannot_be_used_is_an_answer(broken: Vault) -> None:
    job = dataclasses.replace(broken.job(Kind.BACKUP, "01B"), state=str(broken.password_file))
    with broken.start(job) as started:
        assert started.wait(60) == 1
    assert "Not a directory" in broken.result(job).summary


def test_options_that_are_wrong_are_an_answer(broken: Vault) -> None:
    job = broken.job(Kind.BACKUP, "01B", options={"paths": ["relative"]})
    with broken.start(job) as started:
        assert started.wait(60) == 1
    assert "'relative' is no full path" in broken.result(job).summary


def test_a_job_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for arguments, text in (([], ""), ([str(tmp_path)], ""), ([str(tmp_path)], "{}")):
        (tmp_path / "job.json").write_text(text)
        done = subprocess.run(
            [sys.executable, "-m", "agent.backups", *arguments], check=False, capture_output=True, cwd=TOP
        )
        assert (done.returncode, bool(done.stderr)) == (2, True)
        assert b"Traceback" not in done.stderr
