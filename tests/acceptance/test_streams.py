"""A dump from a host over SSH, by policy: saved and proven, its password in no record, its failure a check's word."""

from agent.model.host import Connection, Host
from agent.store import backups
from tests.acceptance.proving import proven, summary
from tests.acceptance.world import World
from tests.canary import search_canary
from tests.lab.sshd import Sshd, pin

KEY = "shop/backups/dump@far"
PASSWORD = "swordfish of the shop's database"


def test_a_dump_of_another_host_is_saved_and_proven_and_its_password_is_nowhere(world: World, sshd: Sshd) -> None:
    login = {"ansible_host": sshd.address, "ansible_port": sshd.port, "ansible_user": sshd.user,
             "ansible_ssh_private_key_file": str(sshd.key_file)}  # fmt: skip
    host = Host(name="far", address=sshd.address, port=sshd.port, connection=Connection.SSH)
    pin(world.state / "known_hosts", host, sshd)
    world.hosts({"far": login})
    world.found("far")
    world.secret("shop-db", PASSWORD)
    dump(world, 'printf "%s" "$DB" | sha256sum && test -n "$SSH_CONNECTION"')
    daemon = world.run()
    world.until(lambda: proven(world, KEY), "it is saved and restored")
    dump(world, "echo half; echo 'connection lost' >&2; exit 1")
    world.until(
        lambda: "the command failed with 1: connection lost" in summary(world, KEY), "the check says why it failed"
    )
    assert daemon.stop() == 0
    points = len(list((world.state / "restic").rglob("snapshots/*")))
    with world.store.read() as reader:
        assert points == len(backups.points(reader, KEY)), "no snapshot but those on record"
    assert search_canary(PASSWORD, [world.state]) == ()


def dump(world: World, command: str) -> None:
    stream = {"command": command, "filename": "shop.dump", "environment": {"DB": {"secret": "shop-db"}}}
    plan = {"stream": stream, "repository": "main", "every": "2s", "rpo": "1h", "drill": {"every": "day at 05:00"}}
    world.policy("shop", hosts="far", backups={"dump": plan})
