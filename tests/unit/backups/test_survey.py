"""The manifest of a fresh snapshot: what did not change is hashed once, what did is torn, every name is found."""

import datetime as dt
import json
import os
from pathlib import Path
from typing import Any

import pytest

from agent.backups.restic import manifest
from agent.backups.restic.manifest import Draft, Entry
from agent.backups.restic.survey import Survey, nanoseconds
from agent.clock import Deadline, SystemClock
from agent.errors import AgentError

LATER = "2200-01-01T00:00:00Z"


def stamp(at_ns: int) -> str:
    """Nanoseconds as restic writes them."""
    whole = dt.datetime.fromtimestamp(at_ns // 10**9, dt.UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{at_ns % 10**9:09d}Z"


def node(path: Path, kind: str, /, **other: Any) -> str:
    """One line of `restic ls --json` for an entry as it stands."""
    seen = path.lstat()
    name = os.fsencode(path).decode(errors="replace")
    known = {"path": name, "type": kind, "mtime": stamp(seen.st_mtime_ns), "ctime": stamp(seen.st_ctime_ns)}
    size = {"size": seen.st_size} if kind == "file" else {}
    return json.dumps({"struct_type": "node", **known, **size, **other})


def survey(
    state: Path, source: Path, lines: list[str], *, begun: str = LATER, previous: Path | None = None
) -> tuple[Survey, Path, list[Entry]]:
    """A finished survey, its file, and the entries in it."""
    with Draft(state, "E2" if previous else "E1") as draft:
        made = Survey(draft, [str(source)], previous, Deadline.after(SystemClock(), 60))
        made.hear(json.dumps({"struct_type": "snapshot", "id": "a" * 64, "time": begun}))
        for line in lines:
            made.hear(line)
        kept = draft.keep()
    return made, kept, list(manifest.read(kept)[1])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with two files."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "a").write_text("hello\n")
    (folder / "b").write_text("world\n")
    return folder


def test_only_what_lies_at_or_below_a_source_is_described(tmp_path: Path, source: Path) -> None:
    lines = [
        node(tmp_path, "dir"),
        node(source, "dir"),
        node(source / "a", "file"),
        "no json",
        '{"message_type":"other"}',
    ]
    made, _, entries = survey(tmp_path / "state", source, lines)
    assert [(entry.path, entry.kind, entry.torn) for entry in entries] == [
        (str(source), "dir", False),
        (f"{source}/a", "file", False),
    ]
    assert (made.files, made.size_bytes, made.hashed, made.torn, made.unlisted) == (1, 6, 1, 0, ())
    assert entries[1].sha256 == "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"


def test_a_source_of_which_nothing_was_saved_is_told(tmp_path: Path, source: Path) -> None:
    assert survey(tmp_path / "state", source, [])[0].unlisted == (str(source),)


@pytest.mark.parametrize(
    ("change", "is_reused"),
    [
        (lambda path: None, True),
        (lambda path: path.read_text(), True),
        (lambda path: os.utime(path, ns=(1, 1)), False),
        (lambda path: path.chmod(0o600), False),
        (lambda path: path.write_text("WORLD\n"), False),
        (lambda path: (path.unlink(), path.write_text("world\n")), False),
    ],
    ids=["untouched", "read", "mtime", "ctime", "content", "inode"],
)
def test_a_file_is_hashed_again_only_when_it_changed(
    tmp_path: Path, source: Path, change: Any, *, is_reused: bool
) -> None:
    def lines() -> list[str]:
        return [node(source, "dir"), node(source / "a", "file"), node(source / "b", "file")]

    _, first, _ = survey(tmp_path / "state", source, lines())
    change(source / "b")
    made, _, entries = survey(tmp_path / "state", source, lines(), previous=first)
    assert made.hashed == (0 if is_reused else 1)
    assert all(entry.sha256 for entry in entries if entry.kind == "file")


def test_files_come_and_go_between_manifests(tmp_path: Path, source: Path) -> None:
    _, first, _ = survey(tmp_path / "state", source, [node(source / "a", "file"), node(source / "b", "file")])
    (source / "0").write_text("new")
    lines = [node(source / "0", "file"), node(source / "b", "file")]
    assert survey(tmp_path / "state", source, lines, previous=first)[0].hashed == 1


def test_an_altered_manifest_is_not_trusted_for_hashes(tmp_path: Path, source: Path) -> None:
    lines = [node(source / "a", "file")]
    _, first, _ = survey(tmp_path / "state", source, lines)
    first.write_bytes(first.read_bytes()[:-4])
    assert survey(tmp_path / "state", source, lines, previous=first)[0].hashed == 1


@pytest.mark.parametrize(
    "line",
    [
        lambda path: node(path, "file", size=5),
        lambda path: node(path, "file", mtime=stamp(1)),
        lambda path: node(path, "file", ctime=stamp(1)),
        lambda path: node(path, "dir"),
        lambda path: node(path, "irregular"),
        lambda path: node(path, "file", path=f"{path}-gone"),
    ],
    ids=["size", "mtime", "ctime", "type", "unknown type", "gone"],
)
def test_what_changed_since_it_was_saved_is_torn(tmp_path: Path, source: Path, line: Any) -> None:
    made, _, entries = survey(tmp_path / "state", source, [line(source / "a")])
    assert (made.torn, made.hashed, entries[0].torn) == (1, 0, True)


def test_what_changed_while_the_backup_ran_is_torn_even_with_equal_stamps(tmp_path: Path, source: Path) -> None:
    begun = stamp((source / "a").stat().st_ctime_ns)
    assert survey(tmp_path / "state", source, [node(source / "a", "file")], begun=begun)[0].torn == 1


def test_names_that_are_no_utf8_are_found_on_disk(tmp_path: Path, source: Path) -> None:
    folder = source / os.fsdecode(b"f\xe9")
    folder.mkdir()
    (folder / os.fsdecode(b"\xffx")).write_text("1")
    lines = [node(folder, "dir"), node(folder / os.fsdecode(b"\xffx"), "file")]
    made, _, entries = survey(tmp_path / "state", source, lines)
    assert (made.torn, [os.fsencode(entry.path).rpartition(b"source")[2] for entry in entries]) == (
        0,
        [b"/f\xe9", b"/f\xe9/\xffx"],
    )


def test_names_that_look_alike_are_torn(tmp_path: Path, source: Path) -> None:
    for name in (b"x\xfe", b"x\xff"):
        (source / os.fsdecode(name)).touch()
    lines = [node(source / os.fsdecode(name), "file") for name in (b"x\xfe", b"x\xff")]
    assert survey(tmp_path / "state", source, lines)[0].torn == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", 10**9),
        ("1970-01-01T01:00:00.5+01:00", 5 * 10**8),
        ("2026-11-23T02:30:02.110195438Z", 1795401002110195438),
        ("1969-12-31T23:59:59.999999999Z", -1),
    ],
)
def test_times_keep_their_nanoseconds(text: str, expected: int) -> None:
    assert nanoseconds(text) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-23 02:30:02Z", "2026-11-23T02:30:02"])
def test_what_is_no_time_is_an_error(text: str) -> None:
    with pytest.raises(AgentError):
        nanoseconds(text)
