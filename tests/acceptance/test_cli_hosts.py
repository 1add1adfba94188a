"""Hosts on the command line: nothing is done on a host until a person has seen its key and pinned it."""

from pathlib import Path
from typing import Any

from agent.model.check import reach_key
from agent.model.look import Verdict
from tests.acceptance.shell import Shell
from tests.acceptance.world import World
from tests.lab.sshd import Sshd, running_sshd


def over_ssh(there: Sshd) -> dict[str, Any]:
    """A host as the inventory has it."""
    return {
        "ansible_host": there.address, "ansible_port": there.port, "ansible_user": there.user,
        "ansible_ssh_private_key_file": str(there.key_file),
    }  # fmt: skip


def test_a_host_is_out_of_bounds_until_its_key_is_pinned(world: World, sshd: Sshd) -> None:
    world.hosts({"far": over_ssh(sshd)})
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


def test_behind_a_jump_host_with_another_key_nothing_is_done(world: World, sshd: Sshd) -> None:
    """From the policy to the refusal: the check fails, its remedy may run by itself, and neither it nor a person gets through."""
    far, gate = over_ssh(sshd), over_ssh(sshd)
    world.hosts({"far": far | {"ansible_ssh_common_args": "-J gate"}, "gate": gate})
    remedies = {"mend": world.remedy()}
    world.policy("shop", hosts="far", checks={"alive": {"command": "false", "remedy": "mend"}}, remedies=remedies)
    shell = Shell("--config", str(world.config), folder=world.folder)
    kind, body = sshd.public_key.split()
    pins = world.state / "known_hosts"
    pins.write_text(f"[{sshd.address}]:{sshd.port} {kind} {body[:-4]}AAAA\n")
    shell.runs("run", "--once", code=1)
    seen = world.last_look(reach_key("far"))
    assert seen is not None
    assert (seen.verdict, seen.metrics["failure"]) == (Verdict.CRITICAL, "host-key")
    assert "jump host gate: the host key of" in seen.summary
    refused = world.command("playbook", "run", "mend.yml", "--hosts", "far", "--reason", "I know better")
    assert refused.returncode == 3, refused.stdout + refused.stderr
    assert "watchkeeper host trust far" in refused.stderr
    assert world.executions() == []


def test_a_jump_host_is_trusted_on_the_way_to_the_host_behind_it(world: World, sshd: Sshd, tmp_path: Path) -> None:
    """Its key is shown and pinned first, for it is logged in to; it need not be a host that any policy means."""
    (tmp_path / "bastion").mkdir()
    with running_sshd(tmp_path / "bastion") as bastion:
        far, gate = over_ssh(sshd), over_ssh(bastion)
        world.hosts({"far": far | {"ansible_ssh_common_args": "-J gate"}, "gate": gate})
        world.policy("shop", hosts="far", checks={"alive": {"command": "true"}})
        shell = Shell("--config", str(world.config), folder=world.folder)
        (sick,) = [item for item in shell.reads("doctor", code=1)["items"] if item["state"] == "fail"]
        assert "jump host gate" in sick["says"]
        assert "watchkeeper host trust far" in sick["mend"]
        told = shell.types("host", "trust", "far", "--yes")
        assert told.count("SHA256:") == 2
        assert told.index("pinned for jump host gate") < told.index("far (")
        assert "pinned for far" in told
        assert shell.types("host", "trust", "far").count("pinned already") == 2
        shell.runs("run", "--once")
        (host,) = [item for item in shell.reads("host", "list")["items"] if item["host"] == "far"]
        assert (host["via"], len(host["fingerprints"])) == (["gate"], 1)
        lines = {line.split()[0]: line for line in shell.types("host", "list").splitlines()}
        assert f"port {sshd.port} < gate" in lines["far"]
        assert "nothing logs in" in lines["gate"]
        shell.reads("doctor")
