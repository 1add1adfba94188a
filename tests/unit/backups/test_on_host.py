"""What is believed of a restic elsewhere, what its host tells of its files, and what shows in the repository: pure."""

import dataclasses
import hashlib
import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from agent.backups import Job, Kind
from agent.backups.mirror import listing
from agent.backups.mirror.listing import Item
from agent.backups.onhost import heads, words
from agent.backups.onhost.description import Told, unknown
from agent.backups.onhost.heads import Head
from agent.backups.onhost.host import Content, Seen
from agent.backups.onhost.script import script
from agent.backups.onhost.witness import Witness
from agent.backups.onhost.words import Lines
from agent.backups.restic import sound
from agent.backups.streaming.script import Frame
from agent.errors import ToolError

NONCE = "0123456789abcdef"
SECOND = 10**9


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({"message_type": "status", "files_done": 3, "percent_done": 0.5}, {"message_type": "status", "files_done": 3}),
        ({"message_type": "summary", "snapshot_id": "0a" * 32, "data_added": 7},
         {"message_type": "summary", "data_added": 7, "snapshot_id": "0a" * 32}),
        ({"message_type": "summary", "snapshot_id": "../x", "data_added": -1}, {"message_type": "summary"}),
        ({"message_type": "summary", "data_added": "7", "files_new": 2**63, "dirs_new": True}, {"message_type": "summary"}),
        ({"message_type": "verbose_status", "item": "/etc"}, None),
        (["summary"], None),
    ],
)  # fmt: skip
def test_of_its_messages_only_what_can_be_is_kept(said: object, kept: Mapping[str, object] | None) -> None:
    assert json.loads(words.progress(json.dumps(said)) or "null") == kept


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("Fatal: \x1b[31mred", "Fatal: \\x1b[31mred"),
        (json.dumps({"message_type": "error", "item": "/a\nb", "error": {"message": "no\x07"}}),
         {"message_type": "error", "item": "/a\\nb", "error": {"message": "no\\x07"}}),
        (json.dumps({"message_type": "error", "item": "/a", "error": {"Op": "open", "Err": 13}}),
         {"message_type": "error", "item": "/a", "error": {"Err": 13}}),
        (json.dumps({"message_type": "error", "error": {"Err": 10**30}}), {"message_type": "error", "item": "", "error": {}}),
        (json.dumps({"message_type": "exit_error", "code": 12, "message": "wrong password"}),
         {"message_type": "exit_error", "message": "wrong password"}),
        (json.dumps({"message_type": "unheard of"}), ""),
    ],
    ids=["text", "error", "error of an old one", "number", "end", "unknown"],
)  # fmt: skip
def test_of_its_complaints_the_text_is_kept_without_tricks(line: str, kept: object) -> None:
    found = words.complaint(line)
    assert (json.loads(found) if found.startswith("{") else found) == kept


def test_who_talks_without_end_is_not_heard_out() -> None:
    told: list[str] = []
    lines = Lines(told.append, "web1")
    lines.take(b"a\nb")
    lines.take(b"c\n" + b"x" * 3_000_000)
    lines.end()
    assert [len(one) for one in told] == [1, 2, 1_000_000]
    short = Lines(told.append, "web1", limit_bytes=10)
    short.take(b"123456\n")
    with pytest.raises(ToolError, match="web1 talks without end"):
        short.take(b"123456\n")


SHELLS = [["dash"], ["bash"], ["bash", "--posix"], ["busybox", "sh"]]


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_any_shell_hands_over_url_and_password_by_pipes_alone(tmp_path: Path, shell: Sequence[str]) -> None:
    if shutil.which(shell[0]) is None:
        pytest.skip(f"no {shell[0]} on this machine")
    restic = tmp_path / "restic"
    restic.write_text("#!/bin/sh\ncat /dev/fd/4 /dev/fd/0; env; tr '\\0' ' ' </proc/$$/cmdline; exit 3\n")
    restic.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "XDG_CACHE_HOME": "/x y"}
    with subprocess.Popen(
        shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, env=environment
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdin.write(script("rest:url'", "pass'word $(x)", ["backup", "--", "/a b"], NONCE))
        running.stdin.flush()
        frame = Frame(NONCE)
        said = frame.push(running.stdout.read()).decode()
    mark, _, url, password, *rest = said.splitlines()
    assert mark.startswith("=restic ")
    assert (url, password, frame.exit_code) == ("rest:url'", "pass'word $(x)", 3)
    assert "--exclude=/x y/restic backup -- /a b" in rest[-1]
    assert not any("pass'word" in line or "rest:url" in line for line in rest)


def item(
    path: str, kind: str = "file", *, ctime_ns: int = 5 * SECOND, size: int = 3, inode: int = 7, record: bytes = b""
) -> Item:
    """One entry as the host lists it."""
    return Item(path, kind, 0o644, 1, 2, size, 4 * SECOND, ctime_ns, (1, inode), 1, "", record)


def node(path: str, kind: str = "file", *, second: int = 5, size: int = 3) -> dict[str, object]:
    """The same as restic saw it."""
    return {
        "path": path,
        "type": kind,
        "mtime": "1970-01-01T00:00:04Z",
        "ctime": f"1970-01-01T00:00:0{second}Z",
        "size": size,
    }


def seen(*items: Item, now_s: int = 100) -> Seen:
    """One look at the host."""
    told = listing.Listing(
        sources=("/srv",), missing=(), tools=frozenset(), now_s=now_s, is_complete=True, heads=b"", tree=b""
    )
    return Seen(told=told, items={one.path: one for one in items}, version=(0, 14, 0))


A = item("/srv/a")


@pytest.mark.parametrize(
    ("before", "after", "saved", "is_known"),
    [
        (A, A, node("/srv/a"), True),
        (A, item("/srv/a", record=b"other"), node("/srv/a"), False),  # changed between the looks
        (A, A, node("/srv/a", second=6), False),  # restic saw another one
        (A, A, node("/srv/a", size=4), False),
        (A, A, node("/srv/a", kind="fifo"), False),
        (A, None, node("/srv/a"), False),
        (None, A, node("/srv/a"), False),
    ],
    ids=["the same", "changed", "another time", "another size", "another kind", "gone", "new"],
)
def test_an_entry_is_known_when_host_and_restic_say_the_same_before_and_after(
    before: Item | None, after: Item | None, saved: dict[str, object], *, is_known: bool
) -> None:
    looks = [seen(*([one] if one else [])) for one in (before, after)]
    entry = Told(looks[0], looks[1], {"/srv/a": Content("f" * 64)}, {}).entry("/srv/a", saved)
    assert entry.torn is not is_known
    assert (entry.sha256, entry.attributes) == ("f" * 64 if is_known else "", None)


def test_a_file_without_a_hash_is_torn_and_an_unchanged_one_keeps_its_own() -> None:
    look = seen(A)
    assert Told(look, look, {}, {}).entry("/srv/a", node("/srv/a")).torn
    known = {"/srv/a": ((7, 5 * SECOND, 4 * SECOND, 3), Content("e" * 64, has_holes=True))}
    entry = Told(look, look, {}, known).entry("/srv/a", node("/srv/a"))
    assert (entry.sha256, entry.has_holes) == ("e" * 64, True)
    assert unknown(look, known) == ([], [])
    changed = seen(item("/srv/a", ctime_ns=6 * SECOND), item("/srv/null", "chardev"))
    assert unknown(changed, known) == (["/srv/a"], ["/srv/null"])


def test_what_changed_just_before_it_was_listed_is_hashed_again_next_time() -> None:
    look = seen(A, now_s=6)
    assert Told(look, look, {"/srv/a": Content("f" * 64)}, {}).entry("/srv/a", node("/srv/a")).ctime_ns == 0


def test_names_that_are_no_text_are_found_again_unless_two_look_alike() -> None:
    odd, one, two = "/srv/odd\udcff", "/srv/x\udcfe", "/srv/x\udcff"
    look = seen(item(odd), item(one), item(two))
    told = Told(look, look, {}, {})
    assert [told.path_of(name) for name in ("/srv/odd\ufffd", "/srv/x\ufffd", "/srv/é")] == [
        odd,
        "/srv/x\ufffd",
        "/srv/é",
    ]


HEAD = Head(id="a", tree="t", host="web1", paths=("/etc", "/srv"), tags=("exec=01A", "item=shop/files", "watchkeeper"),
            at_us=5_000_000)  # fmt: skip
JOB = Job(kind=Kind.BACKUP, engine="files", key="shop/files@web1", item="shop/files", host="web1", exec_id="01A",
          options={}, repository="/r", state="/s")  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"host": "web2"}, 'its host: "web2"'),
        ({"paths": ("/etc",)}, 'its paths: ["/etc"]'),
        ({"tags": (*HEAD.tags, "more")}, "its tags: "),
        ({"at_us": 6_000_000}, "its time: 6000000"),
    ],
    ids=["as ordered", "host", "paths", "tags", "time"],
)
def test_a_snapshot_is_what_was_ordered_or_says_what_it_is(changes: dict[str, object], said: str) -> None:
    head = dataclasses.replace(HEAD, **changes)  # type: ignore[arg-type]  # a field's own type, by name
    found = heads.wrong(head, JOB, ("/srv", "/etc"), 5_000_000)
    assert found.startswith(said) if said else not found


def test_heads_are_read_from_restics_list_and_from_nothing_else() -> None:
    listed = [{"id": "a", "tree": "t", "hostname": "web1", "paths": ["/srv", "/etc"], "time": "1970-01-01T00:00:05Z",
               "tags": ["watchkeeper", "item=shop/files", "exec=01A"]}]  # fmt: skip
    assert heads.read(json.dumps(listed)) == {"a": HEAD}
    assert [heads.read(text) for text in ("", "null", "[]", "{", '[{"id": "a"}]', "[1]")] == [{}] * 6


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The folders of a repository, with one sound index."""
    for name in ("index", "snapshots", "keys", "data"):
        (tmp_path / name).mkdir()
    (tmp_path / "index" / hashlib.sha256(b"old").hexdigest()).write_bytes(b"old")
    return tmp_path


def test_what_appears_is_told_and_what_is_not_named_by_its_hash_is_removed(repository: Path) -> None:
    witness = Witness(repository)
    good = hashlib.sha256(b"new").hexdigest()
    (repository / "index" / good).write_bytes(b"new")
    (repository / "snapshots" / ("0" * 64)).write_bytes(b"cut sh")
    (repository / "keys" / ("1" * 64)).write_bytes(b"{}")
    (repository / f"index/{good}-tmp-1").write_bytes(b"still being written")
    assert [told.rpartition(" ")[2] for told in witness.mend()] == [f"snapshots/{'0' * 64}"]
    assert (repository / f"index/{good}-tmp-1").exists()
    came = {name: set(witness.appeared(name)) for name in ("index", "snapshots", "keys")}
    assert came == {"index": {good}, "snapshots": set(), "keys": {"1" * 64}}


def test_after_a_killed_job_only_what_came_since_is_looked_at(repository: Path) -> None:
    older, newer = (repository / "index" / (sign * 64) for sign in "01")
    for path in (older, newer):
        path.write_bytes(b"cut sh")
    since_us = newer.stat().st_mtime_ns // 1000
    subprocess.run(["touch", "-d", "2001-01-01", older], check=True)
    assert len(sound.mend_since(repository, since_us)) == 1
    assert [path.exists() for path in (older, newer)] == [True, False]
