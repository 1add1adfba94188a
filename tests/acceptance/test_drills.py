"""Drills on a schedule: samples that go round, a playbook of the operator's against what was restored, an incident when it says no."""

import json
import os

import pytest

from agent.model.execution import Execution, ExecutionKind, ExecutionState
from agent.model.proof import Proof
from agent.store import backups
from tests.acceptance.world import World

KEY = "shop/backups/files@here"
FILES = 12
VERIFY = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Look whether the order book is there
      ansible.builtin.command: grep -q "^order 1$" "{{ sandbox }}{{ place }}/orders"
      changed_when: false
      vars: {place: PLACE}
"""


def proofs(world: World) -> list[Proof]:
    """The drills that are on record, the oldest first."""
    with world.store.read() as reader:
        return backups.proofs(reader, KEY)[::-1]


def of_kind(world: World, kind: ExecutionKind) -> list[Execution]:
    return [one for one in world.executions() if one.kind is kind]


def shop(world: World) -> None:
    data = str(world.host / "data")
    drill = {"every": "1d", "sample": 5, "contains": [f"{data}/orders"], "playbook": "verify.yml", "rto": "1h"}
    plan = {"files": {"paths": [data]}, "repository": "main", "every": "1d", "rpo": "2d", "drill": drill}
    world.policy("shop", backups={"files": plan})


def test_a_drill_of_a_sample_asks_a_playbook_and_what_it_denies_is_an_incident(world: World) -> None:
    (world.host / "data").mkdir()
    for number in range(FILES):
        (world.host / f"data/file{number}").write_bytes(os.urandom(1000))
    (world.host / "data/orders").write_text("order 1\norder 2\n")
    world.write("playbooks/verify.yml", VERIFY.replace("PLACE", str(world.host / "data")))
    shop(world)
    world.found()
    assert world.command("run", "--once").returncode == 0
    (first,) = proofs(world)
    assert (first.passed, first.files, first.turn, first.cycle.drawn) == (True, FILES + 1, 1, 1)
    assert 5 <= first.sampled < first.files
    assert first.seconds == pytest.approx(sum(first.parts.values()))
    assert first.parts["probed"] > first.parts["compared"] > 0
    (asked,) = of_kind(world, ExecutionKind.VERIFY)
    assert (asked.state, asked.args["playbook"]) == (ExecutionState.SUCCEEDED, "verify.yml")
    assert asked.args["vars"]["sandbox"] == f"{world.state}/sandbox/{first.exec_id}/newest"

    (report,) = json.loads(world.command("backup", "report", "--json").stdout)["items"]
    assert (report["unseen_drills"], report["unseen_s"]) == (3, 3 * 86_400.0)
    assert report["rto_predicted_s"] == pytest.approx(first.seconds * first.whole_bytes / first.size_bytes, rel=0.3)

    (world.host / "data/orders").write_text("nothing\n")
    assert world.command("backup", "run", "files").returncode == 0
    done = world.command("backup", "drill", "files", "--json")
    (item,) = json.loads(done.stdout)["items"]
    denied = of_kind(world, ExecutionKind.VERIFY)[-1]
    assert (done.returncode, item["state"], denied.state) == (1, "failed", ExecutionState.FAILED)
    assert item["detail"]["faults"][0].startswith(f"verify.yml: {denied.number}: ")
    assert world.command("run", "--once").returncode == 1
    incident = world.incident(KEY)
    assert incident is not None
    assert incident.why.startswith(f"the last drill failed: verify.yml: {denied.number}")

    assert [(one.turn, one.passed, one.cycle.drawn) for one in proofs(world)] == [(1, True, 1), (2, False, 1)]
    assert len({one.cycle.order for one in proofs(world)}) == 1
    assert list((world.state / "sandbox").iterdir()) == []
