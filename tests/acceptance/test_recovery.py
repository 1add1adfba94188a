"""Recoveries: carried out step by step, rehearsed on a scratch host, and never done when they only look it."""

import os
import subprocess
from typing import Any

import pytest

from agent.model.execution import Execution, ExecutionKind, ExecutionState
from tests.acceptance.shell import WATCHKEEPER, Shell
from tests.acceptance.world import HERE, World
from tests.lab.sshd import Sshd

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
KEY = "shop/recoveries/shop@here"
REBUILD = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Note the run
      ansible.builtin.shell: 'echo "{{ inventory_hostname }}" >> "{{ place }}/runs"; touch "{{ place }}/begun"'
    - name: Wait for what it needs
      ansible.builtin.shell: 'until test ! -e "{{ place }}/wait"; do sleep 0.02; done'
    - name: Start it
      ansible.builtin.shell: 'test ! -e "{{ place }}/broken" && cp "{{ place }}/data/orders" "{{ place }}/up"'
"""


def shop(world: World, sshd: Sshd, **more: Any) -> None:
    """A service whose data is saved and whose recovery is declared, and a scratch host: an sshd on the loopback."""
    over_ssh = {
        "ansible_host": sshd.address, "ansible_port": sshd.port, "ansible_user": sshd.user,
        "ansible_ssh_private_key_file": str(sshd.key_file), "ansible_python_interpreter": HERE["ansible_python_interpreter"],
    }  # fmt: skip
    world.hosts({"here": HERE, "scratch": over_ssh})
    world.state.mkdir(mode=0o700, exist_ok=True)
    (world.state / "known_hosts").write_text(f"[{sshd.address}]:{sshd.port} {sshd.public_key}\n")
    (world.state / "known_hosts").chmod(0o600)
    data = world.host / "data"
    data.mkdir()
    world.found()
    (data / "orders").write_text("one order\n")
    world.write("playbooks/rebuild.yml", REBUILD)
    plan = {
        "steps": [{"restore": "backups/files"}, {"playbook": "rebuild.yml", "vars": {"place": str(world.host)}}],
        "verify": ["checks/up"], "verify_within": "1s", "rto": "2m",
    }  # fmt: skip
    world.policy(
        "shop",
        backups={"files": {"files": {"paths": [str(data)]}, "repository": "main", "every": "day at 02:00"}},
        checks={"up": world.check()},
        recoveries={"shop": {**plan, **more}},
    )


def plans(world: World) -> list[Execution]:
    return [one for one in world.executions() if one.kind in {ExecutionKind.RECOVERY, ExecutionKind.REHEARSAL}]


def steps_of(world: World, plan: Execution) -> list[tuple[str, str]]:
    return [(str(one.kind), str(one.state)) for one in world.executions() if one.correlation_id == plan.id]


def test_a_service_is_brought_back_and_the_time_it_takes_is_on_record(world: World, sshd: Sshd) -> None:
    """Rehearsed once by the calendar, killed in the middle and taken up again, failed for good: an incident."""
    shop(world, sshd, rehearse={"on": "scratch", "every": "day at 04:00"})
    shell = Shell("--config", str(world.config), folder=world.folder)
    (world.host / "up").touch()
    shell.types("run", "--once")  # saves, and then rehearses
    (rehearsed,) = plans(world)
    assert (rehearsed.kind, rehearsed.state, world.lines("runs")) == ("rehearsal", "succeeded", ["scratch"])
    (item,) = shell.reads("recovery", "list")["items"]
    assert (item["verdict"], item["rehearsed_on"], item["rto_s"]) == ("good", "scratch", 120.0)

    for name in ("up", "begun"):
        (world.host / name).unlink()
    (world.host / "data/orders").write_text("broken\n")
    run = ("recovery", "run", "shop", "--host", "here", "--reason", "the disk is new")
    assert "add --yes" in shell.types(*run, code=2)
    (world.host / "wait").touch()
    words = [str(WATCHKEEPER), "--config", str(world.config), *run, "--yes"]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as killed:
        world.until((world.host / "begun").exists, "its second step runs")
        killed.kill()
    (item,) = shell.reads("recovery", "list")["items"]
    assert item["run_state"] == "interrupted"
    (world.host / "wait").unlink()
    told = shell.types(*run, "--yes")
    assert "was interrupted: it goes on where it was" in told
    assert world.lines("runs") == ["scratch", "here"]
    _, plan = plans(world)
    assert (plan.kind, plan.state, plan.why, plan.host) == ("recovery", "succeeded", "the disk is new", "here")
    assert steps_of(world, plan) == [("restore", "succeeded"), ("playbook", "succeeded")]
    assert (world.host / "data/orders").read_text() == "one order\n"
    detail = dict(plan.detail)
    assert detail["seconds"] >= sum(step["seconds"] for step in detail["steps"]) > 0
    assert detail["within_rto"] is True
    assert list(detail["verified"]) == ["shop/checks/up@here"]

    refused = shell.types("recovery", "rehearse", "shop", "--host", "here", code=3)
    assert "it would be overwritten" in refused
    assert len(plans(world)) == 2

    (world.host / "up").unlink()
    (world.host / "broken").touch()
    failed = shell.types(*run, "--yes", code=1).replace("\n", " ")
    assert "step 2 of 2, playbook rebuild.yml, failed" in failed
    assert "watchkeeper recovery run shop/recoveries/shop@here" in failed
    shell.types("kill-switch", "on", "--reason", "quiet")
    switched = shell.types(*run, "--yes", code=3)
    assert "refused by the gate kill switch" in switched.replace("\n", " ")
    assert [str(one.state) for one in plans(world)][2:] == ["failed", "cancelled"]
    (item,) = shell.reads("recovery", "list")["items"]
    assert (item["verdict"], item["run_state"]) == ("failed", "cancelled")
    shell.types("check", "run", KEY, code=1)
    found = world.incident(KEY)
    assert found is not None
    assert "the last recovery failed on here: step 2 of 2, playbook rebuild.yml, failed" in found.why


def test_a_rehearsal_that_is_due_outlives_the_agent_and_its_failure_is_an_incident(world: World, sshd: Sshd) -> None:
    """The daemon is killed in the middle of the second step: the next one goes on, and nothing is done twice."""
    shop(world, sshd, rehearse={"on": "scratch", "every": "day at 04:00"})
    (world.host / "wait").touch()
    first = world.run()
    world.until((world.host / "begun").exists, "the second step of the rehearsal runs")
    first.kill()
    assert [str(one.state) for one in plans(world)] == ["dispatched"]
    shell = Shell("--config", str(world.config), folder=world.folder)
    (item,) = shell.reads("recovery", "list")["items"]
    assert (item["run_state"], item["verdict"]) == ("interrupted", "unproven")
    (world.host / "wait").unlink()
    second = world.run()
    world.until(lambda: plans(world)[-1].state is ExecutionState.SUCCEEDED, "it comes to its end")
    (plan,) = plans(world)
    assert steps_of(world, plan) == [("restore", "succeeded"), ("playbook", "succeeded")]
    assert world.lines("runs") == ["scratch"]

    (world.host / "broken").touch()
    shell.types("recovery", "rehearse", "shop", code=1)
    world.until(lambda: world.is_open(KEY), "a failed rehearsal is an incident", seconds=70)
    found = world.incident(KEY)
    assert found is not None
    assert "the last rehearsal failed on scratch: step 2 of 2" in found.why
    assert second.stop() == 0
