"""What `doctor` and `status` say of hosts that do not answer, answer by other ways than a shell, or keep others waiting."""

from collections.abc import Iterator

import pytest

from agent.clock import SystemClock
from agent.model.look import Look, Result, Verdict
from agent.runtime.rota import TALLY
from agent.store import looks
from tests.acceptance.shell import Shell
from tests.acceptance.world import HERE, World
from tests.lab.router import Router, running_router
from tests.lab.snmpd import Snmpd, running_snmpd


@pytest.fixture
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    """FRR behind its own sshd."""
    with running_router(tmp_path_factory.mktemp("router")) as running:
        yield running


@pytest.fixture
def snmpd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snmpd]:
    """A real agent."""
    with running_snmpd(tmp_path_factory.mktemp("snmpd")) as running:
        yield running


def test_doctor_asks_network_devices_by_the_ways_that_their_checks_use(
    world: World, router: Router, snmpd: Snmpd
) -> None:
    device = {"ansible_connection": "ansible.netcommon.network_cli", "ansible_network_os": "frr.frr.frr"}
    there = {
        "ansible_host": router.host.address, "ansible_port": router.host.port, "ansible_user": router.host.user,
        "ansible_ssh_private_key_file": str(router.host.key_file),
    }  # fmt: skip
    world.hosts({
        "core": {**device, **there}, "kept": {**device, **there}, "gone": {**device, "ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_user": "x"},
        "switch": {**device, "ansible_host": snmpd.address, "snmp_port": snmpd.port, "snmp_community": "public"},
        "mute": {**device, "ansible_host": "127.0.0.1", "snmp_port": 1, "snmp_community": "public"},
        "bare": {**device, "ansible_host": "127.0.0.1"},
    })  # fmt: skip
    pins = world.state / "known_hosts"
    pins.touch(mode=0o600)
    pins.write_text(f"[{router.host.address}]:{router.host.port} {router.key.type} {router.key.base64}\n")
    world.policy("routers", hosts="core,gone", checks={"version": {"cli": {"command": "show version"}}})
    kept = {"device_config": {"hostname": "lab-router"}, "every": "1h"}
    world.policy("configurations", hosts="kept", backups={"running": kept})
    up, ports = {"snmp": "1.3.6.1.2.1.1.3.0"}, {"interfaces": {"match": "^lo$"}}
    world.policy("switches", hosts="switch,mute,bare", checks={"up": up, "ports": ports})
    items = Shell("--config", str(world.config), folder=world.folder).reads("doctor", code=1)["items"]
    assert {item["subject"] for item in items if item["state"] == "fail"} == {"hosts"}, items
    hosts = {item["says"].partition(" ")[0].rstrip(":"): item for item in items if item["subject"] == "hosts"}
    assert {name: item["state"] for name, item in hosts.items()} == {
        "core": "ok", "kept": "ok", "gone": "fail", "switch": "ok", "mute": "fail", "bare": "fail",
    }  # fmt: skip
    assert hosts["switch"]["says"] == f"switch answers by SNMP (v2c, {snmpd.address} port {snmpd.port})"
    assert "snmp_community" in hosts["bare"]["mend"]
    assert all(item["mend"] for item in hosts.values() if item["state"] == "fail")


def note(world: World, key: str, **metrics: float) -> None:
    """Write what the agent would have noted of itself just now."""
    now_us = SystemClock().now()
    look = Look(verdict=Verdict.WARNING, summary="as noted", metrics=metrics)
    with world.store.write() as tx:
        looks.save(tx, [Result(key=key, begun_us=now_us, ended_us=now_us, look=look)])


def test_looks_that_came_too_late_are_told_with_the_hosts_that_are_slow(world: World) -> None:
    world.hosts({"here": HERE})
    world.policy("shop", checks={"fine": {"command": "true"}})
    shell = Shell("--config", str(world.config), folder=world.folder)
    shell.types("run", "--once")
    assert shell.reads("status")["looks"] is None
    assert "looks" not in {item["subject"] for item in shell.reads("doctor")["items"]}

    note(world, TALLY, looked=60.0, late=0.0, wait=0.2)
    assert shell.reads("status")["looks"]["late"] == 0
    assert "came too late" not in shell.types("status")
    note(world, TALLY, looked=57.0, late=3.0, wait=12.0)
    note(world, "shop/checks/fine@here", time=19.6)
    told = "3 of 60 looks in the last minute came too late and were left out, the longest wait 12 s"
    assert f"{told}: see watchkeeper doctor" in shell.types("status")
    (found,) = [item for item in shell.reads("doctor")["items"] if item["subject"] == "looks"]
    assert (found["state"], found["says"]) == ("warn", f"{told}; slow: here (20 s)")
    assert "64 looks go on at once" in found["mend"]
