"""Laying a staged tree over a real one: what is in the way, what somebody changes meanwhile, what a killed run left."""

import ast
import dataclasses
import json
import os
import shutil
import stat
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import pytest

from agent.backups.putting import entries, laying, program
from agent.backups.putting.ground import Ground
from agent.backups.putting.layer import DRAFT, Layer
from agent.backups.putting.way import Way
from agent.backups.restic import describe, preview
from agent.clock import Deadline, SystemClock

_ACL_ROWS = ((1, 6, -1), (2, 6, 1234), (4, 4, -1), (16, 6, -1), (32, 0, -1))  # u::rw u:1234:rw g::r m::rw o::-
ACL = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *row) for row in _ACL_ROWS)


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    """A tree that lies ready: /srv/shop with a folder and two files."""
    shop = tmp_path / "stage/srv/shop"
    (shop / "conf").mkdir(parents=True)
    (shop / "conf/app").write_text("listen 80\n")
    (shop / "orders").write_text("one\n")
    return tmp_path / "stage"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The place where it goes; `srv` is there."""
    (tmp_path / "root/srv").mkdir(parents=True)
    return tmp_path / "root"


def lay(stage: Path, root: Path, **other: Any) -> dict[str, Any]:
    """What the program does, as it is run on a host."""
    order = {"do": "lay", "stage": str(stage), "root": str(root), "keep": str(root.parent / "kept"),
             "sources": ["/srv/shop"], "holey": [], **other}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program.text()], input=json.dumps(order) + "\n", capture_output=True, text=True,
        check=True, timeout=20,
    )  # fmt: skip
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_what_a_killed_run_left_is_replaced_and_never_followed(stage: Path, root: Path) -> None:
    victim = root.parent / "victim"
    victim.write_text("another's\n")
    (root / "srv/shop/conf").mkdir(parents=True)
    (root / "srv/shop" / DRAFT).symlink_to(victim)
    (root / "srv/shop/conf" / DRAFT).write_text("half\n")
    answer = lay(stage, root)
    assert (answer["touched"], answer["words"]) == (True, [])
    assert victim.read_text() == "another's\n"
    assert sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()) == [
        "srv/shop/conf/app", "srv/shop/orders",
    ]  # fmt: skip


def test_what_is_in_the_way_is_told_before_anything_is_touched(stage: Path, root: Path) -> None:
    (root / "srv/shop/orders").mkdir(parents=True)
    answer = lay(stage, root)
    assert (answer["touched"], answer["faults"]) == (False, 1)
    assert answer["words"] == ["/srv/shop/orders: a folder is in its place: move it away first"]
    assert not (root / "srv/shop/conf").exists()


def test_a_linked_way_is_refused(stage: Path, root: Path) -> None:
    (root.parent / "elsewhere").mkdir()
    (root / "srv").rmdir()
    (root / "srv").symlink_to(root.parent / "elsewhere")
    answer = lay(stage, root)
    assert (answer["touched"], list((root.parent / "elsewhere").iterdir())) == (False, [])
    assert "leads over a link" in answer["words"][0]


def test_a_folder_that_becomes_a_link_between_the_look_and_the_deed_leads_nowhere(stage: Path, root: Path) -> None:
    (root / "srv/shop/conf").mkdir(parents=True)
    victim = root.parent / "victim"
    victim.mkdir()
    entry = entries.staged(str(stage), "/srv/shop/conf/app")
    layer = Layer(str(root), str(root.parent / "kept"), os.geteuid() == 0)
    assert layer.look(entry) == "new"
    (root / "srv/shop/conf").rename(root / "srv/shop/away")
    (root / "srv/shop/conf").symlink_to(victim)
    later = Layer(str(root), str(root.parent / "kept"), os.geteuid() == 0)
    later.lay(entry)
    assert later.counts["faults"] == 1
    assert list(victim.iterdir()) == []
    layer.lay(entry)  # who was in there goes on in that very folder, wherever it is now
    assert list(victim.iterdir()) == []
    assert (root / "srv/shop/away/app").read_text() == "listen 80\n"


def test_a_way_with_a_link_or_a_file_in_it_ends_there(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("real")
    way = Way(str(tmp_path))
    for name in ("link", "file", "link/x", "missing"):
        with pytest.raises(OSError, match=r"directory"):
            way.enter(f"/{name}")
    os.fstat(way.enter("/real"))
    way.close()


def test_a_room_that_others_may_write_into_is_none(tmp_path: Path) -> None:
    top = tmp_path / "ours"
    top.mkdir()
    top.chmod(0o777)
    assert "is not ours alone" in laying.room({"base": str(top), "name": "01A"})["refused"]
    top.chmod(0o700)
    found = laying.room({"base": str(top), "name": "01A"})
    assert (found["stage"], found["keep"]) == (f"{top}/stage-01A", f"{top}/kept/01A")
    assert Path(found["stage"]).stat().st_mode & 0o777 == 0o700


def test_the_places_of_a_dump_are_made_and_are_private(stage: Path, root: Path) -> None:
    answer = lay(stage, root / "var/restored")
    assert answer["touched"]
    assert (root / "var/restored/srv/shop/orders").read_text() == "one\n"
    assert (root / "var/restored").stat().st_mode & 0o777 == 0o700


def make(kind: str, path: Path) -> None:
    """Something of that kind."""
    match kind:
        case "file":
            path.write_text("another\n")
        case "fifo":
            os.mkfifo(path)
        case "chardev":
            os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        case "socket":
            os.mknod(path, 0o600 | stat.S_IFSOCK)
        case _:
            path.symlink_to("/etc/hostname")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices and sets owners")
class TestKept:
    """What is replaced is kept, on whichever file system the place for it is."""

    @pytest.fixture
    def elsewhere(self) -> Iterator[Path]:
        """A place on another file system."""
        with TemporaryDirectory(dir="/dev/shm") as folder:
            yield Path(folder) / "kept"

    @pytest.mark.parametrize("kind", ["file", "fifo", "chardev", "socket", "symlink"])
    def test_on_another_file_system_as_what_it_was(self, stage: Path, root: Path, elsewhere: Path, kind: str) -> None:
        there = root / "srv/shop/orders"
        there.parent.mkdir()
        make(kind, there)
        if kind != "symlink":
            there.chmod(0o640)
        os.chown(there, 1234, 1235, follow_symlinks=False)
        before = there.lstat()
        answer = lay(stage, root, keep=str(elsewhere))
        assert (answer["touched"], answer["words"], answer["kept"], answer["bare"]) == (True, [], 1, 0)
        kept = (elsewhere / "srv/shop/orders").lstat()
        assert there.read_text() == "one\n"
        same = ("st_mode", "st_uid", "st_gid", "st_rdev", "st_size", "st_mtime_ns")
        assert [getattr(kept, name) for name in same] == [getattr(before, name) for name in same]

    def test_with_its_attributes_acls_and_holes(self, stage: Path, root: Path, elsewhere: Path) -> None:
        there = root / "srv/shop/orders"
        there.parent.mkdir()
        with there.open("wb") as file:
            file.truncate(1 << 20)
        os.setxattr(there, "trusted.origin", b"till")
        os.setxattr(there, "system.posix_acl_access", ACL)
        assert lay(stage, root, keep=str(elsewhere))["kept"] == 1
        kept = elsewhere / "srv/shop/orders"
        assert os.getxattr(kept, "trusted.origin") == b"till"
        assert os.getxattr(kept, "system.posix_acl_access") == ACL
        assert (kept.stat().st_size, kept.stat().st_blocks) == (1 << 20, 0)

    def test_where_nothing_can_be_kept_nothing_is_replaced(self, stage: Path, root: Path, elsewhere: Path) -> None:
        there = root / "srv/shop/orders"
        there.parent.mkdir()
        there.write_text("another\n")
        full = elsewhere.parent / "full"
        full.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=3", "none", full], check=True, timeout=20)
        try:
            answer = lay(stage, root, keep=str(full))
        finally:
            subprocess.run(["umount", full], check=True, timeout=20)
        assert (answer["faults"], answer["kept"]) == (1, 0)
        assert answer["words"][0].startswith("/srv/shop/orders: what is there could not be kept in ")
        assert there.read_text() == "another\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sets all attributes")
def test_attributes_and_acls_that_were_lost_or_added_are_as_they_were_again(stage: Path, root: Path) -> None:
    os.setxattr(stage / "srv/shop/orders", "system.posix_acl_access", ACL)
    os.setxattr(stage / "srv/shop/conf", "trusted.origin", b"till")
    lay(stage, root)
    shop = root / "srv/shop"
    os.removexattr(shop / "orders", "system.posix_acl_access")
    os.chmod(shop / "orders", (stage / "srv/shop/orders").stat().st_mode & 0o777)  # noqa: PTH101
    os.setxattr(shop / "conf", "trusted.origin", b"thief")
    os.setxattr(shop / "conf/app", "trusted.more", b"x")
    answer = lay(stage, root)
    assert (answer["changed"], answer["words"]) == (3, [])
    assert os.getxattr(shop / "orders", "system.posix_acl_access") == ACL
    assert os.getxattr(shop / "conf", "trusted.origin") == b"till"
    assert os.listxattr(shop / "conf/app") == []
    assert lay(stage, root)["changed"] == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sets all attributes")
def test_what_a_folder_hands_down_to_new_files_is_not_theirs(stage: Path, root: Path) -> None:
    os.setxattr(root / "srv", "system.posix_acl_default", ACL)
    lay(stage, root)
    for path in ("srv/shop", "srv/shop/conf/app"):
        assert os.listxattr(root / path) == []
        assert (root / path).stat().st_mode == (stage / path).stat().st_mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sets all attributes")
@pytest.mark.parametrize("damage", ["", "content", "mode", "acl", "time", "names", "link", "gone"])
def test_a_look_sees_what_the_deed_would_do(stage: Path, root: Path, damage: str) -> None:
    """The look has but the descriptions of a manifest, the deed has the files themselves."""
    (stage / "srv/shop/second").hardlink_to(stage / "srv/shop/orders")
    (stage / "srv/shop/way").symlink_to("conf")
    os.setxattr(stage / "srv/shop/conf/app", "system.posix_acl_access", ACL)
    lay(stage, root)
    orders, app = root / "srv/shop/orders", root / "srv/shop/conf/app"
    match damage:
        case "content":
            app.write_text("listen 81\n")
        case "mode":
            orders.chmod(0o600 if orders.stat().st_mode & 0o077 else 0o644)
        case "acl":
            os.removexattr(app, "system.posix_acl_access")
        case "time":
            os.utime(orders, ns=(1, 1))
        case "names":
            orders.unlink()
            shutil.copy2(root / "srv/shop/second", orders)
        case "link":
            (root / "srv/shop/way").unlink()
            (root / "srv/shop/way").symlink_to("elsewhere")
        case "gone":
            shutil.rmtree(root / "srv/shop/conf")
    deadline = Deadline.after(SystemClock(), 20.0)
    order = {"do": "look", "root": str(root), "sources": ["/srv/shop"]}
    lines = [preview._line(dataclasses.replace(one, path=one.path.removeprefix(str(stage)))) for one in (
        describe.entry_of(entry.staged, entry.kind, deadline) for entry in entries.walk(str(stage), ["/srv/shop"])
    )]  # fmt: skip
    looked = Ground(None, root.parent, deadline).ask(order, lines)
    done = lay(stage, root, keep=f"{root}/kept")
    assert [looked[name] for name in ("new", "changed", "same", "told")] == [
        done[name] for name in ("new", "changed", "same", "told")
    ]
    assert bool(looked["told"]) is bool(damage)


def test_names_of_one_file_are_names_of_one_file_again(stage: Path, root: Path) -> None:
    (stage / "srv/shop/second").hardlink_to(stage / "srv/shop/orders")
    lay(stage, root)
    first, second = root / "srv/shop/orders", root / "srv/shop/second"
    for damaged, by in ((second, None), (first, "wrong"), (second, "one\n")):
        damaged.unlink()
        if by is not None:
            damaged.write_text(by)
            shutil.copystat(stage / "srv/shop/orders", damaged)
        assert lay(stage, root, keep=f"{root}/kept-{uuid4()}")["words"] == []
        assert first.samefile(second)
        assert (first.read_text(), first.stat().st_nlink >= 2) == ("one\n", True)
    assert lay(stage, root)["changed"] == 0


def test_only_files_that_had_holes_get_some(stage: Path, root: Path) -> None:
    for name in ("holey", "full"):
        (stage / "srv/shop" / name).write_bytes(b"a" + b"\0" * (1 << 20) + b"b" * 70_000)
    lay(stage, root, holey=["/srv/shop/holey"])
    holey, full = root / "srv/shop/holey", root / "srv/shop/full"
    assert holey.read_bytes() == full.read_bytes()
    assert holey.stat().st_blocks * 512 < 100_000
    assert full.stat().st_blocks * 512 >= full.stat().st_size


def test_the_program_asks_for_no_newer_python() -> None:
    """What was there in Python 3.7; the names that it imports are older."""
    ast.parse(program.text(), feature_version=(3, 7))
    for piece in Path(laying.__file__).parent.glob("*.py"):
        if piece.name not in {"ground.py", "program.py"}:
            ast.parse(piece.read_text(), feature_version=(3, 7))
