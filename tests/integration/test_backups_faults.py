"""Twelve faults, seeded one at a time: proof by restoring finds all of them, an exit code of restic some.

The table is printed by: pytest -s tests/integration/test_backups_faults.py
"""

import contextlib
import dataclasses
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.backups import DrillResult, Kind
from agent.backups.restic.outcome import CODED
from agent.backups.restic.version import parse_version
from agent.model.backup import Backup, Repository
from agent.model.look import Verdict
from agent.model.proof import Point
from agent.practices import backups as practice
from tests.vault import TOP, Vault

AS_ROOT = os.geteuid() == 0
HOUR = 3600 * 1_000_000


@dataclasses.dataclass(kw_only=True)
class Seeded:
    """A vault with one fault in it, and how its drill is to be made."""

    vault: Vault
    order: dict[str, Any] = dataclasses.field(default_factory=dict)
    nightly: tuple[str, ...] = ()  # what is given to restic beyond the source


def packs(vault: Vault) -> list[Path]:
    """The packs, the smallest first: in a small repository that is the one with the trees."""
    found = [path for path in (vault.repository / "data").rglob("*") if path.is_file()]
    return sorted(found, key=lambda path: path.stat().st_size)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.chmod(0o600)
    path.write_bytes(data)


def lost_pack(vault: Vault) -> Seeded:
    packs(vault)[-1].unlink()
    return Seeded(vault=vault)


def flipped_in_data(vault: Vault) -> Seeded:
    flip(packs(vault)[-1])
    return Seeded(vault=vault)


def flipped_in_index(vault: Vault) -> Seeded:
    for path in (vault.repository / "index").iterdir():
        flip(path)
    return Seeded(vault=vault)


def flipped_in_tree(vault: Vault) -> Seeded:
    flip(packs(vault)[0])
    return Seeded(vault=vault)


def wrong_key(vault: Vault) -> Seeded:
    return Seeded(vault=dataclasses.replace(vault, secret="another"))


def empty_source(vault: Vault) -> Seeded:
    """A disk that is not mounted leaves an empty folder."""
    for path in vault.source.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    vault.backup("02A")
    return Seeded(vault=vault)


def excluded_file(vault: Vault) -> Seeded:
    vault.backup("02A", options={"exclude": ["conf/*"]})
    return Seeded(vault=vault, nightly=("--exclude", "conf/*"))


def half_written_dump(vault: Vault) -> Seeded:
    dump = vault.source / "shop.db"
    os.truncate(dump, dump.stat().st_size // 2)
    vault.backup("02A")
    return Seeded(vault=vault)


def stale_snapshot(vault: Vault) -> Seeded:
    """Nobody backs up any more; what is there is whole."""
    return Seeded(vault=vault)


def full_sandbox(vault: Vault) -> Seeded:
    return Seeded(vault=vault)


def permission_lost(vault: Vault) -> Seeded:
    """A file system that takes a mode and forgets it."""
    return forgetful(vault, "chmod 0666")


def wrong_owner(vault: Vault) -> Seeded:
    return forgetful(vault, "chown 12345")


def forgetful(vault: Vault, harm: str) -> Seeded:
    program = vault.folder / "bin/restic"
    program.parent.mkdir()
    real = shutil.which(vault.program)
    box = f'f=$(find {vault.state}/sandbox -path "*{vault.source}/conf/a"); [ -z "$f" ] || {harm} "$f"'
    program.write_text(f'#!/bin/sh\n{real} "$@"\nended=$?\n[ "$1" != restore ] || {{ {box}; }}\nexit $ended\n')
    program.chmod(0o755)
    return Seeded(vault=dataclasses.replace(vault, program=str(program)))


FAULTS: tuple[tuple[str, Callable[[Vault], Seeded], str], ...] = (
    ("lost pack", lost_pack, "missing: "),
    ("flipped byte in data", flipped_in_data, "missing: "),
    ("flipped byte in an index", flipped_in_index, ""),
    ("flipped byte in a tree", flipped_in_tree, ""),
    ("wrong key", wrong_key, "wrong password"),
    ("empty source", empty_source, "must be there, and is not: "),
    ("excluded file", excluded_file, "must be there, and is not: "),
    ("half-written dump", half_written_dump, "SQLite says: "),
    ("stale snapshot", stale_snapshot, "old"),
    ("full sandbox", full_sandbox, "bytes are missing"),
    ("permission lost", permission_lost, "mode 0666 instead of 0640: "),
    ("restored, but wrong owner", wrong_owner, "owner 12345:0 instead of 0:0: "),
)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    """A repository with one good snapshot."""
    folder = tmp_path_factory.mktemp("kept")
    (folder / "source/conf").mkdir(parents=True)
    (folder / "source/conf/a").write_text("hello\n")
    (folder / "source/conf/a").chmod(0o640)
    (folder / "source/random").write_bytes(os.urandom(300_000))
    with contextlib.closing(sqlite3.connect(folder / "source/shop.db")) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, what TEXT)")
        connection.executemany("INSERT INTO orders (what) VALUES (?)", [("x" * 300,)] * 200)
        connection.commit()
    vault = Vault(folder=folder / "vault", source=folder / "source").found()
    vault.backup("01A")
    return vault


@contextlib.contextmanager
def unharmed(source: Path, aside: Path) -> Iterator[None]:
    """The source is afterwards what it was."""
    shutil.copytree(source, aside)
    try:
        yield
    finally:
        shutil.rmtree(source)
        aside.rename(source)


@contextlib.contextmanager
def small(folder: Path) -> Iterator[None]:
    """A file system with next to no room, mounted there."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "none", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def proof_finds(seeded: Seeded, name: str) -> tuple[str, ...]:
    """What the drill, or the check of freshness, has to say."""
    vault = seeded.vault
    drilled: DrillResult = vault.drill("03A", contains=(f"{vault.source}/conf/a",), timeout_seconds=30.0)
    if name != "stale snapshot":
        return () if drilled.passed else drilled.faults
    assert drilled.passed
    return too_old(vault)


def too_old(vault: Vault) -> tuple[str, ...]:
    """What the check of freshness says a day and three hours later, where it said nothing an hour before."""
    job = vault.job(Kind.BACKUP, "01A")
    (snapshot,) = vault.snapshots().snapshots
    backup = Backup(
        key=job.key, item=job.item, service="shop", host=job.host, kind="files", options=None, every=(),
        repository=Repository(name="main", url="", password_secret=""), rpo_seconds=26 * 3600.0,
    )  # fmt: skip
    point = Point(
        key=job.key, exec_id="01A", snapshot=snapshot.id, at_us=snapshot.at_us, files=3, size_bytes=1, added_bytes=1
    )
    known = practice.Known(watched_us=0, first_us=point.at_us, point=point)
    looks = [practice.freshness(backup, known, snapshot.at_us + hours * HOUR) for hours in (25, 27)]
    assert [look.verdict for look in looks] == [Verdict.OK, Verdict.CRITICAL]
    return (looks[-1].summary,)


def exit_codes(seeded: Seeded, name: str) -> tuple[int | None, int]:
    """Of the next nightly `restic backup`, and of a `restic restore`; None when nobody runs it, 124 when it hangs."""
    vault, nobody = seeded.vault, name == "stale snapshot"
    target = vault.folder / "target"
    with small(target) if name == "full sandbox" else contextlib.nullcontext():
        arguments = ("restore", "latest", "--target", str(target))
        restored = vault.restic(*arguments, before=("timeout", "--signal=INT", "5")).wait(30)
    return None if nobody else vault.restic("backup", *seeded.nightly, str(vault.source)).wait(30), restored


@pytest.mark.skipif(not AS_ROOT, reason="only root mounts a small disk, and gives files away")
def test_proof_by_restoring_finds_twelve_faults_of_twelve(kept: Vault, tmp_path: Path) -> None:
    rows: list[tuple[str, str, int | None, int]] = []
    for name, seed, says in FAULTS:
        with unharmed(kept.source, tmp_path / "source"):
            seeded = seed(kept.copy(tmp_path / name.replace(" ", "-")))
            with small(seeded.vault.state / "sandbox") if name == "full sandbox" else contextlib.nullcontext():
                found = proof_finds(seeded, name)
            rows.append((name, next((line for line in found if says in line), ""), *exit_codes(seeded, name)))
    nightly = sum(code not in {0, None} for _, _, code, _ in rows)
    by_hand = sum(code != 0 for _, _, _, code in rows)
    for row in rows:
        print(*row, sep=" | ")
    print(f"found by proof: {sum(bool(row[1]) for row in rows)} of {len(rows)}")
    print(f"by the exit code of the nightly backup: {nightly}, of a restore by hand: {by_hand}")
    assert [name for name, found, _, _ in rows if not found] == []
    assert nightly <= 3
    if (
        parse_version(subprocess.run([kept.program, "version"], capture_output=True, text=True, check=True).stdout)
        < CODED
    ):
        assert [(name, "never ran" if code is None else str(code)) for name, _, code, _ in rows] == published()


def published() -> list[tuple[str, str]]:
    """Faults and exit codes of the nightly backup, as the documents tell them of restic 0.14."""
    table = (TOP / "docs/drills.md").read_text().partition("| fault |")[2].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table if line.startswith("|")]
    return [(name, nightly) for name, _, nightly, _ in cells]
