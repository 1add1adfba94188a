"""Manifests: there whole or not at all, told apart from altered ones, in any alphabet."""

import gzip
import os
from pathlib import Path

import pytest

from agent.backups.restic import manifest
from agent.backups.restic.manifest import Draft, Entry, Header
from agent.errors import AgentError

HEADER = Header(snapshot="a" * 64, at_us=1, sources=("/srv",))
ENTRIES = [
    Entry(path="/srv", kind="dir", mode=0o755, mtime_ns=1, ctime_ns=2, inode=3),
    Entry(path="/srv/a\nb é", kind="file", size=5, sha256="0" * 64, uid=1, gid=2),
    Entry(path=os.fsdecode(b"/srv/bad\xff"), kind="symlink", link="../x"),
    Entry(path="/srv/torn", kind="file", torn=True),
]


def write(folder: Path, exec_id: str = "E1") -> Path:
    """A manifest with four entries."""
    with Draft(folder, exec_id) as draft:
        draft.begin(HEADER)
        for entry in ENTRIES:
            draft.add(entry)
        return draft.keep()


def test_entries_read_as_they_were_written(tmp_path: Path) -> None:
    path = write(tmp_path)
    manifest.verify(path)
    header, entries = manifest.read(path)
    assert header == HEADER
    assert list(entries) == ENTRIES
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_draft_that_was_not_kept_leaves_nothing(tmp_path: Path) -> None:
    with Draft(tmp_path, "E1") as draft:
        draft.begin(HEADER)
    assert not list(tmp_path.iterdir())


def test_the_draft_of_a_killed_backup_is_cleared_by_the_next(tmp_path: Path) -> None:
    (tmp_path / ".E0.draft").touch()
    write(tmp_path)
    assert [path.name.split(".")[0] for path in tmp_path.iterdir()] == ["E1"]


def test_the_newest_manifest_and_that_of_an_execution_are_found(tmp_path: Path) -> None:
    folder = manifest.folder_of(tmp_path, "key@host")
    assert manifest.newest(tmp_path, "key@host") is None
    first, second = write(folder, "01A"), write(folder, "01B")
    assert manifest.newest(tmp_path, "key@host") == second
    assert manifest.find(tmp_path, "key@host", "01A") == first
    assert manifest.find(tmp_path, "key@host", "01") is None
    assert manifest.find(tmp_path, "other@host", "01A") is None


@pytest.mark.parametrize("harm", [lambda data: data[:-20], lambda data: data[:40] + b"x" + data[41:], lambda data: b""])
def test_an_altered_manifest_is_told_by_its_name(tmp_path: Path, harm: object) -> None:
    assert callable(harm)
    path = write(tmp_path)
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(AgentError, match="was altered"):
        manifest.verify(path)


def test_a_missing_manifest_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="cannot be read") as caught:
        manifest.verify(tmp_path / f"E1.{'0' * 64}.gz")
    assert "run the backup again" in caught.value.hint


@pytest.mark.parametrize("data", [b"", b"no gzip", gzip.compress(b'{"format": 99}\n', mtime=0)])
def test_what_is_no_manifest_of_ours_is_not_read(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.gz").write_bytes(data)
    with pytest.raises(AgentError):
        manifest.read(tmp_path / "x.gz")


def test_entries_sort_as_restic_lists_them() -> None:
    paths = ["/a", "/a/b", "/a/b/c", "/a b", "/a-b", "/b"]
    entries = [Entry(path=path, kind="file") for path in paths]
    assert [entry.path for entry in sorted(entries, key=lambda entry: entry.order)] == paths
