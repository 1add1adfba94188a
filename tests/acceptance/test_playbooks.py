"""Remedies that go wrong: each leaves a timeline that a tired person understands, and nothing running behind."""

from pathlib import Path

import psutil

from agent.model.execution import Execution, ExecutionState
from agent.model.state import Phase
from tests.acceptance.world import HERE, World

LOCAL = ("failing", "hanging", "asking", "gone")
FAILING = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Use the token
      ansible.builtin.shell: echo "no entry with {{ token }}" >&2; exit 3
"""
HANGING = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Wait for a day that never comes
      ansible.builtin.shell: 'echo $$ > "{{ place }}/pids"; setsid sleep 601 & echo $! >> "{{ place }}/pids"; exec sleep 602'
"""
ASKING = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Ask
      ansible.builtin.pause: {prompt: Shall I go on}
    - name: Go on
      ansible.builtin.file: {path: "{{ place }}/went-on", state: touch}
"""


def test_every_way_a_remedy_goes_wrong_is_told_in_its_incident(world: World) -> None:
    """Four hosts at once: a play that fails, one that hangs, one that asks, one that is gone when it is needed."""
    world.hosts(dict.fromkeys(LOCAL, HERE))
    for name, text in (("failing", FAILING), ("hanging", HANGING), ("asking", ASKING), ("gone", FAILING)):
        world.write(f"playbooks/{name}.yml", text)
        seen = {"command": f"test ! -e {world.host}/broken || test -e {world.host}/mended"}
        remedy = world.remedy(f"{name}.yml", timeout="60s" if name == "failing" else "10s")
        world.policy(name, hosts=name, checks={"up": {**seen, "remedy": "cure"}}, remedies={"cure": remedy})
    daemon = world.run()
    (world.folder / "playbooks" / "gone.yml").unlink()
    (world.host / "broken").touch()
    for name in ("failing", "hanging", "asking"):
        world.until(lambda name=name: phase(world, name) is Phase.EXHAUSTED, f"{name} has no remedy left")  # type: ignore[misc]  # mypy knows no defaults of a lambda
    world.until(lambda: phase(world, "gone") in {Phase.REFUSED, Phase.WAITING}, "a gate refuses what is gone")

    cut = "remedy-failed: {0}/remedies/cure did not work: the playbook failed: {1}"
    needed = "comment: no remedy is left to try: a person is needed"
    failed = "failed on failing: Use the token: non-zero return code; no entry with ********"
    assert told(world, "failing") == [cut.format("failing", failed), needed]
    assert told(world, "hanging") == [
        cut.format("hanging", "killed at its deadline during 'Wait for a day that never comes'"), needed,
    ]  # fmt: skip
    assert told(world, "asking") == [cut.format("asking", "killed at its deadline during 'Ask'"), needed]
    refused = "comment: gone/remedies/cure was refused by plan: there is no playbook gone.yml; a playbook of that name"
    assert world.timeline("gone/checks/up@gone")[1:] == [refused]

    assert [one.item.partition("/")[0] for one in world.executions() if one.state is ExecutionState.FAILED] == [
        name for name in ran(world) if name != "gone"
    ]
    assert sorted(ran(world)) == ["asking", "failing", "hanging"]
    assert not (world.host / "went-on").exists()
    assert alive(world.lines("pids")) == []

    (world.host / "mended").touch()
    world.until(lambda: all(world.is_resolved(f"{name}/checks/up@{name}") for name in LOCAL), "all end well")
    assert daemon.stop() == 0
    assert descendants(world.executions(), world.state) == []


def phase(world: World, name: str) -> Phase | None:
    climb = world.check_state(f"{name}/checks/up@{name}").climb
    return climb.phase if climb is not None else None


def told(world: World, name: str) -> list[str]:
    """The timeline from the start of the remedy."""
    opened, started, *rest = world.timeline(f"{name}/checks/up@{name}")
    assert opened.startswith("opened: exit 1")
    assert started.startswith(f"remedy-started: {name}/remedies/cure started as RUN")
    return rest


def ran(world: World) -> list[str]:
    return [one.item.partition("/")[0] for one in world.executions()]


def alive(pids: list[str]) -> list[str]:
    assert len(pids) == 2
    return [pid for pid in pids if psutil.pid_exists(int(pid))]


def descendants(executions: list[Execution], state: Path) -> list[str]:
    """Processes that still know of a run folder."""
    folders = [str(state / one.run_dir) for one in executions]
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or ())
        if any(folder in line for folder in folders):
            found.append(line)
    return found
