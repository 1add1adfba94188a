"""Every device profile against the recording of a real device: its sensors are found, and their values are sane."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from agent.checks import Target, interfaces
from agent.checks.interfaces import Interfaces, InterfacesOptions
from agent.checks.profile import METRICS, profiles, sources
from agent.checks.snmp import Snmp, SnmpOptions
from agent.clock import Deadline, SystemClock
from agent.model.look import Look, Verdict
from agent.transports.snmp.hub import Hub
from tests.fakes.snmp_peer import number, peering
from tests.lab.snmpsim import recordings, running_snmpsim

CLOCK = SystemClock()
DEVICES = MappingProxyType({
    "cisco-ios": "network/switch/cisco-c3560", "juniper-junos": "network/router/juniper-mx960-12-3r6-6",
    "huawei-vrp": "network/router/huawei-s5720", "h3c-comware": "network/switch/h3c-comware-7-1-075",
    "fortinet-fortios": "network/firewall/fortinet-xcu", "arista-eos": "cloud/arista-dcs-7150s-52-cl",
    "net-snmp": "os/linux/unknown-003", "standard": "network/firewall/paloalto-pa-5000",
})  # fmt: skip
WITH_INTERFACES = ("cisco-ios", "h3c-comware")
Where = tuple[str, int]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Where]:
    """All the devices at one address; the community says which."""
    if recordings() is None:
        pytest.skip("no snmpsim-data on this machine")
    kept = {device: list(columns_of(device)) for device in DEVICES}
    with running_snmpsim(tmp_path_factory.mktemp("snmpsim"), DEVICES, kept) as where:
        yield where


def columns_of(device: str) -> Iterator[str]:
    """What is ever asked of a device."""
    yield from ("1.3.6.1.2.1.1.2", "1.3.6.1.2.1.1.3")
    for sensor in METRICS:
        own = profiles()[device].sensors
        for source in own.get(sensor) or profiles()["standard"].sensors.get(sensor, ()):
            yield from source.columns()
    if device in WITH_INTERFACES:
        yield from (*interfaces._COLUMNS.values(), *interfaces._OLD.values())


def look(where: Where, device: str, **options: str) -> Look:
    """One look at a recorded device."""

    async def ask() -> Look:
        hub = Hub()
        target = Target(
            host="d", address=where[0], variables={"snmp_community": device, "snmp_port": where[1]}, snmp=hub
        )
        deadline = Deadline.after(CLOCK, 20)
        try:
            if not options:
                return await Interfaces.reach(target, InterfacesOptions(), deadline)
            return await Snmp.reach(target, SnmpOptions.model_validate(options), deadline)
        finally:
            hub.close()

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("device", "sensor", "count", "summary"),
    [
        ("cisco-ios", "cpu", 1, "1: 28% used"),
        ("cisco-ios", "memory", 3, "I/O: 43% used (worst of 3)"),
        ("cisco-ios", "temperature", 1, "SW#1, Sensor#1, YELLOW: 61 °C"),
        ("cisco-ios", "fans", 1, "Switch#1, Fan#1: normal"),
        ("cisco-ios", "power", 1, "Sw1, PS1 Normal, RPS NotExist: normal"),
        ("juniper-junos", "cpu", 2, "Routing Engine 0: 29% used"),
        ("juniper-junos", "memory", 2, "8% used"),
        ("juniper-junos", "temperature", 8, "26 °C"),
        ("juniper-junos", "fans", 12, "running"),
        ("juniper-junos", "power", 4, "running"),
        ("huawei-vrp", "cpu", 1, "MPU Board 0: 38% used"),
        ("huawei-vrp", "memory", 1, "MPU Board 0: 7% used"),
        ("huawei-vrp", "temperature", 1, "MPU Board 0: 42 °C"),
        ("huawei-vrp", "fans", 1, "normal"),
        ("h3c-comware", "cpu", 18, "used"),
        ("h3c-comware", "memory", 18, "used"),
        ("h3c-comware", "temperature", 5, "°C"),
        ("h3c-comware", "fans", 2, "normal"),
        ("h3c-comware", "power", 4, "normal"),
        ("fortinet-fortios", "cpu", 1, "5% used"),
        ("fortinet-fortios", "memory", 1, "19% used"),
        ("fortinet-fortios", "temperature", 20, "°C"),
        ("fortinet-fortios", "fans", 10, "ok"),
        ("fortinet-fortios", "power", 2, "Status: ok"),
        ("arista-eos", "cpu", 3, "13% used"),
        ("arista-eos", "memory", 1, "RAM: 79% used"),
        ("arista-eos", "temperature", 9, "°C"),
        ("net-snmp", "cpu", 4, "used"),
        ("net-snmp", "memory", 1, "7% used"),
        ("net-snmp", "temperature", 1, "temp1: 13 °C"),
        ("standard", "cpu", 2, "1: 16% used"),
        ("standard", "memory", 1, "Management Memory: 69% used"),
        ("standard", "temperature", 1, "°C"),
        ("standard", "fans", 8, "ok"),
    ],
)
def test_the_sensors_of_a_recorded_device(recorded: Where, device: str, sensor: str, count: int, summary: str) -> None:
    seen = look(recorded, device, sensor=sensor)
    assert len(seen.instances) >= count, seen.summary
    assert summary in seen.summary, seen.summary
    for one in seen.instances.values():
        [(name, value)] = one.metrics.items()
        if name == "used":
            assert isinstance(value, float)
            assert 0.0 <= value <= 1.0
        elif name == "celsius":
            assert isinstance(value, float)
            assert -20 < value < 120


def test_every_profile_has_its_recorded_device() -> None:
    assert set(profiles()) == set(DEVICES)


@pytest.mark.parametrize("device", WITH_INTERFACES)
def test_the_interfaces_of_a_recorded_device(recorded: Where, device: str) -> None:
    seen = look(recorded, device)
    assert len(seen.instances) > 10
    assert {one.metrics["oper"] for one in seen.instances.values()} >= {"up", "down"}


@pytest.mark.parametrize(
    ("identity", "title"),
    [
        ("1.3.6.1.4.1.9.1.516", "Cisco IOS and IOS XE"),
        ("1.3.6.1.4.1.9.12.3.1.3.1062", "Any device"),
        ("1.3.6.1.4.1.9.10", "Any device"),
        ("1.3.6.1.4.1.25506.1.921", "H3C and HPE Comware"),
        ("", "Any device"),
    ],
)
def test_the_longest_beginning_of_the_identity_decides(identity: str, title: str) -> None:
    assert sources(identity, "cpu")[0] == title


@pytest.mark.parametrize(
    ("states", "verdict", "summary"),
    [
        ({"10.0.0.1": 6, "10.0.0.2": 6}, Verdict.OK, "established (worst of 2)"),
        ({"10.0.0.1": 6, "10.0.0.2": 3}, Verdict.CRITICAL, "10.0.0.2: active (worst of 2)"),
        ({}, Verdict.UNKNOWN, "no bgp found on it"),
    ],
)
def test_peers_of_bgp_are_critical_unless_established(
    states: Mapping[str, int], verdict: Verdict, summary: str
) -> None:
    bgp = "1.3.6.1.2.1.15.3.1"
    values = {f"{bgp}.2.{peer}": number(state) for peer, state in states.items()}
    values |= {f"{bgp}.3.{peer}": number(2) for peer in states}
    values |= {f"{bgp}.2.10.9.9.9": number(1), f"{bgp}.3.10.9.9.9": number(1)}  # shut down on purpose
    with peering(values) as peer:
        seen = look((peer.address, peer.port), "public", sensor="bgp")
    assert seen.verdict is verdict
    assert summary in seen.summary
    assert set(seen.instances) == set(states)


def test_profiles_are_read_from_files_that_explain_themselves() -> None:
    folder = Path(__file__).resolve().parents[2] / "agent/checks/profiles"
    assert all(file.read_text(encoding="utf-8").startswith("# This file ") for file in folder.glob("*.yaml"))
