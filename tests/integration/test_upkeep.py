"""Upkeep of real repositories: damage is found in time, exactly what was decided is removed, copies hold what they should."""

import contextlib
import dataclasses
import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.backups import Outcome
from agent.backups.restic import copying, forget, upkeep, verify
from agent.backups.restic.command import Restic
from agent.backups.restic.upkeep import PLAN, RESULT, Errand, Task, UpkeepResult
from agent.model.upkeep import Finding, Strange
from agent.runtime import upkeep_job
from tests.lab.wait import until
from tests.quick_key import cheapen
from tests.restics import version_of
from tests.shelf import DAY, KEY, LAST_TWO, Shelf, both, flip, now, prune, second, stocked

PARTS = 5


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, restic: str) -> Shelf:
    """Not to be changed."""
    return stocked(tmp_path_factory.mktemp("shelf"), restic)


@pytest.fixture
def shelf(kept: Shelf, tmp_path: Path) -> Shelf:
    """A copy of it."""
    return kept.copy(tmp_path / "vault")


def test_a_flipped_bit_is_found_within_as_many_checks_as_there_are_parts(shelf: Shelf) -> None:
    """Backups, lists and the structure say nothing of it; exactly one of the parts does, and says where."""
    flip(shelf.packs()[0])
    restic = Restic(shelf.job(), shelf.setting())
    assert verify.check(restic, (), 1).outcome is Outcome.OK
    found = {share: verify.check(restic, (share,), PARTS) for share in range(1, PARTS + 1)}
    bad = [share for share, one in found.items() if one.outcome is Outcome.DAMAGED]
    assert len(bad) == 1
    assert all(one.outcome is Outcome.OK and one.read == (share,) for share, one in found.items() if share not in bad)
    wrong = found[bad[0]]
    assert wrong.read == ()
    assert any(shelf.packs()[0].name[:8] in line for line in wrong.lines)
    assert "second copy" in wrong.hint


def truncate(shelf: Shelf) -> None:
    path = shelf.packs()[0]
    path.chmod(0o600)
    os.truncate(path, 1000)


def lose(shelf: Shelf) -> None:
    shelf.packs()[0].unlink()


def lose_trees(shelf: Shelf) -> None:
    shelf.packs()[-1].unlink()


def flip_index(shelf: Shelf) -> None:
    flip(next(iter((shelf.vault.repository / "index").iterdir())))


def lose_index(shelf: Shelf) -> None:
    next(iter((shelf.vault.repository / "index").iterdir())).unlink()


def flip_snapshot(shelf: Shelf) -> None:
    flip(shelf.vault.repository / "snapshots" / shelf.ids[0])


@pytest.mark.parametrize(
    "harm", [truncate, lose, lose_trees, flip_index, lose_index, flip_snapshot], ids=lambda one: one.__name__
)
def test_damage_to_the_structure_is_found_by_the_next_check(shelf: Shelf, harm: Any) -> None:
    """On other days the wrong part of the data is read, and it is found all the same; the cache does not hide it."""
    harm(shelf)
    shutil.rmtree(shelf.vault.state / "restic-cache", ignore_errors=True)
    result = shelf.do(Errand(task=Task.CHECK, job=shelf.job(), name="main", shares=(1,), of=PARTS))
    assert result.outcome is Outcome.DAMAGED, result
    assert result.damage
    assert result.damage_count >= 1
    assert "damaged repository" in result.hint


def test_a_sound_repository_is_called_sound_and_a_new_key_is_not(shelf: Shelf) -> None:
    errand = Errand(
        task=Task.CHECK, job=shelf.job("01A"), name="main", shares=(1, 4), of=PARTS, holdings=(shelf.holding(),)
    )
    result = shelf.do(errand)
    assert (result.outcome, result.read, result.of, result.findings, result.snapshots) == (
        Outcome.OK,
        (1, 4),
        PARTS,
        (),
        5,
    )
    assert result.summary == "the structure and share 1, 4 of 5 sound, 5 snapshots"
    assert len(result.keys) == 1
    (key,) = (shelf.vault.repository / "keys").iterdir()
    text = f"{key.read_text()} "  # another key, as quick to open
    (key.parent / hashlib.sha256(text.encode()).hexdigest()).write_text(text)
    again = shelf.do(dataclasses.replace(errand, job=shelf.job("01B"), keys=result.keys))
    assert again.outcome is Outcome.OK
    assert [(one.what, one.words.partition(" ")[2].partition(" ")[2]) for one in again.findings] == [
        (Strange.KEY, "was added by nobody of ours")
    ]


def test_a_repository_that_does_not_open_is_not_damaged(shelf: Shelf) -> None:
    """Newer restic counts an error in the summary of a check when the repository was merely locked."""
    stranger = dataclasses.replace(shelf, vault=dataclasses.replace(shelf.vault, secret="another"))
    found = verify.check(Restic(stranger.job(), stranger.setting()), (1,), PARTS)
    assert (found.outcome, found.lines) == (Outcome.WRONG_PASSWORD, ())
    assert shelf.vault.password_file.exists()
    with held(shelf, shelf.vault.repository):
        found = verify.check(Restic(shelf.job(), shelf.setting()), (1,), PARTS)
    assert (found.outcome, found.lines) == (Outcome.LOCKED, ())


@contextlib.contextmanager
def held(shelf: Shelf, repository: Path) -> Iterator[None]:
    """Somebody else's restic holds it, for itself alone and for long."""
    environment = {**os.environ, "RESTIC_PASSWORD_FILE": str(shelf.vault.password_file)}
    slow = ("check", "--read-data", "--limit-download", "1", "--no-cache")
    with subprocess.Popen(
        [shelf.vault.program, "-r", str(repository), *slow],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            until(lambda: any((repository / "locks").iterdir()), 30, "it is locked")
            yield
        finally:
            process.kill()
    for lock in (repository / "locks").iterdir():
        lock.unlink()


def test_exactly_what_is_not_kept_is_removed_and_its_room_freed(shelf: Shelf) -> None:
    """A foreign snapshot, the last proven one, and what is kept by count stay, readable."""
    shelf.restic("backup", "--host", "elsewhere", str(shelf.vault.source / "E0"))
    (foreign,) = shelf.listed() - set(shelf.ids)
    before = sum(one.stat().st_size for one in shelf.packs())
    result = shelf.do(prune(shelf, "01A", shelf.holding(LAST_TWO, protected=(shelf.ids[1],))))
    assert (result.outcome, result.summary) == (Outcome.OK, "2 snapshots removed, 4 kept")
    assert set(result.removed) == {shelf.ids[0], shelf.ids[2]}
    assert result.kept == {"the newest": 1, "last": 1, "last good or last proven": 1}
    assert shelf.listed() == {shelf.ids[1], shelf.ids[3], shelf.ids[4], foreign}
    assert sum(one.stat().st_size for one in shelf.packs()) <= before
    assert shelf.restic("check", "--read-data")
    again = shelf.do(prune(shelf, "01B", shelf.holding(LAST_TWO, protected=(shelf.ids[1],))))
    assert (again.outcome, again.removed) == (Outcome.OK, ())


def test_a_hostile_client_cannot_make_us_remove_a_real_snapshot(shelf: Shelf) -> None:
    """One from the future, one of yesterday, both with our tags; then one of ours deleted: each stops all removal."""
    honest = shelf.holding(LAST_TWO)
    forged = shelf.save("forged", now() + 1500 * DAY, exec_id="E4")
    late = shelf.save("late", now() - 29.5 * DAY, exec_id="E0")
    result = shelf.do(prune(shelf, "01A", honest))
    assert {(one.what, one.id) for one in result.findings} == {(Strange.SNAPSHOT, forged), (Strange.SNAPSHOT, late)}
    assert "nothing is removed" in result.summary
    assert "is from the future" in result.summary
    assert not (shelf.run_dir(prune(shelf, "01A", honest)) / PLAN).exists()
    assert shelf.listed() == {*shelf.ids, forged, late}

    (shelf.vault.repository / "snapshots" / shelf.ids[4]).unlink()
    result = shelf.do(prune(shelf, "01B", honest, accepted=(forged, late)))
    assert [(one.what, one.id, one.key) for one in result.findings] == [(Strange.MISSING, shelf.ids[4], KEY)]
    assert shelf.listed() == {*shelf.ids[:4], forged, late}

    known = dataclasses.replace(honest, recorded=honest.recorded[:4])  # a person has looked at all of it
    result = shelf.do(prune(shelf, "01C", known, accepted=(forged, late)))
    assert (result.outcome, set(result.removed)) == (Outcome.OK, set(shelf.ids[:2]))
    assert shelf.listed() == {*shelf.ids[2:4], forged, late}


def test_a_removal_that_is_killed_is_done_by_the_next_one(shelf: Shelf) -> None:
    """Killed with everything it started, while it holds the repository: no hand is needed."""
    holding = shelf.holding(LAST_TWO)
    slow = prune(shelf, "01A", holding, limit_kib=1)
    with shelf.start(slow) as process:
        plan = shelf.run_dir(slow) / PLAN
        try:
            until(lambda: plan.exists() and any((shelf.vault.repository / "locks").iterdir()), 60, "it is at it")
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    assert set(upkeep.load_plan(plan.read_text()).removed) == set(shelf.ids[:3])
    assert not (shelf.run_dir(slow) / RESULT).exists()
    left = dataclasses.replace(
        holding,
        recorded=tuple(dataclasses.replace(one, may_be_gone=one.snapshot in shelf.ids[:3]) for one in holding.recorded),
    )
    result = shelf.do(prune(shelf, "01B", left))
    assert (result.outcome, result.findings) == (Outcome.OK, ())
    assert shelf.listed() == set(shelf.ids[3:])
    assert not list((shelf.vault.repository / "locks").iterdir())
    assert shelf.restic("check", "--read-data")


@contextlib.contextmanager
def small(folder: Path, size: str) -> Iterator[None]:
    """The folder's content on a file system of its own, with no more room than that."""
    shutil.move(folder, folder.with_name("aside"))
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], check=True)
    try:
        shutil.copytree(folder.with_name("aside"), folder, dirs_exist_ok=True)
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to mount a small file system")
def test_on_a_full_disk_no_snapshot_is_lost_and_with_room_the_next_removal_does_it(shelf: Shelf) -> None:
    holding = shelf.holding(LAST_TWO)
    with small(shelf.vault.repository, "4m"):
        filler = shelf.vault.repository / "filler"
        with contextlib.suppress(OSError), filler.open("wb") as stream:
            while True:
                stream.write(bytes(4096))
        result = shelf.do(prune(shelf, "01A", holding))
        assert result.outcome is Outcome.NO_SPACE, result
        assert result.hint == "make room on that file system"
        assert set(shelf.ids[3:]) <= shelf.listed()
        filler.unlink()
        gone = dataclasses.replace(
            holding, recorded=tuple(dataclasses.replace(one, may_be_gone=True) for one in holding.recorded)
        )
        result = shelf.do(prune(shelf, "01B", gone))
        assert result.outcome is Outcome.OK, result
        assert shelf.listed() == set(shelf.ids[3:])


def test_copies_are_founded_for_it_and_are_what_the_first_repository_has(shelf: Shelf) -> None:
    first = copying.copy(second(shelf), shelf.job(), both(shelf), shelf.ids[:3])
    assert (first.outcome, first.there, first.fresh) == (Outcome.OK, shelf.ids[:3], 3)
    cheapen(shelf.vault.folder / "second", shelf.vault.secret)
    again = copying.copy(second(shelf), shelf.job(), both(shelf), (*shelf.ids, "0" * 64))
    assert (again.outcome, again.there, again.fresh, again.absent) == (Outcome.OK, shelf.ids, 2, ("0" * 64,))
    there = forget.everything(Restic(second(shelf), shelf.setting()))[1]
    assert {one.original for one in there} == set(shelf.ids)
    assert not {one.id for one in there} & set(shelf.ids)
    holding = dataclasses.replace(shelf.holding(LAST_TWO))
    errand = Errand(task=Task.PRUNE, job=second(shelf, "01P"), name="offsite", holdings=(holding,))
    pruned = shelf.do(errand)
    assert (pruned.outcome, len(pruned.removed), pruned.findings) == (Outcome.OK, 3, ())
    left = forget.everything(Restic(second(shelf), shelf.setting()))[1]
    assert {one.original for one in left} == set(shelf.ids[3:])
    assert shelf.listed() == set(shelf.ids)


def test_a_second_repository_that_is_gone_held_or_of_another_password_gets_no_false_success(shelf: Shelf) -> None:
    there = shelf.vault.folder / "second"
    shutil.copytree(shelf.vault.folder / "empty", there)
    done = copying.copy(second(shelf), shelf.job(), both(shelf), shelf.ids[:1])
    assert done.outcome is Outcome.OK
    (there / "config").rename(shelf.vault.folder / "config")
    gone = copying.copy(second(shelf), shelf.job(), both(shelf), shelf.ids)
    assert gone.outcome is Outcome.MISSING_REPOSITORY
    assert "was there before and is gone" in gone.why
    (shelf.vault.folder / "config").rename(there / "config")

    with held(shelf, there):
        locked = copying.copy(second(shelf), shelf.job(), both(shelf), shelf.ids)
    assert locked.outcome is Outcome.LOCKED
    assert locked.there == ()
    after = copying.copy(second(shelf), shelf.job(), both(shelf), shelf.ids)
    assert (after.outcome, after.fresh) == (Outcome.OK, 4)


def test_a_snapshot_that_cannot_be_read_is_not_called_copied(shelf: Shelf) -> None:
    """Data of the first repository is lost: the copy says so, and what can be read is copied another time."""
    shutil.copytree(shelf.vault.folder / "empty", shelf.vault.folder / "second")
    for pack in shelf.packs():
        flip(pack)
    shutil.rmtree(shelf.vault.state / "restic-cache", ignore_errors=True)
    copied = copying.copy(second(shelf), shelf.job(), both(shelf), shelf.ids)
    assert copied.outcome is not Outcome.OK
    assert copied.there == ()
    assert copied.why.startswith("the first repository: ")
    assert copied.of_first


def test_findings_survive_being_written_down() -> None:
    finding = Finding(what=Strange.KEY, id="ab", words="key ab was added by nobody of ours")
    result = UpkeepResult(task=Task.CHECK, outcome=Outcome.OK, summary="x", findings=(finding,))
    assert upkeep.load_result(upkeep.dump(result)) == result
    assert upkeep_job.main([]) == 2


def test_every_version_at_hand_is_one_that_is_known(restic: str) -> None:
    assert version_of(restic) >= (0, 14, 0)
