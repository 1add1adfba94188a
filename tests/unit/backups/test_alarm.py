"""A drill that could not fail would prove nothing: a changed byte is found, by the comparison that has to find it."""

import dataclasses
import hashlib
from pathlib import Path

import pytest

from agent.backups.restic import alarm
from agent.backups.restic.describe import entry_of
from agent.backups.restic.manifest import Entry
from agent.clock import Deadline, SystemClock


@pytest.fixture
def deadline() -> Deadline:
    return Deadline.after(SystemClock(), 30.0)


def entries(box: Path, deadline: Deadline, *names: str) -> list[Entry]:
    """What a manifest would say of files in the box."""
    return [_at(entry_of(f"{box}/{name}", "file", deadline), f"/{name}") for name in names]


def _at(entry: Entry, path: str) -> Entry:
    return dataclasses.replace(entry, path=path)


def test_the_smallest_file_is_changed_and_the_change_is_found(tmp_path: Path, deadline: Deadline) -> None:
    (tmp_path / "large").write_bytes(b"x" * 1000)
    (tmp_path / "small").write_bytes(b"abc")
    (tmp_path / "small").chmod(0o400)
    (tmp_path / "empty").touch()
    known = entries(tmp_path, deadline, "large", "small", "empty")
    assert alarm.rings(known, tmp_path, deadline) is True
    assert (tmp_path / "small").read_bytes() == b"ab\x9c"
    assert (tmp_path / "small").stat().st_mode & 0o777 == 0o400
    assert (tmp_path / "large").read_bytes() == b"x" * 1000


def test_a_comparison_that_takes_the_changed_file_for_the_right_one_is_blind(
    tmp_path: Path, deadline: Deadline
) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    (entry,) = entries(tmp_path, deadline, "file")
    blind = dataclasses.replace(entry, sha256=hashlib.sha256(b"ab\x9c").hexdigest())
    assert alarm.rings([blind], tmp_path, deadline) is False


def test_without_a_file_there_is_nothing_to_change(tmp_path: Path, deadline: Deadline) -> None:
    (tmp_path / "empty").touch()
    assert alarm.rings(entries(tmp_path, deadline, "empty"), tmp_path, deadline) is None
    assert alarm.rings([Entry(path="/gone", kind="file", size=3, sha256="0")], tmp_path, deadline) is None
