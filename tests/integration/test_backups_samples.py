"""Drills of a part: what is drawn is restored and compared, every file in its turn, and an older snapshot now and then."""

import dataclasses
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from agent.backups import BackupResult, DrillResult, Outcome
from agent.model.proof import Cycle, DrillOrder
from tests.vault import Vault

FILES = 30


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Vault, BackupResult]:
    """A repository with one snapshot; not to be changed."""
    folder = tmp_path_factory.mktemp("kept")
    for number in range(FILES):
        path = folder / f"source/{number % 4}/file {number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"file {number}\n")
    (folder / "source/0").chmod(0o750)
    (folder / "source/large").write_bytes(os.urandom(200_000))
    (folder / "source/none [*]").mkdir()
    (folder / "source/link").symlink_to("large")
    vault = Vault(folder=folder / "vault", source=folder / "source").found()
    return vault, vault.backup("01A")


@pytest.fixture
def vault(kept: tuple[Vault, BackupResult], tmp_path: Path) -> Vault:
    """A copy of it, to be broken."""
    return kept[0].copy(tmp_path / "vault")


def drill(vault: Vault, exec_id: str, before: DrillResult | None = None, **more: object) -> DrillResult:
    """The drill that follows another, of ten files."""
    order = DrillOrder(sample=10, cycle=before.cycle if before else Cycle())
    return vault.drill(exec_id, drill=order, **more)


def test_drills_of_a_sample_go_round_and_name_the_one_bad_file_in_time(vault: Vault) -> None:
    """32 files in samples of 10: four drills. Of the ten, the newest and the largest come on top each time."""
    (vault.source / "1/file 29").write_text("not what is in the manifest\n")
    header, entries = vault.entries(vault.backup("01B").manifest)
    bad = f"{vault.source}/1/file 29"
    lying = [dataclasses.replace(one, sha256="0" * 64, mtime_ns=1) if one.path == bad else one for one in entries]
    name = vault.rewrite("01C", header, lying)
    done: list[DrillResult] = []
    for number in range(4):
        done.append(drill(vault, f"02{number}", done[-1] if done else None, manifest=name))
        if not done[-1].passed:
            break
    assert [one.passed for one in done] == [True] * (len(done) - 1) + [False]
    assert [fault.partition(":")[0] for fault in done[-1].faults][-1] == "content differs"
    assert all(one.files == FILES + 2 for one in done)
    least = [10, 10, 10, 2]  # the last slice is what is left
    assert all(few <= one.sampled <= 12 for few, one in zip(least, done, strict=False)), done
    again = drill(vault, "03A", done[-1], manifest=name)
    assert not again.passed, "what was found bad is drawn again until it is well"


def test_a_round_of_drills_compares_every_file_and_the_next_begins_anew(vault: Vault) -> None:
    done = [drill(vault, "02A")]
    while done[-1].cycle.round == 1:
        done.append(drill(vault, f"02{len(done)}", done[-1]))
    assert [(one.passed, one.outcome) for one in done] == [(True, Outcome.OK)] * 4
    assert all(one.alarm for one in done), "a byte that was changed on purpose was found each time"
    assert sum(one.sampled for one in done) >= FILES + 2
    assert [one.cycle.drawn for one in done] == [1, 2, 3, 0]
    assert all(one.whole_bytes > 200_000 for one in done)
    assert {*done[0].parts} == {"waited", "chosen", "restored", "compared", "probed"}
    assert done[0].seconds == pytest.approx(sum(done[0].parts.values()))


def test_what_must_be_there_is_in_every_sample_folders_too(vault: Vault) -> None:
    wanted = (f"{vault.source}/2/file 2", f"{vault.source}/3", f"{vault.source}/none [*]")
    order = DrillOrder(sample=1)
    drilled = vault.drill("02A", drill=order, contains=wanted)
    assert (drilled.passed, drilled.faults) == (True, ())
    assert drilled.sampled >= 4
    missing = vault.drill("02B", drill=order, contains=(f"{vault.source}/4",))
    assert missing.faults == (f"must be there, and is not: {vault.source}/4",)


def test_an_older_snapshot_is_proven_too_each_in_its_turn(vault: Vault) -> None:
    first = vault.snapshots().snapshots[0]
    second, newest = vault.backup("01B"), vault.backup("01C")
    proven = [
        vault.drill(f"02{turn}", drill=DrillOrder(sample=5, older=turn), manifest=newest.manifest).older
        for turn in (1, 2)
    ]
    assert [one.snapshot for one in proven if one] == [second.snapshot, first.id]
    assert all(one is not None and one.compared and not one.fault_count for one in proven)
    (path,) = (vault.repository / "snapshots").glob(f"{first.id}*")
    path.chmod(0o600)
    os.truncate(path, 40)
    harmed = vault.drill("02C", drill=DrillOrder(sample=5, older=2), manifest=newest.manifest)
    assert (harmed.passed, harmed.compared > 0) == (False, True)
    assert all(fault.startswith("in the older snapshot ") for fault in harmed.faults)


def test_with_one_snapshot_alone_there_is_no_older_one(vault: Vault) -> None:
    drilled = vault.drill("02A", drill=DrillOrder(older=1))
    assert (drilled.passed, drilled.older) == (True, None)


def test_a_sample_of_more_patterns_than_one_call_takes_is_restored_in_several(tmp_path: Path) -> None:
    deep = tmp_path / "source" / ("d" * 200) / ("e" * 200) / ("f" * 200)
    deep.mkdir(parents=True)
    for number in range(800):
        (deep / f"{'n' * 150}{number}").touch()
    vault = Vault(folder=tmp_path / "vault", source=tmp_path / "source").found()
    vault.backup("01A")
    drilled = vault.drill("02A", drill=DrillOrder(sample=800))
    assert (drilled.passed, drilled.sampled, drilled.faults) == (True, 800, ())


def test_sqlite_is_asked_about_its_databases_also_when_their_copy_was_half_done(vault: Vault) -> None:
    path = vault.source / "shop.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, what TEXT)")
    connection.executemany("INSERT INTO orders (what) VALUES (?)", [("x" * 300,)] * 500)
    connection.commit()
    shutil.copyfile(path, vault.source / "live.db")  # with its log: whole
    shutil.copyfile(f"{path}-wal", vault.source / "live.db-wal")
    connection.close()
    good = vault.backup("01B")
    assert vault.drill("02A", manifest=good.manifest).faults == ()
    data = bytearray(path.read_bytes())
    data[8192:9000] = bytes(808)
    path.write_bytes(data)
    harmed = vault.backup("01C")
    found = vault.drill("02B", manifest=harmed.manifest)
    assert found.faults
    assert all(one.startswith("SQLite says: ") and one.endswith("/shop.db") for one in found.faults)
