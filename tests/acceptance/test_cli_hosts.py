"""Hosts on the command line: nothing is done on a host until a person has seen its key and pinned it."""

from tests.acceptance.shell import Shell
from tests.acceptance.world import World
from tests.lab.sshd import Sshd


def test_a_host_is_out_of_bounds_until_its_key_is_pinned(world: World, sshd: Sshd) -> None:
    far = {
        "ansible_host": sshd.address, "ansible_port": sshd.port, "ansible_user": sshd.user,
        "ansible_ssh_private_key_file": str(sshd.key_file),
    }  # fmt: skip
    world.hosts({"far": far})
    world.policy("shop", hosts="far", checks={"alive": {"command": "true"}})
    shell = Shell("--config", str(world.config), folder=world.folder)
    sick = [item for item in shell.reads("doctor", code=1)["items"] if item["state"] == "fail"]
    assert [item["subject"] for item in sick] == ["hosts"]
    assert "watchkeeper host trust far" in sick[0]["mend"]
    assert "add --yes" in shell.types("host", "trust", "far", code=2)  # nobody is there to agree
    assert "pinned for far" in shell.types("host", "trust", "far", "--yes")
    assert "pinned already" in shell.types("host", "trust", "far")
    shell.runs("run", "--once")
    (host,) = shell.reads("host", "list")["items"]
    assert (host["state"], host["port"], len(host["fingerprints"])) == ("ok", sshd.port, 1)
    assert shell.reads("check", "why", "alive")["parents"] == [{"key": "agent/checks/reach@far", "failing": False}]
    shell.reads("doctor")
