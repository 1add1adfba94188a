"""A host at which nothing has changed is known at one look at its answer; whatever did change is seen all the same."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.backups import BackupResult, Outcome
from agent.backups.mirror import place
from agent.clock import MICROSECONDS, SystemClock
from agent.errors import TransportError
from agent.transports.openssh import Login, Route
from tests.lab.network import command
from tests.lab.sshd import Sshd, running_sshd
from tests.vault import Vault

KEY = "shop/backups/files@web1"
PROGRAMS = ("sh", "find", "tar", "readlink", "dirname", "basename", "cat")


class There:
    """A host whose clock is ours to set, with a source, and our mirror of it."""

    def __init__(self, folder: Path, host: Sshd, vault: Vault) -> None:
        pins = folder / "known_hosts"
        pins.write_text(f"[{host.address}]:{host.port} {host.public_key}\n")
        login = Login(name="web1", address=host.address, port=host.port, user=host.user, key_file=str(host.key_file))
        self._route = Route(host=login, known_hosts=str(pins))
        self._clock, self.programs = folder / "clock", folder / "bin"
        self.vault, self.source = vault, vault.source
        self.mirror = place.folder_of(vault.state, KEY)
        self.settled = self.mirror / "settled"
        self._count = 0

    def set_clock(self, ahead_seconds: float) -> None:
        """Its clock differs so much from ours."""
        self._clock.write_text(f"{SystemClock().now() / MICROSECONDS + ahead_seconds:.0f}\n")

    def backup(self, **options: Any) -> BackupResult:
        self._count += 1
        return self.vault.backup(f"01{self._count}", route=self._route, options=options)

    def copied(self) -> dict[str, tuple[int, bytes | str]]:
        return told(Path(f"{self.mirror}/tree{self.source}"))

    def landed(self) -> set[int]:
        """When what is in the mirror was put there, in ns."""
        return {path.lstat().st_ctime_ns for path in (self.mirror / "tree").rglob("*")}


def told(top: Path) -> dict[str, tuple[int, bytes | str]]:
    """Modes and contents by name."""
    return {
        str(path.relative_to(top)): (
            path.lstat().st_mode,
            os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else b"",  # noqa: PTH115
        )
        for path in [top, *top.rglob("*")]
    }


@pytest.fixture
def there(tmp_path: Path) -> Iterator[There]:
    programs, source = tmp_path / "bin", tmp_path / "above" / "source"
    programs.mkdir()
    for name in PROGRAMS:
        (programs / name).symlink_to(shutil.which(name) or "")
    (programs / "date").write_text(f"#!/bin/sh\ncat {tmp_path}/clock\n")
    (programs / "date").chmod(0o755)
    (source / "deep").mkdir(parents=True)
    (source / "a").write_text("a\n")
    (source / "deep/b").write_text("b\n")
    (source / "to").symlink_to("a")
    vault = Vault(folder=tmp_path / "vault", source=source).found()
    with running_sshd(tmp_path, f"SetEnv PATH={programs}") as running:
        there = There(tmp_path, running, vault)
        there.set_clock(ahead_seconds=3600)  # all that is there is old enough to be believed
        yield there


def test_an_unchanged_host_is_known_without_the_list_of_what_the_mirror_holds(there: There) -> None:
    first = there.backup()
    assert (first.outcome, first.files, there.copied()) == (Outcome.OK, 2, told(there.source))
    assert there.settled.exists()
    (there.mirror / "listing").unlink()
    (there.source.parent / "beside").touch()  # changes the times of the folder above
    before = there.landed()
    second = there.backup()
    assert (second.outcome, second.files, second.hashed) == (Outcome.OK, 2, 0)
    assert there.landed() == before
    drilled = there.vault.drill("01D", snapshot=second.snapshot, manifest=second.manifest)
    assert (drilled.outcome, drilled.faults) == (Outcome.OK, ())


def hidden(source: Path) -> None:
    seen = (source / "a").stat()
    (source / "a").write_text("A\n")
    os.utime(source / "a", ns=(seen.st_atime_ns, seen.st_mtime_ns))


def turned(source: Path) -> None:
    (source / "to").unlink()
    (source / "to").symlink_to("deep")


CHANGES: dict[str, Callable[[Path], object]] = {
    "content behind its old time": hidden,
    "a mode": lambda source: (source / "deep/b").chmod(0o600),
    "a file more": lambda source: (source / "deep/c").touch(),
    "a file less": lambda source: (source / "deep/b").unlink(),
    "another target": turned,
    "the source's mode": lambda source: source.chmod(0o700),
    "the mode of the folder above": lambda source: source.parent.chmod(0o711),
}


@pytest.mark.parametrize("change", list(CHANGES))
def test_every_change_is_seen_and_then_all_is_settled_again(there: There, change: str) -> None:
    there.backup()
    CHANGES[change](there.source)
    assert there.backup().outcome is Outcome.OK
    assert there.copied() == told(there.source)
    copied = Path(f"{there.mirror}/tree{there.source.parent}")
    assert copied.stat().st_mode == there.source.parent.stat().st_mode
    assert there.settled.exists()
    before = there.landed()
    assert there.backup().outcome is Outcome.OK
    assert there.landed() == before


def test_another_question_is_another_answer(there: There) -> None:
    there.backup()
    assert there.backup(exclude=["deep"]).files == 1
    again = there.backup()
    assert (again.files, there.copied()) == (2, told(there.source))


def test_what_was_away_for_a_while_is_fetched_again_although_it_is_as_it_was(there: There) -> None:
    """A file system that was not mounted: the same inodes, the same times, and nothing of it in the mirror."""
    deep, aside = there.source / "deep", there.source.parent / "aside"
    deep.rename(aside)
    deep.mkdir()
    command("mount", "--bind", str(aside), str(deep))
    try:
        there.backup()
        assert there.copied() == told(there.source)
        command("umount", str(deep))
        assert there.backup().files == 1
        command("mount", "--bind", str(aside), str(deep))
        again = there.backup()
        assert (again.files, there.copied()) == (2, told(there.source))
    finally:
        command("umount", str(deep))


def test_what_a_pull_removed_before_it_failed_is_fetched_again(there: There) -> None:
    there.backup()
    (there.source / "a").write_text("another\n")
    tar = there.programs / "tar"
    tar.rename(tar.with_name("tar.aside"))
    tar.write_text("#!/bin/sh\nkill -9 $PPID\n")
    tar.chmod(0o755)
    with pytest.raises(TransportError):
        there.backup(exclude=["deep"])
    assert "deep" not in there.copied()
    tar.with_name("tar.aside").rename(tar)
    again = there.backup()
    assert (again.files, there.copied()) == (2, told(there.source))


def test_a_mirror_that_somebody_removed_is_made_anew(there: There) -> None:
    there.backup()
    shutil.rmtree(there.mirror / "tree")
    assert there.backup().files == 2
    assert there.copied() == told(there.source)


def test_a_mirror_that_lost_a_file_is_found_out_and_made_whole(there: There) -> None:
    there.backup()
    Path(f"{there.mirror}/tree{there.source}/deep/b").unlink()
    found = there.backup()
    assert (found.outcome, found.faults) == (Outcome.PARTIAL, ("the mirror lacks 1 of 2 files that are on web1",))
    assert "the next backup fetches everything anew" in found.hint
    again = there.backup()
    assert (again.outcome, again.files, there.copied()) == (Outcome.OK, 2, told(there.source))


def test_what_may_change_behind_its_stamps_is_never_settled(there: There) -> None:
    """By the clock there all is younger than two seconds: it may change once more within the same tick."""
    there.set_clock(ahead_seconds=-3600)
    for _ in range(2):
        assert there.backup().outcome is Outcome.OK
        assert not there.settled.exists()


def test_what_could_not_be_read_or_is_missing_is_told_every_time(there: There) -> None:
    paths = [str(there.source), str(there.source / "gone"), str(there.source / "to")]
    for _ in range(2):
        found = there.backup(paths=paths)
        assert found.outcome is Outcome.PARTIAL
        assert len(found.faults) == 2
        assert not there.settled.exists()
