"""A dump from a host over SSH, by policy: saved and proven, its password in no record, its failure a check's word."""

from agent.model.host import Connection, Host
from agent.store import backups, looks
from agent.transports import known_hosts
from agent.transports.known_hosts import HostKey
from tests.acceptance.world import World
from tests.canary import search_canary
from tests.lab.sshd import Sshd

KEY = "shop/backups/dump@far"
PASSWORD = "swordfish of the shop's database"


def test_a_dump_of_another_host_is_saved_and_proven_and_its_password_is_nowhere(world: World, sshd: Sshd) -> None:
    login = {"ansible_host": sshd.address, "ansible_port": sshd.port, "ansible_user": sshd.user,
             "ansible_ssh_private_key_file": str(sshd.key_file)}  # fmt: skip
    kind, body = sshd.public_key.split()
    host = Host(name="far", address=sshd.address, port=sshd.port, connection=Connection.SSH)
    known_hosts.pin(world.state / "known_hosts", host, HostKey(type=kind, base64=body))
    world.hosts({"far": login})
    world.secret("shop-db", PASSWORD)
    dump(world, 'printf "%s" "$DB" | sha256sum && test -n "$SSH_CONNECTION"')
    daemon = world.run()
    world.until(lambda: proven(world), "it is saved and restored")
    dump(world, "echo half; echo 'connection lost' >&2; exit 1")
    world.until(lambda: "the command failed with 1: connection lost" in summary(world), "the check says why it failed")
    assert daemon.stop() == 0
    points = len(list((world.state / "restic").rglob("snapshots/*")))
    with world.store.read() as reader:
        assert points == len(backups.points(reader, KEY)), "no snapshot but those on record"
    assert search_canary(PASSWORD, [world.state]) == ()


def dump(world: World, command: str) -> None:
    stream = {"command": command, "filename": "shop.dump", "environment": {"DB": {"secret": "shop-db"}}}
    plan = {"stream": stream, "repository": "main", "every": "2s", "rpo": "1h", "drill": {"every": "day at 05:00"}}
    world.policy("shop", hosts="far", backups={"dump": plan})


def proven(world: World) -> bool:
    with world.store.read() as reader:
        return backups.last_passed_proof(reader, KEY) is not None


def summary(world: World) -> str:
    """What the check of the backup's age says."""
    with world.store.read() as reader:
        seen = looks.latest(reader, [KEY]).get(KEY)
    return seen.summary if seen else ""
