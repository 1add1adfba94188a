"""cli on a real FRR router over SSH by netmiko, and on devices that say too much, nothing, or are somebody else."""

import asyncio
import dataclasses
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
import psutil
import pytest
from ntc_templates.parse import parse_output  # type: ignore[import-untyped]  # it ships no types

from agent.checks.cli import Cli, CliOptions
from agent.clock import Deadline, SystemClock
from agent.closed import SecretRef
from agent.errors import HostKeyError, InputError, TransportError
from agent.model.cadence import Every
from agent.model.check import Check, Rules, RunFrom, reach_key
from agent.model.host import Connection, Host
from agent.model.look import Result, Verdict
from agent.runtime.looking import Looker
from agent.runtime.workers import Workers
from agent.transports import known_hosts
from agent.transports.device import MOST_BYTES, device_pool, platform
from agent.transports.ssh import SshPool
from tests.lab.peer import Peer, Play, prompting, ssh_peer
from tests.lab.router import Router, running_router
from tests.lab.wait import in_time, until

CLOCK = SystemClock()
PASSWORD = "let-me-in"
PROMPT = b"\r\nsw-1#"


def reveal(reference: SecretRef) -> str:
    assert reference.secret == "device"
    return PASSWORD


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    """FRR behind its own sshd."""
    with running_router(tmp_path_factory.mktemp("router")) as running:
        yield running


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[SshPool]:
    """Kept sessions, with a file of pins of its own; after it nothing is left open."""
    parse_output("cisco_ios", "show ip arp", "")  # it keeps its index of templates open, once and for ever
    process = psutil.Process()
    threads, descriptors = threading.active_count(), process.num_fds()
    made = device_pool(tmp_path / "known_hosts", CLOCK, reveal)
    yield made
    made.close()
    until(lambda: threading.active_count() <= threads, 5, f"threads end: {threading.enumerate()}")
    until(lambda: process.num_fds() <= descriptors, 5, "descriptors are closed")


def pinned(pool: SshPool, where: Router | Peer) -> Host:
    known_hosts.pin(pool._pins, where.host, where.key)
    return where.host


def soon(seconds: float = 20.0) -> Deadline:
    return Deadline.after(CLOCK, seconds)


def check(host: Host, **options: Any) -> Check:
    """A `cli` check on a device."""
    key = f"net/checks/{options.get('command', 'x').replace(' ', '-')}@{host.name}"
    return Check(
        key=key, item=key.partition("@")[0], service="net", host=host.name, kind="cli", run_from=RunFrom.HOST,
        options=CliOptions.model_validate(options), every=(Every(seconds=60),), timeout_seconds=10,
        retry_every_seconds=15, rules=Rules(key=key),
    )  # fmt: skip


def looked(pool: SshPool, host: Host, *checks: Check) -> dict[str, Result]:
    """One look by the runtime, by key."""
    workers = Workers(2)
    looker = Looker(probes={"cli": Cli}, pools={Connection.NETWORK_CLI: pool}, workers=workers, clock=CLOCK, inner={})
    try:
        return {result.key: result for result in asyncio.run(looker.look(host, checks))}
    finally:
        workers.close()


def test_commands_of_a_real_router_go_over_one_kept_session(router: Router, pool: SshPool) -> None:
    host = pinned(pool, router)
    version = check(host, command="show version", find=r"FRRouting (?P<version>[0-9.]+) \((?P<name>\S+)\)")
    count = check(host, command="show interface brief", find=r"lo +(\w+)")
    for _ in range(2):
        found = looked(pool, host, version, count)
        assert found[reach_key(host.name)].look.summary == "lab-router answers"
        assert found[version.key].look.metrics["name"] == "lab-router"
        assert str(found[version.key].look.metrics["version"])[0].isdigit()
        assert found[count.key].look.metrics["value"] == "down"
    assert (pool.counts().connections, pool.counts().round_trips) == (1, 2)


def test_a_look_without_commands_only_asks_whether_it_is_there(router: Router, pool: SshPool) -> None:
    host = pinned(pool, router)
    reach = dataclasses.replace(check(host, command="show version"), kind="reach", key=reach_key(host.name))
    found = looked(pool, host, reach)
    assert [result.look.verdict for result in found.values()] == [Verdict.OK]


def test_a_command_that_the_router_does_not_know_is_told(router: Router, pool: SshPool) -> None:
    host = pinned(pool, router)
    nonsense = check(host, command="show nonsense")
    look = looked(pool, host, nonsense)[nonsense.key].look
    assert look.verdict is Verdict.UNKNOWN
    assert "the device says % Unknown command" in look.summary


def test_a_session_that_went_stale_is_replaced(router: Router, pool: SshPool) -> None:
    host = pinned(pool, router)
    assert pool.run_batch(host, [("show version", 10.0)], soon())
    for child in psutil.Process(router.sshd).children(recursive=True):
        child.kill()
    assert "FRR" in pool.run_batch(host, [("show version", 10.0)], soon())[0].text
    assert pool.counts().connections == 2


def test_a_router_with_another_key_is_not_spoken_to(router: Router, pool: SshPool) -> None:
    with pytest.raises(HostKeyError, match="is not known yet"):
        pool.run_batch(router.host, [("show version", 5.0)], soon())
    known_hosts.pin(pool._pins, router.host, known_hosts.HostKey(type="ssh-ed25519", base64="AAAA"))
    with pytest.raises(HostKeyError, match="has changed"):
        pool.run_batch(router.host, [("show version", 5.0)], soon())


def playing(answer: bytes) -> Play:
    """A switch that says the same to every show."""
    return prompting(PROMPT, lambda command: answer if command.startswith(b"show") else b"")


def playing_by(answers: dict[bytes, bytes]) -> Play:
    """A switch that answers by the word of the command."""
    return prompting(PROMPT, lambda command: b"".join(text for word, text in answers.items() if word in command))


def switch(peer: Peer, pool: SshPool, **variables: Any) -> Host:
    """The peer as a Cisco switch of the inventory."""
    told = {"ansible_network_os": "cisco.ios.ios", "ansible_password": PASSWORD, **variables}
    host = dataclasses.replace(peer.host, connection=Connection.NETWORK_CLI, variables=told)
    known_hosts.pin(pool._pins, host, peer.key)
    return host


def test_a_password_may_be_a_secret_and_a_wrong_one_is_told(pool: SshPool) -> None:
    with ssh_peer(playing(b"Cisco IOS"), password=PASSWORD) as peer:
        host = switch(peer, pool, ansible_password={"secret": "device"})
        assert "Cisco IOS" in pool.run_batch(host, [("show version", 5.0)], soon())[0].text
        pool.close_host(host.name)
        with pytest.raises(TransportError, match="does not let any in by password") as caught:
            pool.run_batch(switch(peer, pool, ansible_password="wrong"), [("show version", 5.0)], soon())
        assert "ansible_password" in caught.value.hint


def test_rows_are_made_by_a_template(pool: SshPool) -> None:
    printed = (
        b"Interface              IP-Address      OK? Method Status                Protocol\r\n"
        b"GigabitEthernet0/0     10.0.0.1        YES NVRAM  up                    up\r\n"
        b"GigabitEthernet0/1     unassigned      YES NVRAM  administratively down down\r\n"
    )
    with ssh_peer(playing(printed), password=PASSWORD) as peer:
        host = switch(peer, pool)
        columns = {"status": "status", "address": "ip_address"}
        every = check(host, command="show ip interface brief", columns=columns, instance="interface")
        look = looked(pool, host, every)[every.key].look
        pool.close_host(host.name)
    assert {name: one.metrics["status"] for name, one in look.instances.items()} == {
        "GigabitEthernet0/0": "up",
        "GigabitEthernet0/1": "administratively down",
    }


def test_a_device_that_prints_without_end_is_cut_off(pool: SshPool) -> None:
    def flood(channel: paramiko.Channel) -> None:
        channel.sendall(PROMPT)
        while b"show" not in (data := channel.recv(1024)):
            channel.sendall(data + PROMPT)
        while True:
            channel.sendall(b"x" * 32_000)

    with ssh_peer(flood, password=PASSWORD) as peer:
        host = switch(peer, pool)
        asked = check(host, command="show tech-support"), check(host, command="show version")
        found = looked(pool, host, *asked)
        assert found[reach_key(host.name)].look.verdict is Verdict.OK, "it is there, and says too much"
        for one in asked:
            look = found[one.key].look
            assert (look.verdict, f"more than {MOST_BYTES:,} bytes" in look.summary) == (Verdict.UNKNOWN, True)


def test_a_command_that_prints_too_much_costs_the_others_nothing(pool: SshPool) -> None:
    with ssh_peer(
        playing_by({b"tech": b"x" * 40_000_000, b"version": b"Cisco IOS", b"clock": b"noon"}), password=PASSWORD
    ) as peer:
        host = switch(peer, pool)
        asked = [check(host, command=f"show {one}") for one in ("version", "tech", "clock")]
        for connections in (2, 3):
            found = looked(pool, host, *asked)
            looks = [found[one.key].look for one in asked]
            assert [look.verdict for look in looks] == [Verdict.OK, Verdict.UNKNOWN, Verdict.OK]
            assert [look.summary for look in looks[::2]] == ["Cisco IOS", "noon"]
            assert found[reach_key(host.name)].look.verdict is Verdict.OK
            assert pool.counts().connections == connections
        pool.close_host(host.name)


def test_a_device_that_falls_silent_costs_its_time_alone(pool: SshPool) -> None:
    def silent(channel: paramiko.Channel) -> None:
        channel.sendall(PROMPT)
        while data := channel.recv(1024):
            if b"show" not in data:
                channel.sendall(data + PROMPT)

    with ssh_peer(silent, password=PASSWORD) as peer:
        host = switch(peer, pool)
        with in_time(1.0):
            sections = pool.run_batch(host, [("show clock", 1.0), ("show version", 30.0)], soon(40.0))
        assert [section.timed_out for section in sections] == [True, True]
        asked = ("show clock", "show version")
        looks = [Cli.read(one, CliOptions(command=two), "cisco_ios") for one, two in zip(sections, asked, strict=True)]
    assert [(look.verdict, look.summary) for look in looks] == [
        (Verdict.UNKNOWN, "show clock: the device did not come to an end in time"),
        (Verdict.UNKNOWN, "show version: not asked, for the device had not come to an end of: show clock"),
    ]


def test_a_device_without_a_prompt_is_unreachable_in_time(pool: SshPool) -> None:
    with ssh_peer(lambda channel: until(lambda: channel.closed, 60, "hung up"), password=PASSWORD) as peer:
        host = switch(peer, pool)
        with in_time(1.5), pytest.raises(TransportError, match="did not answer in time"):
            pool.run_batch(host, [("show clock", 1.0)], soon(1.5))


def test_without_its_platform_a_device_cannot_be_looked_at(pool: SshPool) -> None:
    with ssh_peer(playing(b"x"), password=PASSWORD) as peer:
        for named, why in (("", "ansible_network_os is not set"), ("acme.os.nine", "not known to netmiko")):
            host = switch(peer, pool, ansible_network_os=named)
            one = check(host, command="show version")
            found = looked(pool, host, one)
            assert {result.look.verdict for result in found.values()} == {Verdict.UNKNOWN}
            assert why in found[one.key].look.summary


@pytest.mark.parametrize(
    ("named", "expected"),
    [("cisco.ios.ios", "cisco_ios"), ("junos", "juniper_junos"), ("frr.frr.frr", "cisco_ios"), ("linux", "linux")],
)
def test_the_platform_is_named_as_netmiko_does(named: str, expected: str) -> None:
    host = Host(name="d", address="d", connection=Connection.NETWORK_CLI, variables={"ansible_network_os": named})
    assert platform(host) == expected


def test_every_platform_that_we_name_exists() -> None:
    from netmiko.ssh_dispatcher import CLASS_MAPPER

    from agent.transports.device import _PLATFORMS

    assert not set(_PLATFORMS.values()) - set(CLASS_MAPPER)
    assert all(hasattr(CLASS_MAPPER[name], "_open") for name in _PLATFORMS.values())


def test_a_platform_with_letters_that_no_name_has_is_refused() -> None:
    host = Host(name="d", address="d", connection=Connection.NETWORK_CLI, variables={"ansible_network_os": "../x"})
    with pytest.raises(InputError, match="not set"):
        platform(host)


def test_without_netmiko_it_says_what_to_install(pool: SshPool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "netmiko"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "netmiko", None)
    with ssh_peer(playing(b"x"), password=PASSWORD) as peer:
        host = switch(peer, pool)
        one = check(host, command="show version")
        found = looked(pool, host, one)
    for key in (one.key, reach_key(host.name)):
        assert found[key].look.verdict is Verdict.UNKNOWN, "nobody is told that the device is down"
        assert "netmiko is not installed" in found[key].look.summary
        assert "watchkeeper[network]" in found[key].look.evidence
