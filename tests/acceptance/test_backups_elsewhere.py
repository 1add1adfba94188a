"""A repository behind a server with a login: saved and proven there, and the login is seen nowhere, also when it fails."""

import os

import pytest

from tests.acceptance.proving import proven, summary
from tests.acceptance.world import World
from tests.lab import vaults
from tests.vault import Vault

KEY = "shop/backups/files@here"


def test_a_login_is_seen_nowhere_whether_it_opens_or_not(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The world looks for its canary in every file, in every argument and environment, until its end."""
    (world.host / "data").mkdir()
    (world.host / "data/orders").write_bytes(os.urandom(50_000))
    made = Vault(folder=tmp_path_factory.mktemp("made"), source=world.host, secret=world.canary).found()
    served = made.folder / "served"
    served.mkdir()
    made.repository.rename(served / "here")
    for name, value in {"vault": world.canary, "login": world.canary, "user": vaults.USER}.items():
        world.secret(name, value)
    with vaults.behind_rest(served, world.canary) as there:
        repository = {
            "url": there.url, "password": {"secret": "vault"}, "lock_wait": "0s",
            "credentials": {"RESTIC_REST_USERNAME": {"secret": "user"}, "RESTIC_REST_PASSWORD": {"secret": "login"}},
        }  # fmt: skip
        world.configure(repositories={"main": repository})
        plan = {"files": {"paths": [str(world.host / "data")]}, "repository": "main", "every": "2s",
                "drill": {"every": "day at 05:00"}}  # fmt: skip
        world.policy("shop", backups={"files": plan})
        daemon = world.run()
        world.until(lambda: proven(world, KEY), "it is saved and proven")
        world.secret("login", f"{world.canary}-but-another")
        world.until(lambda: "401 Unauthorized" in summary(world, KEY), "the check names the cause")
        assert "write the right secrets" in summary(world, KEY)
        world.secret("login", world.canary)
        world.until(lambda: summary(world, KEY).endswith("proven by a restore"), "it is forgotten once mended")
    assert daemon.stop() == 0
