"""Drills on a schedule: samples that go round, a playbook of the operator's against what was restored, an incident when it says no."""

import json
import os

from agent.model.backup import Proof
from agent.model.execution import Execution, ExecutionKind, ExecutionState
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


def shop(world: World, drill: str, every: str = "1s") -> None:
    data = str(world.host / "data")
    plan = {"every": drill, "sample": 5, "contains": [f"{data}/orders"], "playbook": "verify.yml", "rto": "1h"}
    files = {"files": {"paths": [data]}, "repository": "main", "every": every, "rpo": "1h", "drill": plan}
    world.policy("shop", backups={"files": files})


def test_drills_go_round_ask_a_playbook_and_what_it_denies_is_an_incident_until_it_is_mended(world: World) -> None:
    (world.host / "data").mkdir()
    for number in range(FILES):
        (world.host / f"data/file{number}").write_bytes(os.urandom(1000))
    (world.host / "data/orders").write_text("order 1\norder 2\n")
    world.secret("vault", "the password of the repository")
    world.configure(repositories={"main": {"url": "var/restic", "password": {"secret": "vault"}}})
    world.write("playbooks/verify.yml", VERIFY.replace("PLACE", str(world.host / "data")))
    shop(world, drill="1s")
    daemon = world.run()
    world.until(lambda: len(proofs(world)) >= 2, "two drills are done")
    first, second = proofs(world)[:2]
    assert (first.passed, second.passed, first.files) == (True, True, FILES + 1)
    assert 5 <= first.sampled < first.files
    assert (first.turn, second.turn, first.cycle.drawn, second.cycle.drawn) == (1, 2, 1, 2)
    assert first.cycle.order == second.cycle.order != ""
    assert first.seconds >= first.parts["probed"] > 0
    asked = of_kind(world, ExecutionKind.VERIFY)[0]
    assert (asked.state, asked.args["playbook"]) == (ExecutionState.SUCCEEDED, "verify.yml")
    assert str(asked.args["vars"]["sandbox"]).startswith(str(world.state / "sandbox"))

    (world.host / "data/orders").write_text("nothing\n")
    world.until(lambda: world.is_open(KEY), "what the playbook denies is an incident")
    incident = world.incident(KEY)
    assert incident is not None
    assert incident.why.startswith("the last drill failed: verify.yml: RUN")
    failed = next(one for one in of_kind(world, ExecutionKind.VERIFY) if one.state is ExecutionState.FAILED)
    assert f"verify.yml: {failed.number}" in incident.why
    (world.host / "data/orders").write_text("order 1\n")
    world.until(lambda: world.is_resolved(KEY), "and resolved by the next drill that passes")
    shop(world, drill="day at 05:00")
    world.until(lambda: not list((world.state / "sandbox").glob("*/")), "no sandbox is left")
    assert daemon.stop() == 0


def test_a_drill_by_hand_runs_the_playbook_too_and_says_what_it_found(world: World) -> None:
    (world.host / "data").mkdir()
    (world.host / "data/orders").write_text("nothing\n")
    world.secret("vault", "the password of the repository")
    world.configure(repositories={"main": {"url": "var/restic", "password": {"secret": "vault"}}})
    world.write("playbooks/verify.yml", VERIFY.replace("PLACE", str(world.host / "data")))
    shop(world, drill="1d", every="1d")
    assert world.command("run", "--once").returncode == 1
    done = world.command("backup", "drill", "files", "--json")
    assert done.returncode == 1
    (item,) = json.loads(done.stdout)["items"]
    assert item["detail"]["faults"][0].startswith("verify.yml: RUN")
    assert len(of_kind(world, ExecutionKind.VERIFY)) == 2
