"""Reading ahead of the comparison: what was right while restic still worked is not read again, all else is."""

import hashlib
import os
import time
from pathlib import Path

import pytest

from agent.backups.restic.ahead import Ahead
from agent.backups.restic.early import WORTH_BYTES, Early
from agent.backups.restic.manifest import Entry
from agent.clock import Deadline, SystemClock

CONTENT = os.urandom(WORTH_BYTES)
LONG_AGO = (1_700_000_000, 1_700_000_000)


def entry(name: str, content: bytes = CONTENT) -> Entry:
    return Entry(path=f"/{name}", kind="file", size=len(content), sha256=hashlib.sha256(content).hexdigest())


@pytest.fixture
def deadline() -> Deadline:
    return Deadline.after(SystemClock(), 30.0)


def put(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    os.utime(path, LONG_AGO)


def test_what_was_right_early_is_not_read_again_and_what_was_not_is(tmp_path: Path, deadline: Deadline) -> None:
    names = ["right", "half", "replaced", "late"]
    put(tmp_path / "right", CONTENT)
    put(tmp_path / "half", CONTENT[:-1] + b"?")
    put(tmp_path / "replaced", CONTENT)
    early = Early(tmp_path, [entry(name) for name in names], deadline)
    with early:
        while early.digest(str(tmp_path / "replaced"), os.lstat(tmp_path / "replaced")) is None:
            time.sleep(0.01)
    put(tmp_path / "half", CONTENT)
    put(tmp_path / "late", CONTENT)
    (tmp_path / "replaced").rename(tmp_path / "was")
    put(tmp_path / "replaced", CONTENT[::-1])
    seen = {name: os.lstat(tmp_path / name) for name in names}
    found = {name: early.digest(str(tmp_path / name), seen[name]) for name in names}
    assert {name: one is not None for name, one in found.items()} == {
        "right": True, "half": False, "replaced": False, "late": False,
    }  # fmt: skip
    with Ahead(tmp_path, deadline, early) as ahead:
        assert [one.path for one in ahead.entries([entry(name) for name in names])] == [f"/{name}" for name in names]
        digests = {name: ahead.digest(str(tmp_path / name), seen[name], deadline) for name in names}
    right = hashlib.sha256(CONTENT).hexdigest()
    assert digests == {
        "right": right, "half": right, "late": right, "replaced": hashlib.sha256(CONTENT[::-1]).hexdigest(),
    }  # fmt: skip


def test_a_file_that_changes_after_it_was_read_ahead_is_read_anew(tmp_path: Path, deadline: Deadline) -> None:
    put(tmp_path / "file", CONTENT)
    with Early(tmp_path, [], deadline) as early, Ahead(tmp_path, deadline, early) as ahead:
        assert len(list(ahead.entries([entry("file")]))) == 1
        ahead.digest(str(tmp_path / "gone"), os.lstat(tmp_path / "file"), deadline)
        put(tmp_path / "file", CONTENT[::-1])
        seen = os.lstat(tmp_path / "file")
        assert ahead.digest(str(tmp_path / "file"), seen, deadline) == hashlib.sha256(CONTENT[::-1]).hexdigest()


def test_a_file_that_is_gone_or_another_size_has_no_hash(tmp_path: Path, deadline: Deadline) -> None:
    put(tmp_path / "short", CONTENT[1:])
    with Early(tmp_path, [], deadline) as early, Ahead(tmp_path, deadline, early) as ahead:
        assert len(list(ahead.entries([entry("gone"), entry("short")]))) == 2
        seen = os.lstat(tmp_path / "short")
        assert ahead.digest(str(tmp_path / "gone"), seen, deadline) is None
        assert ahead.digest(str(tmp_path / "short"), seen, deadline) is None
