"""A service on a real host is lost with its files, and comes back by its recovery; its rehearsal is on another host."""

from pathlib import Path

import pytest

from agent.model.execution import ExecutionKind, ExecutionState
from tests.acceptance.shell import Shell
from tests.acceptance.test_hosts import over_ssh, trust
from tests.acceptance.world import TOP, World
from tests.lab.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]
UNIT = """[Unit]
Description=Keeps the ledger
[Service]
ExecStart=/usr/bin/python3 -u -m http.server --directory /srv/kept-ledger 8123
[Install]
WantedBy=multi-user.target
"""
SHIPPED = ("restore-files.yml", "rebuild-service.yml")
LOST = "systemctl stop kept-ledger; rm -rf /srv/kept-ledger /etc/systemd/system/kept-ledger.service; systemctl daemon-reload"


def ledger(world: World, lab: Lab) -> None:
    """A service of one host, and another host to rehearse on."""
    real, scratch = lab.hosts
    world.hosts({"real": over_ssh(real), "scratch": over_ssh(scratch)})
    trust(world, real, scratch)
    for name in SHIPPED:
        world.write(f"playbooks/{name}", (TOP / "playbooks" / name).read_text())
    real.exec(
        "mkdir -p /srv/kept-ledger; echo 'page one' >/srv/kept-ledger/first; chown -R games:games /srv/kept-ledger\n"
        f"cat >/etc/systemd/system/kept-ledger.service <<'X'\n{UNIT}X\nsystemctl enable -q --now kept-ledger"
    )
    paths = ["/srv/kept-ledger", "/etc/systemd/system/kept-ledger.service"]
    world.policy(
        "ledger",
        hosts="real",
        backups={"files": {"files": {"paths": paths}, "repository": "main", "every": "day at 02:00"}},
        checks={"page": {"http": {"url": "http://{{ ansible_host }}:8123/first", "expect": {"body": "page one"}}}},
        recoveries={
            "ledger": {
                "steps": [
                    {"restore": "backups/files"},
                    {"playbook": "rebuild-service.yml", "vars": {"service": "kept-ledger", "listens_on": "8123"}},
                ],
                "verify": ["checks/page"], "verify_within": "30s", "rto": "10m", "rehearse": {"on": "scratch"},
            }
        },
    )  # fmt: skip


def test_a_lost_service_comes_back_and_its_rehearsal_touches_the_scratch_host_alone(world: World, lab: Lab) -> None:
    real, scratch = lab.hosts
    ledger(world, lab)
    shell = Shell("--config", str(world.config), folder=world.folder)
    try:
        shell.types("run", "--once")
        shell.types("recovery", "rehearse", "ledger", "--reason", "before it is needed")
        assert scratch.exec("stat -c %U /srv/kept-ledger/first; cat /srv/kept-ledger/first").split("\n")[:2] == [
            "games", "page one",
        ]  # fmt: skip
        assert scratch.exec("systemctl is-active kept-ledger").strip() == "active"

        real.exec(f"{LOST}; mkdir /srv/kept-ledger; echo broken >/srv/kept-ledger/first")
        shell.types("recovery", "run", "ledger", "--host", "real", "--yes", "--reason", "the folder is gone")
        assert real.exec("cat /srv/kept-ledger/first; systemctl is-enabled kept-ledger") == "page one\nenabled\n"
        rehearsal, run = [one for one in world.executions() if one.kind in {"recovery", "rehearsal"}]
        assert (rehearsal.kind, rehearsal.state) == (ExecutionKind.REHEARSAL, ExecutionState.SUCCEEDED)
        assert list(rehearsal.detail["verified"]) == ["ledger/checks/page@scratch"]
        assert (run.kind, run.state) == (ExecutionKind.RECOVERY, ExecutionState.SUCCEEDED)
        (put_back,) = [one for one in world.executions() if one.correlation_id == run.id and one.kind == "restore"]
        kept = put_back.detail["kept"]
        assert real.exec(f"cat {kept}/srv/kept-ledger/first") == "broken\n"

        by_playbook(world, shell, lab)
    finally:
        for host in (real, scratch):
            host.exec(f"{LOST}; rm -rf /var/lib/watchkeeper")


def by_playbook(world: World, shell: Shell, lab: Lab) -> None:
    """The same files by the shipped playbook: aside first, then over to the host; what is replaced is kept."""
    aside = world.folder / "aside"
    real, _ = lab.hosts
    shell.types("backup", "restore", "files", "--host", "real", "--target", str(aside))
    assert Path(f"{aside}/srv/kept-ledger/first").read_text() == "page one\n"
    real.exec("echo changed >/srv/kept-ledger/first; chown root: /srv/kept-ledger/first")
    play = ("playbook", "run", "restore-files.yml", "--hosts", "real", "--reason", "by hand", "-e", f"source={aside}")
    shell.types(*play, "-e", "paths=/srv/kept-ledger/../x", code=1)
    shell.types(*play, "-e", "paths=/srv/kept-ledger")
    assert real.exec("stat -c %U /srv/kept-ledger/first; cat /srv/kept-ledger/first") == "games\npage one\n"
    assert real.exec("tar -xOf /var/lib/watchkeeper/kept/*.tar srv/kept-ledger/first") == "changed\n"
