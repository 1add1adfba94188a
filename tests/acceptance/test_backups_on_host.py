"""A host that saves its own files: what the policy says reaches its restic, and the password is seen nowhere on the way."""

import os
import shutil
from pathlib import Path

import pytest

from tests.acceptance.proving import proven
from tests.acceptance.world import World
from tests.lab.sshd import running_sshd
from tests.vault import Vault

pytestmark = pytest.mark.skipif(shutil.which("rclone") is None, reason="no rclone on this machine")
KEY = "shop/backups/files@web1"


def test_a_host_saves_itself_and_is_proven_and_its_password_is_seen_nowhere(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The world looks for its canary in every file, in every argument and environment, until its end."""
    folder = tmp_path_factory.mktemp("web1")
    (folder / "orders").write_bytes(os.urandom(50_000))
    made = Vault(folder=tmp_path_factory.mktemp("made"), source=folder, secret=world.canary).found()
    (world.folder / "vault").mkdir()
    made.repository.rename(world.folder / "vault/web1")
    (folder / "sshd").mkdir()
    with running_sshd(folder / "sshd", f"SetEnv XDG_CACHE_HOME={world.folder}/cache") as sshd:
        reached = {"ansible_host": sshd.address, "ansible_port": sshd.port, "ansible_user": sshd.user,
                   "ansible_ssh_private_key_file": str(sshd.key_file)}  # fmt: skip
        world.hosts({"web1": reached})
        Path(world.state / "known_hosts").write_text(f"[{sshd.address}]:{sshd.port} {sshd.public_key}\n")
        Path(world.state / "known_hosts").chmod(0o600)
        world.configure(repositories={"main": {"url": "vault", "password": {"secret": "canary"}}})
        plan = {"files": {"paths": [str(folder / "orders")], "run_from": "host"}, "repository": "main", "every": "2s",
                "drill": {"every": "day at 05:00"}}  # fmt: skip
        world.policy("shop", hosts="web1", backups={"files": plan})
        daemon = world.run()
        world.until(lambda: proven(world, KEY), "it is saved and proven")
        assert daemon.stop() == 0
