"""A dozen hosts due at the same moment: no more restics live at once than are allowed, and all get their turn, gently."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.store import backups
from tests.acceptance.world import HERE, World
from tests.vault import Vault

HOSTS = tuple(f"web{number}" for number in range(1, 13))
ALLOWED = 3


def test_a_dozen_due_at_once_never_exceed_what_is_allowed(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (world.host / "data").mkdir()
    (world.host / "data" / "orders").write_bytes(os.urandom(100_000))
    made = Vault(folder=tmp_path_factory.mktemp("made"), source=world.host, secret=world.canary).found()
    for host in HOSTS:
        shutil.copytree(made.repository, world.state / "restic" / host)
    world.state.chmod(0o700)
    world.hosts(dict.fromkeys(HOSTS, HERE))
    repository = {"url": "var/restic", "password": {"secret": "canary"}, "limit": "1Mbit/s", "at_once": 5}
    world.configure(repositories={"main": repository}, backups={"at_once": ALLOWED})
    plan = {"files": {"paths": [str(world.host / "data")]}, "repository": "main", "every": "6h"}
    world.policy("shop", hosts="all", backups={"files": plan})
    daemon = world.run()
    most, pace = 0, set[int]()

    def all_saved() -> bool:
        nonlocal most
        living = list(restics(world))
        most = max(most, len(living))
        pace.update(living)
        with world.store.read() as reader:
            return all(backups.last_point(reader, f"shop/backups/files@{host}") for host in HOSTS)

    world.until(all_saved, "every host is saved")
    assert most == ALLOWED
    assert pace == {10}
    assert daemon.stop() == 0


def restics(world: World) -> Iterator[int]:
    """The niceness of each restic that works for this world now."""
    mine = f"WATCHKEEPER_RUN={world.state}".encode()
    for process in Path("/proc").iterdir():
        try:
            words = (process / "environ").read_bytes().split(b"\0") if process.name.isdigit() else []
            if any(word.startswith(mine) for word in words) and (process / "comm").read_bytes() == b"restic\n":
                yield os.getpriority(os.PRIO_PROCESS, int(process.name))
        except OSError:  # gone meanwhile
            continue
