"""Sandboxes: private, and gone afterwards; those of dead drills are swept, those of living ones are not."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from agent.backups.restic.sandbox import is_in_memory, lacking_bytes, remove, sandbox, sweep
from agent.errors import AgentError

HOLDER = """
import sys, pathlib
from agent.backups.restic.sandbox import sandbox
with sandbox(pathlib.Path(sys.argv[1]), "E1") as box:
    (box / "file").touch()
    print("ready", flush=True)
    sys.stdin.read()
"""

WALK = """
import sys
from agent.backups import alone
from agent.backups.restic.census import Census
from agent.clock import Deadline, SystemClock
alone.begin()
census = Census((sys.argv[1],), Deadline.after(SystemClock(), 20))
print(census.take(), census.files)
"""


def left(state: Path) -> list[str]:
    """What lies among the sandboxes."""
    return sorted(path.name for path in (state / "sandbox").iterdir())


def test_a_sandbox_is_private_and_goes_with_its_context(tmp_path: Path) -> None:
    with sandbox(tmp_path, "E1") as box:
        assert box.stat().st_mode & 0o777 == 0o700
        (box / "deep/er").mkdir(parents=True)
    assert left(tmp_path) == []


def test_a_sandbox_goes_after_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), sandbox(tmp_path, "E1"):
        raise RuntimeError
    assert left(tmp_path) == []


def test_what_a_killed_drill_left_is_swept_and_a_living_one_is_not(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as drill:
        assert drill.stdout is not None
        drill.stdout.readline()
        assert sweep(tmp_path) == ()
        with pytest.raises(AgentError, match="another drill"), sandbox(tmp_path, "E1"):
            pass
        assert left(tmp_path) == ["E1", "E1.lock"]
        drill.kill()
    assert sweep(tmp_path) == ("E1",)
    assert left(tmp_path) == []


def test_there_is_nothing_to_sweep_before_the_first_drill(tmp_path: Path) -> None:
    assert sweep(tmp_path) == ()


def test_a_tree_is_removed_and_nothing_behind_its_links(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o500)
    (tmp_path / "box/locked").mkdir(parents=True)
    (tmp_path / "box/locked/file").touch()
    (tmp_path / "box/link").symlink_to(outside)
    (tmp_path / "box/locked").chmod(0)
    remove(tmp_path / "box")
    assert not (tmp_path / "box").exists()
    assert outside.stat().st_mode & 0o777 == 0o500


def test_a_tree_is_removed_however_deep_it_goes(tmp_path: Path) -> None:
    """A host may have folders in each other, a thousand and more, and what was restored of them must go."""
    box = tmp_path / "sandbox/E1"
    (box / "beside").mkdir(parents=True)
    dig(box)
    walked = subprocess.run([sys.executable, "-c", WALK, str(box)], capture_output=True, text=True, check=False)
    assert walked.stdout == "True 1000\n", walked.stderr[-500:]
    assert sweep(tmp_path) == ("E1",)
    assert left(tmp_path) == []


def dig(box: Path) -> None:
    """More folders in each other than Python's calls may be."""
    handle = os.open(box, os.O_RDONLY)
    for _ in range(1_000):
        os.mkdir("a", dir_fd=handle)
        os.close(os.open("file", os.O_CREAT, dir_fd=handle))
        inner = os.open("a", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = inner
    os.close(handle)


def test_a_link_in_place_of_a_sandbox_is_removed_itself(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "box").symlink_to(tmp_path / "outside")
    remove(tmp_path / "box")
    assert (tmp_path / "outside").is_dir()


def test_room_is_counted_in_bytes_and_entries(tmp_path: Path) -> None:
    assert lacking_bytes(tmp_path, 0, 0) == 0
    assert lacking_bytes(tmp_path, 10**18, 0) > 0
    assert lacking_bytes(tmp_path, 0, 10**15) > 0


@pytest.mark.parametrize(
    ("kind", "is_in_memory_"), [("tmpfs", True), ("ramfs", True), ("ext4", False), ("fuse.x", False)]
)
def test_a_file_system_in_memory_is_known_as_one(tmp_path: Path, kind: str, is_in_memory_: bool) -> None:
    device = tmp_path.stat().st_dev
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        f"20 1 0:5 / /proc rw - proc proc rw\n"
        f"30 1 {os.major(device)}:{os.minor(device)} / /srv rw,relatime shared:1 master:2 - {kind} none rw\n"
    )
    assert is_in_memory(tmp_path, mounts) is is_in_memory_
    mounts.write_text("")
    assert not is_in_memory(tmp_path, mounts)


def test_a_sandbox_in_memory_takes_only_a_share_of_it() -> None:
    shm = Path("/dev/shm")
    room = os.statvfs(shm)
    free = psutil.virtual_memory().available
    assert is_in_memory(shm)
    assert lacking_bytes(shm, 1000, 1) == 0
    assert lacking_bytes(shm, min(room.f_bavail * room.f_frsize, int(free * 0.4)), 1) > 0
