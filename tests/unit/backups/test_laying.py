"""Laying a staged tree over a real one: what is in the way, what somebody changes meanwhile, what a killed run left."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.backups.putting import entries, laying, program
from agent.backups.putting.layer import DRAFT, Layer
from agent.backups.putting.way import Way


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
