"""A real router's configuration over its life: kept, changed, drifted, brought back, changed within a window."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.shell import Shell
from tests.acceptance.world import World
from tests.lab.router import Router, running_router
from tests.quick_key import cheapen

TOP = Path(__file__).resolve().parents[2]
DAILY = {"kind": "change", "every": "day at 00:00", "for": "25h"}  # always open


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    """FRR behind its own sshd, with two secrets in its configuration."""
    with running_router(tmp_path_factory.mktemp("router")) as running:
        running.configure("password s3cret-one", "enable password s3cret-two")
        yield running


def as_inventory(router: Router) -> dict[str, Any]:
    host = router.host
    return {
        "ansible_host": host.address, "ansible_port": host.port, "ansible_user": host.user,
        "ansible_ssh_private_key_file": host.key_file, "ansible_connection": "network_cli",
        "ansible_network_os": "frr.frr.frr",
    }  # fmt: skip


def incidents(shell: Shell) -> list[dict[str, Any]]:
    """All open ones."""
    found = shell.reads("incident", "list")["items"]
    return [item for item in found if item["state"] == "open"]


def backed_up(shell: Shell, code: int = 0) -> dict[str, Any]:
    (item,) = shell.reads("backup", "run", "network", "--reason", "a look", code=code)["items"]
    found: dict[str, Any] = item
    return found


def test_a_router_is_kept_and_its_drift_is_an_incident_until_it_is_gone(world: World, router: Router) -> None:
    world.hosts({"lab-router": as_inventory(router)})
    plan = {"device_config": {"hide_secrets": True}, "every": "1h", "drift": "incident"}
    world.policy("net", hosts="lab-router", backups={"network": plan})
    shell = Shell("--config", str(world.config), folder=world.folder)
    assert "no configuration of lab-router was kept" in shell.types("config", "history", "lab-router", code=2)
    shell.types("host", "trust", "lab-router", "--yes")
    shell.runs("run", "--once")
    (first,) = shell.reads("config", "history", "lab-router")["items"]
    assert first["why"].endswith(": it is due")
    assert "is the first configuration" in shell.types("config", "diff", "lab-router", code=2)

    router.configure("route-map out permit 10", "description s3cret-three is what it is", "password s3cret-four")
    assert backed_up(shell)["summary"].endswith("changed: 5 lines came, 1 went")
    (incident,) = incidents(shell)
    assert incident["title"] == "lab-router was changed outside a window for changes"
    assert "+route-map out permit 10" in incident["why"]
    assert "lab-router was changed outside a window: " in shell.types("status", code=0)
    backed_up(shell)
    assert len(incidents(shell)) == 1, "it stands: no second incident, and no second line"
    (listed,) = shell.reads("backup", "list")["items"]
    assert listed["drift"]["stands"]
    assert "+route-map out permit 10" in listed["drift"]["lines"]
    patch = shell.types("config", "diff", "lab-router")
    assert "+route-map out permit 10" in patch
    assert "-password <hidden:" in patch, "a secret that changed is seen to change"
    assert "s3cret-one" not in patch + str(incident)
    assert shell.reads("config", "diff", "lab-router")["items"][0]["patch"] == patch

    router.configure("no route-map out", "password s3cret-one")
    backed_up(shell)
    assert not incidents(shell), "as it was accepted again: resolved by evidence"

    world.policy("net", hosts="lab-router", backups={"network": plan}, windows={"always": DAILY})
    router.configure("ip prefix-list inside permit 10.0.0.0/8")
    backed_up(shell)
    assert not incidents(shell), "within a window it is a change"
    assert [item["added"] > 0 for item in shell.reads("config", "history", "lab-router")["items"]] == [True] * 4
    assert len(subjects(world)) == 4, "one commit per change, none for a look that found nothing"
    assert not leaked(world, b"s3cret-one")


def test_a_router_comes_back_by_the_playbook_that_we_ship(world: World, router: Router) -> None:
    """Its full configuration out of restic, compared, applied, and found as it was by the next backup."""
    shipped = {name: (TOP / "playbooks" / name).read_text() for name in ("restore-frr.yml", "frr/steps")}
    world.write("playbooks/restore-frr.yml", shipped["restore-frr.yml"])
    world.hosts({"lab-router": as_inventory(router)})
    world.secret("vault", world.canary)
    world.configure(repositories={"main": {"url": "var/restic", "password": {"secret": "vault"}}})
    plan = {"device_config": {}, "repository": "main", "every": "1h", "drift": "incident"}
    world.policy("net", hosts="lab-router", backups={"network": plan})
    shell = Shell("--config", str(world.config), folder=world.folder)
    router.configure("password s3cret-one", "route-map out permit 10", "description the way out")
    shell.types("host", "trust", "lab-router", "--yes")
    shell.runs("run", "--once")
    cheapen(world.state / "restic/lab-router", world.canary)
    good = router.running()

    router.configure("no route-map out", "password lost", "ip prefix-list wrong permit any", "ip router-id 192.0.2.1")
    backed_up(shell)
    assert len(incidents(shell)) == 1
    at = shell.reads("backup", "snapshots", "network")["items"][-1]["at"]
    target = world.folder / "back"
    shell.types("backup", "restore", "network", "--host", "lab-router", "--target", str(target), "--at", at)
    again = ("playbook", "run", "restore-frr.yml", "--hosts", "lab-router", "--reason", "it drifted",
             "-e", f"configuration={target}/lab-router.cfg")  # fmt: skip
    assert "copy the folder `frr` along" in shell.types(*again, "--check", code=1)
    world.write("playbooks/frr/steps", shipped["frr/steps"])
    assert "route-map out permit 10" in shell.types(*again, "--check")
    assert router.running() != good
    shell.types(*again)
    assert router.running() == good
    backed_up(shell)
    assert not incidents(shell)


def subjects(world: World) -> list[str]:
    """The subjects of the commits, by git itself."""
    argv = ["git", "-C", str(world.state / "configs.git"), "log", "--format=%an %s"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()


def leaked(world: World, secret: bytes) -> list[Path]:
    """The files of the state folder that hold a secret, what git has packed away included."""
    argv = ["git", "-C", str(world.state / "configs.git"), "log", "-p", "--all"]
    told = subprocess.run(argv, capture_output=True, check=True).stdout
    (world.folder / "history.txt").write_bytes(told)
    files = [*world.state.rglob("*"), world.folder / "history.txt"]
    return [path for path in files if path.is_file() and secret in path.read_bytes()]
