"""Faults of upkeep: a removal killed while it frees room, and a second repository that is damaged."""

import dataclasses
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from agent.backups import Outcome
from agent.backups.restic import copying, upkeep
from agent.backups.restic.copying import FROM
from agent.backups.restic.upkeep import RESULT, Errand, Task
from agent.model.upkeep import Keep
from tests.lab.wait import until
from tests.shelf import DAY, Shelf, both, flip, now, prune, second, stocked

NEWEST = Keep(last=1, within_seconds=1.0)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, restic: str) -> Shelf:
    """Without all but the newest snapshot, some packs are not needed. The older five are copied. Not to be changed."""
    shelf = stocked(tmp_path_factory.mktemp("shelf"), restic)
    shutil.copytree(shelf.vault.folder / "empty", shelf.vault.folder / "second")
    assert copying.copy(second(shelf), shelf.job(), both(shelf), shelf.ids).outcome is Outcome.OK
    gone = shelf.vault.source / "gone"
    gone.write_bytes(os.urandom(200_000))
    with_it = shelf.save("F0", now() - 2 * DAY)
    gone.unlink()
    return dataclasses.replace(shelf, ids=(*shelf.ids, with_it, shelf.save("F1", now() - DAY)))


@pytest.fixture
def shelf(kept: Shelf, tmp_path: Path) -> Shelf:
    """A copy of it."""
    return kept.copy(tmp_path / "vault")


def files(shelf: Shelf, folder: str) -> list[Path]:
    """What the repository keeps there, without what is being written."""
    return sorted((shelf.vault.repository / folder).rglob("?" * 64))


def killed_at(shelf: Shelf, path: Path) -> Shelf:
    """Its restic is killed the moment it sets out to remove that file while pruning."""
    program = shelf.vault.folder / "restic"
    trace = f"strace -D -f -qq -o /dev/null -P {path} -e trace=unlinkat -e inject=unlinkat:signal=KILL"
    real = shutil.which(shelf.vault.program)
    program.write_text(
        f'#!/bin/sh\ncase " $* " in *" prune "*) set -- {trace} {real} "$@" ;; *) set -- {real} "$@" ;; esac\nexec "$@"\n'
    )
    program.chmod(0o755)
    return dataclasses.replace(shelf, vault=dataclasses.replace(shelf.vault, program=str(program)))


@pytest.mark.parametrize("folder", ["index", "data"])
def test_a_prune_that_is_killed_while_it_frees_room_loses_nothing_and_the_next_one_ends_it(
    shelf: Shelf, folder: str
) -> None:
    """The parts still needed are written anew by then; of what they replace, some is gone and some is not."""
    path = files(shelf, folder)[1] if folder == "index" else shelf.packs()[0]
    before = files(shelf, "data")
    harmed = killed_at(shelf, path)
    result = harmed.do(prune(harmed, "01A", shelf.holding(NEWEST)))
    assert (result.outcome, result.removed) == (Outcome.INTERRUPTED, shelf.ids[:-1]), result
    assert "no room was freed" in result.summary
    assert (path.exists(), set(files(shelf, "data")) - set(before) != set()) == (True, True)
    assert shelf.listed() == {shelf.ids[-1]}
    again = shelf.do(prune(shelf, "01B", shelf.holding(NEWEST)))
    assert (again.outcome, again.findings, again.removed) == (Outcome.OK, (), ())
    assert not path.exists()
    assert list((shelf.vault.repository / "locks").iterdir()) == []
    assert shelf.restic("check", "--read-data")


def test_a_copy_that_is_killed_leaves_no_lock_that_stays_in_either_repository(shelf: Shelf) -> None:
    (shelf.vault.source / "big").write_bytes(os.urandom(2_000_000))
    shelf = dataclasses.replace(shelf, ids=(*shelf.ids, shelf.save("F2", now())))
    slow = Errand(
        task=Task.COPY, job=dataclasses.replace(second(shelf, "01A"), limit_kib=500), name="offsite",
        source=shelf.job("01A", limit_kib=500), snapshots=shelf.ids,
    )  # fmt: skip
    password = {FROM["RESTIC_PASSWORD_FILE"]: str(shelf.vault.password_file)}
    repositories = [shelf.vault.repository, shelf.vault.folder / "second"]
    with shelf.start(slow, **password) as process:
        until(lambda: all(locks(one) for one in repositories), 20, "it copies")
        (program,) = [one for one in psutil.Process(process.pid).children() if one.name() == "restic"]
        program.kill()
        process.wait(30)
    assert upkeep.load_result((shelf.run_dir(slow) / RESULT).read_text()).outcome is Outcome.INTERRUPTED
    again = shelf.do(dataclasses.replace(slow, job=second(shelf, "01B"), source=shelf.job("01B")), **password)
    assert (again.outcome, again.copied) == (Outcome.OK, len(shelf.ids) - 5)
    for job, name in ((shelf.job("01C"), "main"), (second(shelf, "01D"), "offsite")):
        assert shelf.do(Errand(task=Task.CHECK, job=job, name=name)).outcome is Outcome.OK, name
    assert [locks(one) for one in repositories] == [[], []]


def locks(repository: Path) -> list[str]:
    """Its locks, without what is being written."""
    return [path.name for path in (repository / "locks").iterdir() if len(path.name) == 64]


def lose(repository: Path) -> None:
    packs = sorted((repository / "data").rglob("?" * 64), key=lambda one: one.stat().st_size)
    packs[-1].unlink()


def flip_pack(repository: Path) -> None:
    flip(max((repository / "data").rglob("?" * 64), key=lambda one: one.stat().st_size))


def flip_index(repository: Path) -> None:
    for path in (repository / "index").iterdir():
        flip(path)


def flip_snapshot(repository: Path) -> None:
    flip(next((repository / "snapshots").iterdir()))


@pytest.mark.parametrize(
    ("harm", "copies"),
    [(lose, Outcome.OK), (flip_pack, Outcome.OK), (flip_index, Outcome.DAMAGED), (flip_snapshot, Outcome.OK)],
    ids=["a pack is lost", "a bit of a pack", "a bit of each index", "a bit of a snapshot"],
)
def test_a_damaged_second_repository_is_told_by_the_copy_or_by_its_check_and_harms_the_first_in_nothing(
    shelf: Shelf, harm: Callable[[Path], None], copies: Outcome
) -> None:
    before = sound(shelf.vault.repository)
    harm(shelf.vault.folder / "second")
    shutil.rmtree(shelf.vault.state / "restic-cache", ignore_errors=True)
    copied = copying.copy(second(shelf), shelf.job(), both(shelf), shelf.ids)
    assert copied.outcome is copies, copied
    assert (copied.there == (), copied.of_first) == (copies is not Outcome.OK, False)
    check = Errand(task=Task.CHECK, job=second(shelf, "01B"), name="offsite", shares=(1,), of=1)
    told = shelf.do(check)
    assert (told.outcome, told.damage_count > 0) == (Outcome.DAMAGED, True)
    assert sound(shelf.vault.repository) == before
    assert shelf.listed() == set(shelf.ids)


def sound(repository: Path) -> set[str]:
    """The files of a repository whose name is, as it should be, the hash of their content."""
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in repository.rglob("?" * 64)}
    return {name for name, digest in found.items() if name == digest}
