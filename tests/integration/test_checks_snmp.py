"""The probes that ask by SNMP, as the runtime calls them: against snmpd, recorded devices, and devices that misbehave."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.checks import Target
from agent.checks.snmp import Snmp, SnmpOptions
from agent.clock import Deadline, SystemClock
from agent.closed import ClosedModel
from agent.errors import InputError, SecretError
from agent.model.look import Look, Unit, Verdict
from agent.secrets import Secrets
from agent.transports.snmp import ber
from agent.transports.snmp.hub import Hub
from tests.fakes.snmp_peer import Peer, counter, number, peering, words
from tests.lab.snmpd import PASSWORD, PRIVACY, Snmpd, running_snmpd
from tests.lab.wait import in_time

CLOCK = SystemClock()
UPTIME, NAME = "1.3.6.1.2.1.1.3.0", "1.3.6.1.2.1.1.5.0"
OCTETS_IN = "1.3.6.1.2.1.31.1.1.1.6.1"
NAMES, STATES = "1.3.6.1.2.1.2.2.1.2", "1.3.6.1.2.1.2.2.1.8"


@pytest.fixture(scope="module")
def snmpd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snmpd]:
    """Debian's snmpd."""
    if not Path("/usr/sbin/snmpd").exists():
        pytest.skip("no snmpd on this machine")
    with running_snmpd(tmp_path_factory.mktemp("snmpd")) as running:
        yield running


def test_more_rows_than_anybody_watches_are_no_instances() -> None:
    rows = {f"{STATES}.{row}": number(row % 2 + 1) for row in range(1, 5_002)}
    with peering({UPTIME: number(1), **rows}) as peer:
        look, narrowed = (
            looks(Snmp, at(peer), options(table={"state": STATES}, **more), seconds=20)[0]
            for more in ({}, {"where": {"state": "^2$"}})
        )
    assert (look.verdict, look.summary) == (Verdict.UNKNOWN, "more than 5,000 rows: leave some out by where")
    assert not look.instances
    assert len(narrowed.instances) == 2_501


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    """A folder with what opens the real agent."""
    for name, value in {"community": "public", "signing": PASSWORD, "sealing": PRIVACY}.items():
        file = tmp_path / name
        file.write_text(value)
        file.chmod(0o600)
    return Secrets(tmp_path)


def at(where: Snmpd | Peer, **variables: Any) -> Target:
    """A host of the inventory; its community is the usual one unless told otherwise."""
    told = variables or {"snmp_community": "public"}
    return Target(host="device", address=where.address, variables={"snmp_port": where.port, **told})


def looks(
    probe: Any, target: Target, options: ClosedModel, times: int = 1, between: Any = None, seconds: float = 3.0
) -> list[Look]:
    """Looks one after the other, each with what the last one left; `between` happens in between."""

    async def all_of_them() -> list[Look]:
        hub, found, memory = Hub(), [], None
        for time in range(times):
            if time and between is not None:
                between()
            given = Target(
                host=target.host, address=target.address, variables=target.variables, secrets=target.secrets,
                snmp=hub, memory=memory,
            )  # fmt: skip
            look: Look = await probe.reach(given, options, Deadline.after(CLOCK, seconds))
            memory = look.memory or memory
            found.append(look)
        hub.close()
        return found

    return asyncio.run(all_of_them())


def look(probe: Any, target: Target, options: ClosedModel, **told: Any) -> Look:
    """One look."""
    [found] = looks(probe, target, options, **told)
    return found


def options(**given: Any) -> SnmpOptions:
    return SnmpOptions.model_validate(given)


def test_one_value_is_a_metric_in_its_unit(snmpd: Snmpd) -> None:
    seen = look(Snmp, at(snmpd), options(oid=UPTIME))
    assert (seen.verdict, seen.units) == (Verdict.OK, {"value": Unit.SECONDS})
    seen = look(Snmp, at(snmpd), options(oid=f".{NAME}"))
    assert (seen.metrics, seen.summary, seen.units) == ({"value": "the-lab"}, "the-lab", {"value": Unit.TEXT})


def test_several_values_and_one_that_is_not_there(snmpd: Snmpd) -> None:
    seen = look(Snmp, at(snmpd), options(oids={"name": NAME, "services": "1.3.6.1.2.1.1.7.0"}))
    assert seen.metrics == {"name": "the-lab", "services": 72.0} or "name" in seen.metrics
    seen = look(Snmp, at(snmpd), options(oids={"name": NAME, "nothing": "1.3.6.1.2.1.1.77.0"}))
    assert (seen.verdict, seen.summary) == (Verdict.CRITICAL, "no 1.3.6.1.2.1.1.77.0 there")
    assert seen.metrics == {"name": "the-lab"}


def test_rows_of_a_table_are_instances(snmpd: Snmpd) -> None:
    columns = {"name": NAMES, "state": STATES}
    seen = look(Snmp, at(snmpd), options(table=columns, where={"name": "^lo$"}, instance="name"))
    assert list(seen.instances) == ["lo"]
    assert seen.instances["lo"].metrics == {"name": "lo", "state": 1.0}
    assert look(Snmp, at(snmpd), options(table=columns)).instances["1"].metrics["name"] == "lo"
    nothing = look(Snmp, at(snmpd), options(table=columns, where={"name": "^no-such$"}))
    assert (nothing.verdict, nothing.summary) == (Verdict.UNKNOWN, "no row matches")
    assert look(Snmp, at(snmpd), options(table={"a": "1.3.6.1.2.1.99"})).summary == "there is no such table"


@pytest.mark.parametrize(
    "variables",
    [
        {"snmp_community": {"secret": "community"}},
        {"snmp_user": "sha256", "snmp_authentication": "sha-256", "snmp_password": {"secret": "signing"},
         "snmp_privacy": {"secret": "sealing"}},
        {"snmp_user": "sha1", "snmp_password": PASSWORD, "snmp_privacy": PRIVACY},
    ],
)  # fmt: skip
def test_what_opens_an_agent_comes_from_the_inventory(
    snmpd: Snmpd, secrets: Secrets, variables: Mapping[str, Any]
) -> None:
    target = Target(
        host="d", address=snmpd.address, variables={"snmp_port": str(snmpd.port), **variables}, secrets=secrets
    )
    seen = look(Snmp, target, options(oid=NAME))
    assert seen.metrics == {"value": "the-lab"}
    assert not any(word in repr(seen) for word in (PASSWORD, PRIVACY))


def test_a_policy_may_say_it_all_itself(snmpd: Snmpd, secrets: Secrets) -> None:
    access = {"host": snmpd.address, "port": str(snmpd.port), "community": {"secret": "community"}}
    given = options(oid=NAME, access=access)
    assert look(Snmp, Target(host=None, address=None, secrets=secrets), given).verdict is Verdict.OK
    overruled = Target(host="d", address=snmpd.address, variables={"snmp_user": "nobody"}, secrets=secrets)
    assert look(Snmp, overruled, given).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("variables", "address", "error", "why"),
    [
        ({}, "127.0.0.1", InputError, "no community and no user"),
        ({"snmp_community": "public"}, None, InputError, "about no host"),
        ({"snmp_community": "public", "snmp_port": "many"}, "127.0.0.1", InputError, "snmp_port: .*not a whole number"),
        (
            {"snmp_user": "u", "snmp_password": "short"},
            "127.0.0.1",
            InputError,
            "snmp_password: shorter than SNMP allows: 8 characters",
        ),
        ({"snmp_user": "u", "snmp_privacy": "long enough"}, "127.0.0.1", InputError, "needs a password"),
        ({"snmp_community": {"secret": "none"}}, "127.0.0.1", SecretError, "there is no secret none"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_sent(
    variables: Mapping[str, Any], address: str | None, error: type[Exception], why: str, secrets: Secrets
) -> None:
    target = Target(host="d", address=address, variables=variables, secrets=secrets)
    with pytest.raises(error, match=why) as caught:
        look(Snmp, target, options(oid=NAME))
    assert "short" not in str(caught.value).removesuffix(": shorter than SNMP allows: 8 characters").partition(":")[0]


def test_an_agent_that_is_silent_is_critical_within_the_time() -> None:
    with peering({}, mangle=lambda _request, _answer: []) as peer, in_time(0.4):
        seen = look(Snmp, at(peer), options(oid=NAME), seconds=0.4)
    assert seen.verdict is Verdict.CRITICAL
    assert seen.summary.endswith("no answer")


def test_a_new_community_is_taken_up_after_a_failure(snmpd: Snmpd, secrets: Secrets, tmp_path: Path) -> None:
    file = tmp_path / "community"
    file.write_text("wrong")
    variables = {"snmp_port": snmpd.port, "snmp_community": {"secret": "community"}}
    target = Target(host="d", address=snmpd.address, variables=variables, secrets=secrets)
    found = looks(Snmp, target, options(oid=NAME), 2, lambda: file.write_text("public"), seconds=0.4)
    assert [one.verdict for one in found] == [Verdict.CRITICAL, Verdict.OK]


def ticking(peer: Peer, rise: int, seconds: float = 0.0) -> Any:
    """Between two looks a counter rises, and the device's clock goes on."""
    begun = CLOCK.boottime()

    def pass_by() -> None:
        peer.values[OCTETS_IN] = counter((ber_number(peer, OCTETS_IN) + rise) % 2**64)
        peer.values[UPTIME] = counter(int((CLOCK.boottime() - begun) / 1e7 + seconds * 100), ber.TIME_TICKS)

    return pass_by


def ber_number(peer: Peer, name: str) -> int:
    return int(ber.number(peer.values[name]) or 0)


@pytest.mark.parametrize(
    ("first", "rise", "is_told"),
    [(10, 5_000, True), (2**64 - 1, 0, True), (2**64 - 1, 5, False), (10, 0, True)],
)
def test_a_counter_has_its_rate_from_the_second_look_on(first: int, rise: int, is_told: bool) -> None:
    with peering({UPTIME: counter(0, ber.TIME_TICKS), OCTETS_IN: counter(first)}) as peer:
        one, two = looks(Snmp, at(peer), options(oid=OCTETS_IN), 2, ticking(peer, rise))
    assert one.metrics == {"value": float(first)}
    assert ("value_rate" in two.metrics) == is_told, "64 bits do not come round: it was set back"
    if is_told:
        assert two.units["value_rate"] is Unit.PER_SECOND
        assert (float(two.metrics["value_rate"]) > 0) == (rise > 0)


def test_after_a_restart_there_is_no_rate() -> None:
    with peering({UPTIME: counter(900_000, ber.TIME_TICKS), OCTETS_IN: counter(10)}) as peer:
        _, two = looks(Snmp, at(peer), options(oid=OCTETS_IN), 2, ticking(peer, 7, seconds=9))
    assert two.metrics == {"value": 17.0}


def test_what_a_device_calls_itself_is_made_plain() -> None:
    with peering({UPTIME: counter(1, ber.TIME_TICKS), NAME: words("\x1b[31mred\u202e\n\0" * 50)}) as peer:
        seen = look(Snmp, at(peer), options(oid=NAME))
    assert seen.summary.isprintable()
    assert str(seen.metrics["value"]).isprintable()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "exactly one of oid, oids, table and sensor"),
        ({"oid": NAME, "oids": {"name": NAME}}, "exactly one of"),
        ({"oid": "sysName"}, "not an object identifier"),
        ({"table": {"name": NAMES}, "where": {"state": "1"}}, "'state' is not a column"),
        ({"table": {"name": NAMES}, "where": {"name": "("}}, "not a pattern"),
        ({"oid": NAME, "access": {"password": "short"}}, "shorter than"),
        ({"oid": NAME, "access": {"authentication": "md5"}}, "sha-256"),
    ],
)
def test_options_that_make_no_sense_are_refused(given: Mapping[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        options(**given)


def test_numbers_in_text_are_numbers() -> None:
    with peering({UPTIME: counter(1, ber.TIME_TICKS), NAME: words("41.5"), OCTETS_IN: number(-3)}) as peer:
        seen = look(Snmp, at(peer), options(oids={"temperature": NAME, "level": OCTETS_IN}))
    assert seen.metrics == {"temperature": 41.5, "level": -3.0}
