"""The command line as people and programs use it: the installed program, a real store, what it prints and ends with."""

import json
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from agent.model.execution import ExecutionState
from tests.acceptance.shell import WATCHKEEPER, Shell
from tests.acceptance.world import World

KEY = "shop/checks/door@here"


@pytest.fixture
def shell(world: World) -> Shell:
    """A shell in the world of the test; its shop has a door that is down."""
    world.policy("shop", checks={"door": world.check(title="The door is shut")})
    return Shell("--config", str(world.config), folder=world.folder)


def test_a_fresh_set_up_is_sound_runs_and_is_overwritten_by_nobody(tmp_path: Path) -> None:
    there = Shell(folder=tmp_path)
    there.runs("status", code=2)  # no config.yaml anywhere
    assert "watchkeeper init" in there.types("--config", str(tmp_path / "none/config.yaml"), "status", code=2)
    there.runs("init")
    shell = Shell("--config", str(tmp_path / "config.yaml"), folder=tmp_path)
    assert (tmp_path / "secrets/restic-main").stat().st_mode & 0o777 == 0o600
    assert "overwritten" in shell.types("init", str(tmp_path), code=2)
    assert shell.reads("validate") == {"items": []}
    assert "watchkeeper run" in shell.types("check", "list", code=4)
    summary = json.loads(there.runs("run", "--once", "--json"))
    assert (summary["checks"], summary["backups"], summary["still_open"]) == (4, 1, 0)
    states = {item["item"]: item["state"] for item in shell.reads("check", "list")["items"]}
    states.pop("this-host/checks/load")  # how busy the machine is that runs the tests is not ours to say
    assert set(states.values()) == {"ok"}
    (backup,) = shell.reads("backup", "list")["items"]
    assert backup["verdict"] == "good"
    assert backup["last_good_at"].endswith("Z")
    assert "fail" not in {item["state"] for item in shell.reads("doctor")["items"]}
    assert "the journal is whole" in shell.types("audit", "verify")


def test_an_incident_is_worked_on_and_resolved_only_when_its_check_agrees(world: World, shell: Shell) -> None:
    shell.runs("run", "--once", code=1)  # an incident is open
    (incident,) = shell.reads("incident", "list")["items"]
    assert (incident["number"], incident["state"], incident["host"]) == ("INC0000001", "open", "here")
    assert "The door is shut (here)" in shell.types("incident", "list")
    assert f"watchkeeper check why {KEY}" in shell.types("incident", "show", "1")
    assert "The door is shut" in shell.types("check", "why", "door@here")
    assert shell.reads("check", "why", "door")["because"] == "it is hard critical: its incident is open"
    shell.types("incident", "ack", "1")
    shell.types("incident", "ack", "1", code=3)  # it is acknowledged already
    shell.types("incident", "assign", "1", "on-watch")
    shell.types("incident", "assign", "1", "nobody-we-know", code=2)
    shell.types("incident", "comment", "inc1", "looking at it \x1b[31mnow")
    assert f"{KEY} is critical" in shell.types("incident", "resolve", "1", code=3)
    (world.host / "up").touch()
    shell.types("incident", "resolve", "1", "--reason", "oiled")
    shown = shell.types("incident", "show", "1")
    assert "\x1b" not in shown
    assert "oiled" in shown
    assert shell.reads("incident", "list", "--open") == {"items": []}
    assert "it's ok" in shell.types("check", "why", "door")


def test_an_override_closes_what_still_fails_and_a_person_may_reopen_it(shell: Shell) -> None:
    shell.runs("run", "--once", code=1)
    shell.types("incident", "resolve", "1", "--override", code=2)  # without a reason
    shell.types("incident", "resolve", "1", "--override", "--reason", "the house is closed")
    shell.types("check", "run", "door", code=1)
    assert shell.reads("incident", "show", "1")["state"] == "resolved"  # an override holds while it fails
    shell.types("incident", "reopen", "1", "--reason", "it is open after all")
    assert shell.reads("incident", "show", "1")["episode"] == 2
    shell.types("incident", "open", "The window rattles", "--service", "shop", "--host", "here")
    assert "say how" in shell.types("incident", "resolve", "2", code=2)
    shell.types("incident", "resolve", "2", "--reason", "wedged")


def test_a_manual_play_passes_the_gates_and_is_followed(world: World, shell: Shell) -> None:
    world.write("playbooks/say.yml", "- hosts: all\n  gather_facts: false\n  tasks: [{debug: {var: word}}]\n")
    shell.runs("run", "--once", code=1)
    play = ("playbook", "run", "say.yml", "--hosts", "here", "--reason", "a rehearsal")
    assert "{{ 7*7 }}" in shell.types(*play, "-e", "word={{ 7*7 }}")
    assert "refused variable" in shell.types(*play, "-e", "ansible_host=x", code=2)
    assert "no host or group" in shell.types("playbook", "run", "say.yml", "--hosts", "nope", "--reason", "x", code=2)
    shell.types("kill-switch", "on", "--reason", "storm")
    assert "watchkeeper kill-switch off" in shell.types(*play, code=3)
    shell.types("kill-switch", "off")
    assert shell.reads("kill-switch", "show")["state"] == "off"
    world.write("playbooks/fail.yml", "- hosts: all\n  gather_facts: false\n  tasks: [{fail: {msg: as told}}]\n")
    shell.types("playbook", "run", "fail.yml", "--hosts", "here", "--reason", "x", code=1)


def test_a_person_who_stops_watching_a_play_does_not_stop_the_play(world: World, shell: Shell) -> None:
    shell.runs("run", "--once", code=1)
    wait = f"- hosts: all\n  gather_facts: false\n  tasks: [{{wait_for: {{path: {world.host}/go, timeout: 60, sleep: 1}}}}]\n"
    world.write("playbooks/wait.yml", wait)
    said = world.folder / "play"
    command = ("playbook", "run", "wait.yml", "--hosts", "here", "--reason", "patience")
    with said.open("wb") as stream:
        person = subprocess.Popen(
            [str(WATCHKEEPER), "--config", str(world.config), *command], stdout=stream, stderr=stream
        )
    world.until(lambda: "TASK [wait_for]" in said.read_text(), "the play waits")
    person.send_signal(signal.SIGINT)
    assert person.wait(20) == 130
    assert "goes on by itself" in said.read_text()
    assert "RUN0000001" in shell.types("status")
    (world.host / "go").touch()
    shell.runs("run", "--once", code=1)
    assert [one.state for one in world.executions()] == [ExecutionState.SUCCEEDED]


def test_a_backup_is_made_proven_listed_and_restored_by_hand(world: World, shell: Shell) -> None:
    (world.host / "goods").mkdir()
    world.found()
    (world.host / "goods/list").write_text("apples\n")
    (world.host / "up").touch()
    files = {"files": {"paths": [f"{world.host}/goods"]}, "repository": "main", "every": "day at 02:00"}
    world.policy("shop", checks={"door": world.check()}, backups={"goods": files})
    shell.runs("run", "--once")
    shell.types("backup", "run", "goods")
    shell.types("backup", "drill", "shop/goods")
    (backup,) = shell.reads("backup", "list")["items"]
    assert backup["proven_at"] is not None
    assert len(shell.reads("backup", "snapshots", "goods")["items"]) == 2
    target = world.folder / "back"
    shell.types("backup", "restore", "goods", "--target", str(target))
    assert [path.read_text() for path in target.rglob("list")] == ["apples\n"]
    shell.types("backup", "restore", "goods", "--target", str(target), code=1)  # it is not empty


def test_a_changed_journal_is_found_and_its_first_bad_row_is_named(world: World, shell: Shell) -> None:
    shell.runs("run", "--once", code=1)
    head = shell.reads("audit", "verify")
    before = rewrite(world, "all was well")
    try:
        assert "line 3" in shell.types("audit", "verify", code=1)
        assert shell.reads("audit", "verify", code=1)["first_bad_seq"] == 3
        sick = [item["subject"] for item in shell.reads("doctor", code=1)["items"] if item["state"] == "fail"]
        assert sick == ["journal"]
    finally:
        rewrite(world, before)
    assert shell.reads("audit", "verify") == head
    shell.types("audit", "verify", "--expect", f"{head['rows'] + 1}:{head['head_hash']}", code=1)  # its end is cut off


def rewrite(world: World, why: str) -> str:
    """Change the third line of the journal behind the agent's back; what it said before."""
    with closing(sqlite3.connect(world.state / "watchkeeper.sqlite")) as database:
        (trigger,) = database.execute("SELECT sql FROM sqlite_master WHERE name = 'journal_no_update'").fetchone()
        (before,) = database.execute("SELECT why FROM journal WHERE seq = 3").fetchone()
        database.execute("DROP TRIGGER journal_no_update")
        database.execute("UPDATE journal SET why = ? WHERE seq = 3", (why,))
        database.execute(trigger)
        database.commit()
    return str(before)


def test_a_daemon_in_the_foreground_is_alone_reloads_on_order_and_ends_with_zero(world: World, shell: Shell) -> None:
    assert "no daemon" in shell.types("reload", code=4) or "no database" in shell.types("reload", code=4)
    said = world.folder / "live"
    with said.open("wb") as stream:
        daemon = subprocess.Popen(
            [str(WATCHKEEPER), "--config", str(world.config), "run", "--live"], stdout=stream, stderr=stream
        )
    try:
        world.until(lambda: "INC0000001 opened" in said.read_text(), "the incident is told")
        assert "another daemon" in shell.runs("run", "--for", "1s", code=4)
        world.policy("shop", checks={"door": world.check(), "gate": world.check()})
        assert "2 checks" in shell.types("reload")
        world.policy("shop", checks={"dor": {"comand": "true"}})
        assert "did you mean" in shell.types("reload", code=2)
        assert shell.reads("status")["daemon"]["pid"] == daemon.pid
        daemon.send_signal(signal.SIGINT)
        assert daemon.wait(20) == 0
    finally:
        daemon.kill()
        daemon.wait(10)
    assert "head" in said.read_text().splitlines()[-1]


def test_wrong_input_says_what_to_type(world: World, shell: Shell) -> None:
    shell.runs("run", "--once", code=1)
    for words, told in (
        (("check", "run", "dor"), "did you mean 'door'?"),
        (("check", "why", "door@there"), "it is on: here"),
        (("incident", "show", "7"), "there is no incident '7'"),
        (("plan", "--for", "soon"), "for example: --for 10m"),
        (("statsu",), "Did you mean 'status'"),
        (("backup", "check", "mian"), "no backup names one"),
        (("host", "trust", "there"), "no policy concerns a host 'there'"),
    ):
        assert told in shell.types(*words, code=2)
    world.policy("shop", checks={"door": {"comand": "true"}})
    assert "policies/shop.yaml:" in shell.types("validate", code=2)
