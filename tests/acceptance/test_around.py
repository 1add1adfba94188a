"""What runs around a backup, with real playbooks: cleanup comes after whatever was begun, also when the agent is killed."""

import json

from agent.model.execution import ExecutionKind, ExecutionState
from tests.acceptance.world import HERE, World

KEY = "shop/backups/files@here"
AROUND = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.shell: 'echo {{ word }} >> "{{ place }}/steps"; test ! -e "{{ place }}/broken-{{ word }}"'
"""
STEPS = [ExecutionKind.PREPARE, ExecutionKind.BACKUP, ExecutionKind.CLEANUP]


def shop(world: World, **more: object) -> None:
    """A backup with a playbook before and after it, that was never made."""
    (world.host / "data").mkdir(exist_ok=True)
    world.found()
    (world.host / "data" / "orders").write_text("42\n")
    world.write("playbooks/around.yml", AROUND)

    def around(word: str) -> dict[str, object]:
        return {"playbook": "around.yml", "vars": {"word": word, "place": str(world.host)}}

    plan = {"files": {"paths": [str(world.host / "data")]}, "repository": "main", "every": "12h", "rpo": "24h"}
    world.policy(
        "shop", backups={"files": {**plan, "prepare": around("prepare"), "cleanup": around("cleanup"), **more}}
    )


def rounds(world: World) -> list[tuple[ExecutionKind, ExecutionState]]:
    return [(one.kind, one.state) for one in world.executions()]


def steps(world: World) -> list[str]:
    """What the playbooks left on the host."""
    path = world.host / "steps"
    return path.read_text().split() if path.exists() else []


def is_over(world: World) -> bool:
    kinds = [one.kind for one in world.executions() if one.ended_at_us]
    return ExecutionKind.CLEANUP in kinds


def test_a_daemon_that_dies_in_the_middle_of_each_step_leaves_no_host_prepared(world: World) -> None:
    """Killed after each of the three starts: the next one takes the round up where it stands; no step is taken twice."""
    world.hosts({"here": HERE, "spare": HERE})
    shop(world)
    for _ in STEPS:
        world.start("after-dispatch", 1).ends()
    last = world.run()
    world.until(lambda: is_over(world), "the round is over")
    assert last.stop() == 0
    done = world.executions()
    assert rounds(world) == [(kind, ExecutionState.SUCCEEDED) for kind in STEPS]
    assert steps(world) == ["prepare", "cleanup"]
    assert len({one.args["round"] for one in done}) == 1
    assert all(one.actor == "agent" for one in done)
    reports_it(world)


def reports_it(world: World) -> None:
    """What listing and report say of the one backup that was made."""
    [listed] = json.loads(world.command("backup", "list", "--json").stdout)["items"]
    assert (listed["verdict"], listed["rpo_s"], listed["rto_s"], listed["copies"]) == ("good", 86400.0, None, [])
    assert (listed["size_bytes"], listed["trend"], listed["success_rate"]) == (3, "▁", 1.0)
    assert 0 <= listed["rpo_now_s"] < 600
    report = json.loads(world.command("backup", "report", "--json").stdout)
    [item], [repository] = report["items"], report["repositories"]
    assert (item["runs"], item["success_rate"], item["growth_bytes_per_day"]) == (1, 1.0, None)
    assert item["cpu_s"] > 0
    assert item["wall_s"] > 0
    assert (repository["backups"], repository["full_in_s"]) == ([KEY], None)
    assert repository["free_bytes"] > 0
    assert report["hosts_without_backup"] == ["spare"]
    assert "nothing is saved of 1 host: spare" in world.command("backup", "report").stdout


def test_cleanup_follows_a_failed_prepare_and_a_command_decides_whether_there_is_a_round_at_all(world: World) -> None:
    primary = world.host / "primary"
    shop(world, skip_unless=f"test -e {primary}")
    assert world.command("run", "--once").returncode == 0
    [skipped] = world.executions()
    assert (skipped.kind, skipped.state) == (ExecutionKind.BACKUP, ExecutionState.CANCELLED)
    assert skipped.summary == f"skip_unless: 'test -e {primary}': exit 1: nothing was printed"
    assert world.check_state(KEY).is_failing is False, "what is left out is no failure"

    (world.host / "broken-prepare").touch()
    by_hand = world.command("backup", "run", "files", "--reason", "a try", "--json")
    assert by_hand.returncode == 1, by_hand.stderr
    told = json.loads(by_hand.stdout)["items"]
    assert [(one["kind"], one["state"]) for one in told] == [("prepare", "failed"), ("cleanup", "succeeded")]
    assert {one["actor"] for one in told} != {"agent"}
    assert steps(world) == ["prepare", "cleanup"]
    [listed] = json.loads(world.command("backup", "list", "--json").stdout)["items"]
    assert listed["verdict"] == "failed"
