"""interfaces against snmpd and against devices whose counters wrap, jump, move or stand still."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.checks import Target
from agent.checks.interfaces import Interfaces, InterfacesOptions
from agent.clock import Deadline, SystemClock
from agent.model.look import Look, Verdict
from agent.transports.snmp import ber
from agent.transports.snmp.ber import Cell
from agent.transports.snmp.hub import Hub
from tests.fakes.snmp_peer import Peer, counter, number, peering, words
from tests.lab.snmpd import Snmpd, running_snmpd

CLOCK = SystemClock()
UPTIME = "1.3.6.1.2.1.1.3.0"
IF, IFX = "1.3.6.1.2.1.2.2.1", "1.3.6.1.2.1.31.1.1.1"
GIGABIT = 1_000_000_000


def port(index: int, name: str, *, oper: int = 1, admin: int = 1, alias: str = "", mbit: int = 1000) -> dict[str, Cell]:
    """An interface of today: 64-bit counters at 1000 bytes, no errors."""
    return {
        f"{IFX}.1.{index}": words(name), f"{IFX}.18.{index}": words(alias), f"{IF}.7.{index}": number(admin),
        f"{IF}.8.{index}": number(oper), f"{IFX}.15.{index}": counter(mbit, ber.GAUGE32),
        f"{IFX}.6.{index}": counter(1000), f"{IFX}.10.{index}": counter(1000),
        f"{IFX}.19.{index}": counter(0, ber.TIME_TICKS),
        **{f"{IF}.{column}.{index}": counter(0, ber.COUNTER32) for column in (13, 14, 19, 20)},
    }  # fmt: skip


def old_port(index: int, name: str, octets: int, bits_per_second: int = 100_000_000) -> dict[str, Cell]:
    """An interface of a device without the newer table: 32-bit counters."""
    return {
        f"{IF}.2.{index}": words(name), f"{IF}.5.{index}": counter(bits_per_second, ber.GAUGE32),
        f"{IF}.7.{index}": number(1), f"{IF}.8.{index}": number(1),
        f"{IF}.10.{index}": counter(octets, ber.COUNTER32), f"{IF}.16.{index}": counter(0, ber.COUNTER32),
    }  # fmt: skip


def looks(where: Peer | Snmpd, given: Mapping[str, Any], *between: Callable[[], None]) -> list[Look]:
    """A look, then one more after each of the happenings, ten seconds apart for the device and for us."""
    options = InterfacesOptions.model_validate(given)
    variables = {"snmp_community": "public", "snmp_port": where.port}

    async def all_of_them() -> list[Look]:
        clock, hub, found, memory = Later(), Hub(), [], None
        for happens in (lambda: None, *between):
            happens()
            target = Target(host="d", address=where.address, variables=variables, snmp=hub, memory=memory)
            look = await Interfaces.reach(target, options, Deadline.after(clock, 1))
            memory = look.memory or memory
            found.append(look)
            clock.later += 10 * 10**9
            if isinstance(where, Peer):
                where.values[UPTIME] = counter(int(ber.number(where.values[UPTIME]) or 0) + 1000, ber.TIME_TICKS)
        hub.close()
        return found

    return asyncio.run(all_of_them())


class Later(SystemClock):
    """The kernel's clock, set forward."""

    later = 0

    def boottime(self) -> int:
        return super().boottime() + self.later


def device(*ports: Mapping[str, Cell]) -> dict[str, Cell]:
    """A device that has been up for a day."""
    values = {UPTIME: counter(8_640_000, ber.TIME_TICKS)}
    for one in ports:
        values |= one
    return values


def raised(peer: Peer, name: str, by: int) -> Callable[[], None]:
    """A counter that rises, and wraps at its size."""

    def rise() -> None:
        tag, _ = peer.values[name]
        peer.values[name] = counter((int(ber.number(peer.values[name]) or 0) + by) % ber.COUNTERS[tag], tag)

    return rise


def placed(peer: Peer, values: Mapping[str, Cell]) -> Callable[[], None]:
    """Values that change."""
    return lambda: peer.values.update(values)


def test_the_interfaces_of_a_real_agent(tmp_path: Path) -> None:
    if not Path("/usr/sbin/snmpd").exists():
        pytest.skip("no snmpd on this machine")
    with running_snmpd(tmp_path) as snmpd:
        [look] = looks(snmpd, {"match": "^lo$"})
    assert list(look.instances) == ["lo"]
    assert look.instances["lo"].metrics["oper"] == "up"
    assert look.summary == "1 of 1 up"


def test_rates_come_with_the_second_look() -> None:
    with peering(device(port(1, "eth0", alias="uplink"), port(2, "eth1"))) as peer:
        first, second = looks(peer, {}, raised(peer, f"{IFX}.6.1", 125_000_000))
    assert first.instances["eth0"].metrics == {"oper": "up", "admin": "up"}
    busy = second.instances["eth0"].metrics
    assert busy["in"] == pytest.approx(100_000_000)
    assert (busy["out"], busy["errors"], busy["discards"]) == (0.0, 0.0, 0.0)
    assert busy["utilization"] == pytest.approx(0.1)
    assert second.instances["eth0"].summary == "eth0 (uplink): up, 10% used"
    assert second.instances["eth1"].metrics["utilization"] == 0.0


def test_errors_and_discards_of_both_directions() -> None:
    with peering(device(port(1, "eth0"))) as peer:

        def go_wrong() -> None:
            for column, by in ((13, 10), (19, 20), (14, 30), (20, 10)):
                raised(peer, f"{IF}.{column}.1", by)()

        _, second = looks(peer, {}, go_wrong)
    told = second.instances["eth0"]
    assert told.metrics["discards"] == pytest.approx(3.0)
    assert told.metrics["errors"] == pytest.approx(4.0)
    assert "4 errors/s, 3 discards/s" in told.summary


@pytest.mark.parametrize(
    "happens",
    [
        lambda peer: placed(peer, {UPTIME: counter(300, ber.TIME_TICKS), f"{IFX}.6.1": counter(5)}),
        lambda peer: placed(peer, {f"{IFX}.19.1": counter(8_640_500, ber.TIME_TICKS)}),
        lambda peer: placed(peer, {f"{IFX}.6.1": counter(5), f"{IFX}.10.1": counter(5)}),
        lambda peer: raised(peer, f"{IFX}.6.1", 10**12),
        lambda peer: lambda: (peer.values.clear(), peer.values.update(device(port(7, "eth0")))),
    ],
    ids=["restarted", "discontinuity", "set back", "faster than it is", "renumbered"],
)
def test_what_cannot_be_compared_gives_no_rate_once(happens: Callable[[Peer], Callable[[], None]]) -> None:
    with peering(device(port(1, "eth0"))) as peer:
        found = looks(peer, {}, happens(peer), lambda: None)
    metrics = [set(look.instances["eth0"].metrics) for look in found]
    assert not metrics[1] & {"utilization", "in"}
    assert "utilization" in metrics[2], "the look after it is as any other"


def test_an_interface_whose_index_moves_stays_itself() -> None:
    with peering(device(port(1, "eth0", alias="a"), port(2, "eth1", oper=2))) as peer:

        def renumber() -> None:
            peer.values.clear()
            peer.values.update(device(port(11, "eth1", oper=2), port(12, "eth0", alias="a")))

        found = looks(peer, {}, renumber)
    for look in found:
        assert {name: one.metrics["oper"] for name, one in look.instances.items()} == {"eth0": "up", "eth1": "down"}


def test_counters_of_32_bits_come_round_once() -> None:
    with peering(device(old_port(1, "port1", 2**32 - 1000))) as peer:
        _, second = looks(peer, {}, raised(peer, f"{IF}.10.1", 12_500_000))
    assert second.instances["port1"].metrics["in"] == pytest.approx(10_000_000)
    assert second.instances["port1"].metrics["utilization"] == pytest.approx(0.1)


def test_counters_of_32_bits_on_a_fast_interface_tell_nothing() -> None:
    with peering(device(old_port(1, "port1", 7, bits_per_second=2**32 - 2))) as peer:
        _, second = looks(peer, {}, raised(peer, f"{IF}.10.1", 5))
    assert "utilization" not in second.instances["port1"].metrics, "in ten seconds they may have come round twice"


def test_only_what_is_meant_is_looked_at() -> None:
    ports = [
        port(1, "eth0"),
        port(2, "eth1", admin=2, oper=2),
        port(3, "mgmt", alias="out of band"),
        port(4, "eth2", oper=2),
    ]
    with peering(device(*ports)) as peer:
        assert list(looks(peer, {"match": "^eth"})[0].instances) == ["eth0", "eth2"]
        assert looks(peer, {"match": "^eth"})[0].summary == "1 of 2 up; not up: eth2"
        assert list(looks(peer, {"alias": "band"})[0].instances) == ["mgmt"]
        everything = looks(peer, {"admin": "all"})[0].instances
        assert everything["eth1"].metrics == {"oper": "down", "admin": "down"}
        nothing = looks(peer, {"match": "^nothing"})[0]
    assert (nothing.verdict, nothing.summary) == (Verdict.UNKNOWN, "no interface matches")


def test_namesakes_and_nameless_interfaces_are_told_apart() -> None:
    with peering(device(port(1, "eth"), port(2, "eth"), port(3, ""), port(4, "e#1\x1b[1m"))) as peer:
        names = list(looks(peer, {})[0].instances)
    assert names == ["eth (1)", "eth (2)", "(3)", "e1"]


def test_a_device_that_does_not_answer_is_critical_and_its_memory_stays() -> None:
    with peering(device(port(1, "eth0"))) as peer:
        mute: list[bool] = []
        peer.mangle = lambda _request, answer: [] if mute else [answer]

        def speak() -> None:
            mute.clear()
            raised(peer, f"{IFX}.6.1", 25_000_000)()

        honest, silent, again = looks(peer, {}, lambda: mute.append(True), speak)
    assert (honest.verdict, silent.verdict, again.verdict) == (Verdict.OK, Verdict.CRITICAL, Verdict.OK)
    assert silent.summary.endswith("no answer")
    assert again.instances["eth0"].metrics["in"] == pytest.approx(10_000_000, rel=0.2), "over both intervals"


def test_a_device_without_interfaces_cannot_be_told() -> None:
    with peering(device()) as peer:
        [look] = looks(peer, {})
    assert (look.verdict, look.summary) == (Verdict.UNKNOWN, "it tells of no interfaces")
