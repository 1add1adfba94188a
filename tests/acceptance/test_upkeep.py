"""Repositories that look after themselves: copied, pruned, checked; damaged, forged and mended, as the operator sees it."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from agent.cli import ExitCode
from agent.model.execution import Execution, ExecutionKind, ExecutionState
from agent.store import backups
from tests.acceptance.world import World
from tests.quick_key import cheapen

KEY = "shop/backups/files@here"
MAIN, OFFSITE = "agent/repositories/main@here", "agent/repositories/offsite@here"


@pytest.fixture
def shop(world: World) -> World:
    """A shop whose files are saved by hand, kept twice, and copied; its repository is checked every other second."""
    (world.host / "data").mkdir()
    secret = {"secret": "canary"}
    check = {"every": "2s", "cover": "2s"}
    repositories = {
        "main": {"url": "var/restic", "password": secret, "check": check, "prune": {"every": "2s"}},
        "offsite": {"url": "var/offsite", "password": secret},
    }
    world.configure(repositories=repositories)
    plan = {"files": {"paths": [str(world.host / "data")]}, "repository": "main", "copies": ["offsite"],
            "every": "day at 02:00", "keep": {"last": 1, "within": "1s"}}  # fmt: skip
    world.policy("shop", backups={"files": plan})
    for name in ("restic", "offsite"):  # quick to open: every one of many calls opens one of them
        repository(world, name).mkdir(mode=0o700, parents=True)
        restic(world, "init", name=name)
        cheapen(repository(world, name), world.canary)
    world.state.chmod(0o700)
    return world


def repository(world: World, name: str) -> Path:
    return world.state / name / "here"


def save(world: World) -> str:
    """One more snapshot, made by hand while no daemon works on the repository; its id."""
    (world.host / "data" / "orders").write_bytes(os.urandom(50_000))
    made: list[str] = []

    def has_room() -> bool:
        """What the daemon began works on without it, and is settled by the next who needs its place."""
        done = world.command("backup", "run", "files", "--json")
        assert done.returncode in {0, ExitCode.REFUSED}, done.stderr
        made.extend(json.loads(done.stdout)["items"][0]["detail"]["snapshot"] for _ in range(done.returncode == 0))
        return bool(made)

    world.until(has_room, "it is saved")
    return made[0]


def ended(world: World, kind: ExecutionKind, cause: str = MAIN) -> list[Execution]:
    return [one for one in world.executions() if one.kind is kind and one.correlation_id == cause and one.ended_at_us]


def good(world: World, kind: ExecutionKind, cause: str = MAIN) -> list[Execution]:
    return [one for one in ended(world, kind, cause) if one.state is ExecutionState.SUCCEEDED]


def restic(world: World, *words: str, name: str = "restic") -> str:
    """Restic by hand in a repository, the first if none is named."""
    environment = {**os.environ, "RESTIC_PASSWORD_FILE": str(world.folder / "secrets" / "canary")}
    argv = ["restic", "-r", str(repository(world, name)), "--no-cache", *words]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=True).stdout


def snapshots(world: World) -> set[str]:
    return {one.name for one in (repository(world, "restic") / "snapshots").iterdir()}


def test_a_repository_is_copied_pruned_and_checked_and_speaks_up_when_it_is_not_what_it_should_be(shop: World) -> None:
    world = shop
    daemon = world.run()
    world.until(lambda: points(world), "what was never saved is saved at once")
    first = points(world)[0].snapshot
    world.until(lambda: good(world, ExecutionKind.COPY, OFFSITE), "it is copied")
    world.until(lambda: good(world, ExecutionKind.CHECK), "it is checked")
    assert len(list((repository(world, "offsite") / "snapshots").iterdir())) == 1

    assert daemon.stop() == 0
    later = save(world)
    daemon = world.run()
    world.until(lambda: snapshots(world) == {later}, "what is not kept is removed")
    world.until(lambda: [point.snapshot for point in points(world)] == [later], "and is no point any more")
    assert first != later
    world.until(lambda: len(list((repository(world, "offsite") / "snapshots").iterdir())) == 2, "the copy keeps all")

    pack = max(
        (repository(world, "restic") / "data").rglob("??*"), key=lambda one: one.stat().st_size if one.is_file() else 0
    )
    sound = pack.read_bytes()
    pack.chmod(0o600)
    pack.write_bytes(sound[:1000] + bytes([sound[1000] ^ 1]) + sound[1001:])
    world.until(lambda: world.is_open(MAIN), "a flipped bit becomes an incident")
    incident = world.incident(MAIN)
    assert incident is not None
    assert "damaged: RUN" in incident.why
    assert "nothing is removed" in incident.why
    pack.write_bytes(sound)
    world.until(lambda: world.is_resolved(MAIN), "a good check resolves it")

    assert daemon.stop() == 0


def points(world: World) -> list[Any]:
    with world.store.read() as reader:
        return backups.points(reader, KEY)


def test_what_an_operator_removed_by_hand_is_asked_about_once(shop: World) -> None:
    """Without a daemon: the check says what is missing, `--accept` takes it for right."""
    world = shop
    daemon = world.run()
    world.until(lambda: points(world), "what was never saved is saved at once")
    assert daemon.stop() == 0
    (point,) = points(world)
    restic(world, "forget", point.snapshot)
    seen = world.command("backup", "check", "main")
    assert seen.returncode == 1
    assert f"snapshot {point.snapshot[:8]} of {KEY} is gone, and nobody of ours removed it" in seen.stdout
    refused = world.command("backup", "prune", "main")
    assert refused.returncode == ExitCode.REFUSED
    assert "is gone, and nobody of ours removed it" in refused.stderr
    agreed = world.command("backup", "check", "main", "--accept", "--reason", "removed by me")
    assert agreed.returncode == 0, agreed
    assert f"accepted: snapshot {point.snapshot[:8]}" in agreed.stderr
