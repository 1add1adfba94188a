"""Backups whose repository does not open: a failing freshness check in clear words, and recovery by itself."""

import contextlib
import os
import subprocess
from collections.abc import Iterator

from agent.model.look import Verdict
from tests.acceptance.proving import proven, summary
from tests.acceptance.world import World

KEY = "shop/backups/files@here"


def test_a_wrong_password_and_a_lock_are_told_as_such_and_forgotten_once_mended(world: World) -> None:
    """One repository: good and proven, then not opened by its password, then held by somebody else."""
    (world.host / "data").mkdir()
    (world.host / "data" / "orders").write_bytes(os.urandom(300_000))
    repository = {"url": "var/restic", "password": {"secret": "vault"}, "lock_wait": "0s"}
    world.secret("vault", world.canary)
    world.configure(repositories={"main": repository})
    world.found()
    shop(world, rpo="1h")
    daemon = world.run()
    world.until(lambda: proven(world, KEY), "a backup is made and restored")
    world.until(lambda: summary(world, KEY).endswith("proven by a restore"), "and its check says so")

    world.secret("vault", "not the password")
    world.until(
        lambda: "the last run failed: Fatal: wrong password" in summary(world, KEY), "the check names the cause"
    )
    assert not world.is_open(KEY), "what was saved before is young enough"
    shop(world, rpo="1s")
    world.until(lambda: world.is_open(KEY), "what is too old becomes an incident")
    incident = world.incident(KEY)
    assert incident is not None
    assert " old, rpo 1 s; the last run failed: Fatal: wrong password or no key found" in incident.why
    assert "compare the secret" in incident.why
    shop(world, rpo="1h")
    world.secret("vault", world.canary)
    world.until(lambda: world.is_resolved(KEY), "the next backup resolves it")

    with locked(world):
        world.until(lambda: "repository is already locked" in summary(world, KEY), "the check says who is in the way")
        assert "wait for the other job to end" in summary(world, KEY)
        assert world.check_state(KEY).raw in {Verdict.WARNING, Verdict.CRITICAL}
    world.until(lambda: summary(world, KEY).endswith("proven by a restore"), "it is forgotten")
    assert daemon.stop() == 0


def shop(world: World, rpo: str) -> None:
    data = str(world.host / "data")
    drill = {"every": "day at 05:00", "contains": [f"{data}/orders"]}
    plan = {"files": {"paths": [data]}, "repository": "main", "every": "2s", "rpo": rpo, "drill": drill}
    world.policy("shop", backups={"files": plan})


@contextlib.contextmanager
def locked(world: World) -> Iterator[None]:
    """Somebody's restic holds the repository for itself, and takes its time: a thousand bytes in a second.

    It is killed: one that is interrupted cannot remove its lock while its slow reads hold all connections (0.14).
    """
    restic = ["restic", "-r", str(world.state / "restic/here"), "--no-cache", "--limit-download", "1"]
    environment = {**os.environ, "RESTIC_PASSWORD_FILE": str(world.folder / "secrets" / "vault")}
    argv = [*restic, "check", "--read-data"]
    has_lock = False
    while not has_lock:
        with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as holder:
            assert holder.stdout is not None
            has_lock = any(line.startswith(b"load indexes") for line in holder.stdout)
            try:
                if has_lock:
                    yield
            finally:
                holder.kill()
    subprocess.run([*restic, "unlock", "--quiet"], env=environment, check=True)  # only what is dead
