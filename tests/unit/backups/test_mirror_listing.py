"""What a target says of its files: read to the byte, and nothing believed that no file system can hold."""

import os
import subprocess
from pathlib import Path

import pytest

from agent.backups.mirror import listing
from agent.backups.mirror.listing import Item
from agent.errors import ToolError

FIELDS = b"644/0/0/5/1700000000.1234567890/1700000001.0000000000/2049/17/1"


def record(path: bytes, kind: bytes = b"f", target: bytes = b"") -> bytes:
    """One entry as find prints it."""
    return kind + b"/" + FIELDS + b"/" + path + b"\0" + target + b"\0"


def answer(*parts: bytes, above: bytes = b"", end: bytes = b"=end 0\0") -> bytes:
    """A whole answer with /srv as its source."""
    head = b"=now 1700000100\0=tools rsync tar\0=source /srv\0" + record(b"/", b"d") + above
    return head + b"=tree\0" + record(b"/srv", b"d") + b"".join(parts) + end


def told(data: bytes) -> dict[str, Item]:
    """The tree of an answer."""
    seen = listing.read(data)
    return dict(listing.tree(seen, listing.items(seen.records)))


def test_an_answer_reads_as_it_was_meant() -> None:
    parts = (record(b"/srv/a\nb\xff"), record(b"/srv/=end 0", b"l", b"=end 0"))
    seen = listing.read(answer(*parts, above=b"=missing /opt/x\0"))
    assert (seen.sources, seen.missing, seen.tools) == (("/srv",), ("/opt/x",), frozenset({"rsync", "tar"}))
    assert (seen.now_s, seen.is_complete) == (1700000100, True)
    entries = listing.tree(seen, listing.items(seen.records))
    assert list(entries) == ["/", "/srv", os.fsdecode(b"/srv/a\nb\xff"), "/srv/=end 0"]
    link = entries["/srv/=end 0"]
    assert (link.kind, link.target, link.mode, link.size) == ("symlink", "=end 0", 0o644, 5)
    assert (link.mtime_ns, link.ctime_ns) == (1700000000_123456789, 1700000001_000000000)


def test_a_folder_that_could_not_be_read_makes_the_answer_incomplete() -> None:
    assert not listing.read(answer(end=b"=end 1\0")).is_complete


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"=now 1\0",
        answer(end=b""),
        answer(end=b"=end 0"),
        answer(record(b"/srv/a"), end=b"=end 0\0")[:-30],
        answer(end=b"=end 7\0"),
        b"motd\n" + answer(),
        answer(record(b"/srv/l", b"l", b"=end 0"), end=b""),
        answer(record(b"/srv/=end 0"), end=b"")[:-1],
        answer().partition(b"=tree")[0],
    ],
    ids=[
        "empty",
        "begun",
        "no end",
        "half an end",
        "half an entry",
        "another end",
        "a greeting before",
        "a link to an end",
        "a name like an end",
        "no tree",
    ],
)
def test_an_answer_that_was_cut_short_is_none(data: bytes) -> None:
    with pytest.raises(ToolError, match="cut short"):
        told(data)


@pytest.mark.parametrize("mark", [b"=source /srv/../etc\0", b"=source srv\0", b"=other /srv\0", b"f/zzz/srv/a\0\0"])
def test_a_trick_above_the_tree_is_refused_as_well(mark: bytes) -> None:
    with pytest.raises(ToolError, match="holds"):
        told(answer(above=mark))


@pytest.mark.parametrize(
    "part",
    [
        record(b"/srv/../etc/passwd"),
        record(b"/srv//a"),
        record(b"/srv/./a"),
        record(b"srv/a"),
        record(b"/etc/passwd"),
        record(b"/srvx"),
        record(b"/srv/" + b"x" * 5000),
        record(b"/srv/gone/a"),
        record(b"/srv/l", b"l", b"/etc") + record(b"/srv/l/passwd"),
        record(b"/srv/f") + record(b"/srv/f/a"),
        b"=source /srv/../etc\0",
        b"=other /srv\0",
        b"f/zzz/srv/a\0\0",
    ],
    ids=[
        "up", "empty name", "dot", "relative", "elsewhere", "beside", "too long", "no folder", "below a link",
        "below a file", "a source that goes up", "an unknown mark", "no numbers",
    ],
)  # fmt: skip
def test_a_trick_in_the_answer_is_refused_as_a_whole(part: bytes) -> None:
    with pytest.raises(ToolError, match=r"holds|cut short"):
        told(answer(part))


def test_what_find_prints_is_read_to_the_nanosecond(tmp_path: Path) -> None:
    (tmp_path / "a\n b").write_text("12345")
    os.utime(tmp_path / "a\n b", ns=(1, 1_234_567_891_987_654_321))
    (tmp_path / "left.tmp").touch()
    (tmp_path / "l").symlink_to("=end 1")
    (tmp_path / "old").touch()
    os.utime(tmp_path / "old", ns=(0, -1_500_000_000))
    text = listing.script([str(tmp_path), f"{tmp_path}/no"], ["-name '*.tmp'"], one_file_system=False)
    done = subprocess.run(["/bin/sh"], input=text.encode(), stdout=subprocess.PIPE, check=True)
    seen = listing.read(done.stdout)
    entries = listing.tree(seen, listing.items(seen.records))
    assert (seen.sources, seen.missing) == ((str(tmp_path),), (f"{tmp_path}/no",))
    assert {path.removeprefix(str(tmp_path)) for path in entries if path.startswith(f"{tmp_path}/")} == {
        "/a\n b", "/l", "/old",
    }  # fmt: skip
    for name in ("a\n b", "l", "old"):
        there, item = (tmp_path / name).lstat(), entries[f"{tmp_path}/{name}"]
        assert (item.mtime_ns, item.ctime_ns, item.inode[1]) == (there.st_mtime_ns, there.st_ctime_ns, there.st_ino)
        assert (item.mode, item.uid, item.size) == (there.st_mode & 0o7777, there.st_uid, there.st_size)
