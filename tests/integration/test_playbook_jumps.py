"""Plays reach hosts behind jump hosts by the inventory that checks read, with real Ansible and ssh: same pins, each hop."""

import dataclasses
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.actions import playbook
from agent.actions.playbook import Play, PlayOutcome
from agent.clock import Deadline, SystemClock
from agent.errors import HostKeyError
from agent.inventory import Inventory
from agent.model.host import Connection, Host
from agent.transports import child
from agent.transports.ssh import SshPool
from tests.lab.sshd import Sshd, pin, running_sshd
from tests.lab.wait import until

CLOCK = SystemClock()
PLAYBOOKS = Path(__file__).resolve().parents[1] / "playbooks"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """A folder with an inventory and pins, whose names a shell would break."""

    folder: Path
    inventory: Path
    pins: Path

    def host(self, name: str) -> Host:
        """A host as the agent reads it."""
        return Inventory(self.inventory, clock=CLOCK).read(frozenset({"all"})).hosts[name]

    def play(self, host: Host) -> PlayOutcome:
        """Run a play on a host, as the agent does."""
        run_dir = self.folder / "runs here" / host.name
        play = Play(playbook="reached.yml", hosts=(host.name,), variables={"folder": str(self.folder)}, hops=host.jumps)
        packet = playbook.packet(
            play,
            run_dir=run_dir,
            playbooks=PLAYBOOKS,
            inventory=self.inventory,
            known_hosts=self.pins,
            timeout_seconds=60,
        )
        who = child.launch(run_dir, packet, CLOCK)
        until(lambda: not isinstance(child.peek(run_dir, who, CLOCK), child.Running), 60, "the play ends")
        ended = child.peek(run_dir, who, CLOCK)
        assert isinstance(ended, child.Ended)
        return playbook.outcome(run_dir, ended)


@pytest.fixture(scope="module")
def bastions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sshd, Sshd]]:
    with (
        running_sshd(tmp_path_factory.mktemp("outer")) as outer,
        running_sshd(tmp_path_factory.mktemp("inner")) as inner,
    ):
        yield outer, inner


def trust(pins: Path, there: Sshd) -> None:
    place = Host(name="any", address=there.address, port=there.port, connection=Connection.SSH)
    pin(pins, place, there)


@pytest.fixture
def place(tmp_path: Path, sshd: Sshd, bastions: tuple[Sshd, Sshd]) -> Place:
    def login(there: Sshd, **more: str) -> str:
        variables = {
            "ansible_host": there.address, "ansible_port": str(there.port), "ansible_user": there.user,
            "ansible_ssh_private_key_file": str(there.key_file), "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_remote_tmp": f"{tmp_path}/remote", **more,
        }  # fmt: skip
        return " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())

    loose = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ProxyJump=outer,inner"
    key_file = tmp_path / "the key 100%"
    key_file.symlink_to(bastions[0].key_file)
    lines = (
        f"outer {login(dataclasses.replace(bastions[0], key_file=key_file))}",
        f"inner {login(bastions[1])}",
        f"behind {login(sshd, ansible_ssh_common_args='-J outer')}",
        f"deep {login(sshd, ansible_ssh_common_args=loose)}",
    )
    folder = tmp_path / "state 100%"
    folder.mkdir()
    inventory = tmp_path / "hosts.ini"
    inventory.write_text("\n".join([*lines, ""]))
    made = Place(folder=folder, inventory=inventory, pins=folder / "known hosts")
    for there in (sshd, *bastions):
        trust(made.pins, there)
    return made


@pytest.mark.parametrize("name", ["behind", "deep"])
def test_what_checks_reach_through_jump_hosts_plays_reach_too(
    name: str, place: Place, bastions: tuple[Sshd, Sshd]
) -> None:
    host = place.host(name)
    before = [there.log.read_text().count("Accepted publickey") for there in bastions]
    outcome = place.play(host)
    assert outcome.ok, outcome.summary
    assert (place.folder / "reached").read_text() == "reached"
    pool = SshPool(place.pins, CLOCK)
    try:
        assert pool.run_batch(host, [("echo in", 5.0)], Deadline.after(CLOCK, 20.0))[0].text == "in\n"
    finally:
        pool.close()
    passed = [there.log.read_text().count("Accepted publickey") for there in bastions]
    assert [after - earlier for after, earlier in zip(passed, before, strict=True)] == [2, 2 * (name == "deep")]


@pytest.mark.parametrize("name", ["behind", "deep"])
def test_neither_passes_a_jump_host_with_another_key(
    name: str, place: Place, sshd: Sshd, bastions: tuple[Sshd, Sshd]
) -> None:
    changed = bastions[0 if name == "behind" else 1]
    trust(place.pins, dataclasses.replace(changed, public_key=sshd.public_key))
    before = place.pins.read_text()
    host = place.host(name)
    outcome = place.play(host)
    assert (outcome.ok, outcome.unreachable) == (False, (name,))
    assert not (place.folder / "reached").exists()
    pool = SshPool(place.pins, CLOCK)
    try:
        with pytest.raises(HostKeyError, match="has changed"):
            pool.run_batch(host, [("true", 5.0)], Deadline.after(CLOCK, 20.0))
    finally:
        pool.close()
    assert place.pins.read_text() == before
