"""SNMP against Debian's snmpd in both versions, and against agents that lie, loop, grow, flood or say nothing."""

import asyncio
import dataclasses
import gc
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.clock import Deadline, SystemClock
from agent.errors import OutputLimitError, TransportError
from agent.transports.snmp import ber, message, usm
from agent.transports.snmp.ber import Cell
from agent.transports.snmp.hub import Hub
from agent.transports.snmp.session import Access, Column, Session
from agent.transports.snmp.usm import Engine, User
from tests.fakes.snmp_lies import answering_as, endless, reporting
from tests.fakes.snmp_peer import Peer, number, peering, response
from tests.lab.snmpd import PASSWORD, PRIVACY, Snmpd, running_snmpd
from tests.lab.wait import in_time

CLOCK = SystemClock()
NAME, UPTIME = "1.3.6.1.2.1.1.5.0", "1.3.6.1.2.1.1.3.0"
TABLE = "1.3.6.1.2.1.2.2.1"
PATIENCE = 0.4


@pytest.fixture(scope="module")
def snmpd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snmpd]:
    """Debian's snmpd."""
    if not Path("/usr/sbin/snmpd").exists():
        pytest.skip("no snmpd on this machine")
    with running_snmpd(tmp_path_factory.mktemp("snmpd")) as running:
        yield running


def asked(access: Access, *names: str, seconds: float = 5.0, hub: Hub | None = None) -> list[Cell]:
    """One GET, by a hub of its own."""

    async def ask() -> list[Cell]:
        own = hub or Hub()
        try:
            return await Session(own, access, Deadline.after(CLOCK, seconds)).get([ber.oid(name) for name in names])
        finally:
            if hub is None:
                own.close()

    return asyncio.run(ask())


def table(access: Access, *columns: str, seconds: float = 5.0, **limits: int) -> list[Column]:
    """One table, by a hub of its own."""

    async def ask() -> list[Column]:
        hub = Hub()
        try:
            session = Session(hub, access, Deadline.after(CLOCK, seconds), **limits)
            return await session.table([ber.oid(name) for name in columns])
        finally:
            hub.close()

    return asyncio.run(ask())


def public(where: Snmpd | Peer) -> Access:
    """By the community that everybody knows."""
    return Access(address=where.address, port=where.port, community="public")


def by(snmpd: Snmpd, name: str, **told: Any) -> Access:
    """As a user with both passwords, unless told otherwise."""
    user = {"password": PASSWORD, "privacy": PRIVACY, **told}
    return Access(address=snmpd.address, port=snmpd.port, user=User(name=name, **user))


def test_values_of_a_real_agent(snmpd: Snmpd) -> None:
    name, uptime, missing = asked(public(snmpd), NAME, UPTIME, "1.3.6.1.2.1.1.99.0")
    assert ber.text(name) == "the-lab"
    assert uptime[0] == ber.TIME_TICKS
    assert missing[0] in ber.ABSENT


@pytest.mark.parametrize("digest", list(usm.AUTHENTICATIONS))
def test_a_user_signs_and_seals(snmpd: Snmpd, digest: str) -> None:
    access = by(snmpd, digest.replace("-", "") if digest != "sha" else "sha1", authentication=digest)
    assert [ber.text(cell) for cell in asked(access, NAME)] == ["the-lab"]
    assert len(table(access, "1.3.6.1.2.1.1")[0]) > 5


def test_a_user_may_sign_alone(snmpd: Snmpd) -> None:
    assert asked(by(snmpd, "signer", authentication="sha-256", privacy=None), NAME)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"name": "nobody"}, "does not know this user"),
        ({"password": "another-one"}, "authentication password"),
        ({"authentication": "sha-512"}, "authentication password"),
        ({"privacy": None}, "access is denied"),
    ],
)
def test_a_user_who_is_not_let_in_is_told_why(snmpd: Snmpd, told: dict[str, Any], why: str) -> None:
    with pytest.raises(TransportError, match=why) as caught:
        asked(by(snmpd, **{"name": "sha256", "authentication": "sha-256", **told}), NAME)
    assert PASSWORD not in repr(caught.value.__context__) + repr(by(snmpd, "sha256"))


def test_a_table_of_a_real_agent_agrees_with_its_values(snmpd: Snmpd) -> None:
    [names] = table(public(snmpd), f"{TABLE}.2")
    assert b"lo" in {content for _, content in names.values()}
    states, kinds = table(public(snmpd), f"{TABLE}.8", f"{TABLE}.3")
    assert states.keys() == kinds.keys() == names.keys()
    assert len(table(public(snmpd), TABLE)[0]) >= 22 * len(names), "a whole table, column after column"


def test_an_engine_is_discovered_once_and_again_after_a_restart(tmp_path: Path) -> None:
    clients: list[int] = []
    if not Path("/usr/sbin/snmpd").exists():
        pytest.skip("no snmpd on this machine")

    async def looks() -> None:
        hub = Hub()
        with running_snmpd(tmp_path) as snmpd:
            access = by(snmpd, "sha1")
            for _ in range(3):
                await Session(hub, access, Deadline.after(CLOCK, 5)).get([ber.oid(NAME)])
            line = await hub.line(access.address, access.port, Deadline.after(CLOCK, 5))
            [engine] = line.engines.values()
            clients.append(engine.boots)
            assert engine.proven
            line.engines[next(iter(line.engines))] = Engine(id=engine.id, boots=0, seconds=0, at_ns=CLOCK.boottime())
            await Session(hub, access, Deadline.after(CLOCK, 5)).get([ber.oid(NAME)])
            line.engines[next(iter(line.engines))] = Engine(
                id=b"\x80another", boots=5, seconds=9, at_ns=CLOCK.boottime()
            )
            await Session(hub, access, Deadline.after(CLOCK, 5)).get([ber.oid(NAME)])
            assert next(iter(line.engines.values())).id == engine.id
        hub.close()

    asyncio.run(looks())
    assert clients


def test_a_port_where_nothing_listens_is_told_at_once() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with in_time(0.0), pytest.raises(TransportError, match="nothing listens there"):
        asked(Access(address="127.0.0.1", port=port, community="public"), NAME, seconds=60.0)


def broken(change: Callable[[bytes], bytes]) -> Callable[[bytes, bytes], list[bytes]]:
    """Answers that are changed so."""
    return lambda _request, answer: [change(answer)]


@pytest.mark.parametrize(
    ("mangle", "why"),
    [
        (lambda _request, _answer: [], "no answer"),
        (broken(lambda answer: answer[:-3]), "cut short"),
        (broken(lambda answer: answer[:2]), "cut short"),
        (broken(lambda answer: answer + b"\0"), "something follows"),
        (broken(lambda _answer: b"HTTP/1.1 400 Bad Request\r\n\r\n"), "wrong type"),
        (broken(lambda _answer: b"\x30\x84\xff\xff\xff\xff" + bytes(40)), "cut short"),
        (broken(lambda _answer: b"\x30\x80" + bytes(40)), "not one of SNMP"),
        (broken(lambda answer: answer.replace(b"\x02\x04", b"\x02\x04\x3f", 1)[: len(answer)]), "no proper SNMP"),
        (broken(lambda answer: answer.replace(b"\x02\x01\x01", b"\x02\x01\x00", 1)), "another version"),
        (broken(lambda answer: answer.replace(b"\xa2", b"\xa0", 1)), "wrong type"),
        (broken(lambda _answer: response(b"public", 2**30 + 5, [])), "another question"),
    ],
)
def test_what_is_no_answer_is_none(mangle: Any, why: str) -> None:
    with peering({NAME: number(7)}, mangle=mangle) as peer:
        with in_time(PATIENCE), pytest.raises(TransportError, match=why):
            asked(public(peer), NAME, seconds=PATIENCE)
        assert len(peer.requests) >= 2, "it is asked again before it is given up"


def test_an_answer_that_got_lost_is_asked_for_again() -> None:
    lost: list[bytes] = []

    def lose(request: bytes, answer: bytes) -> list[bytes]:
        lost.append(request)
        return [answer] if len(lost) > 1 else []

    with peering({NAME: number(7)}, mangle=lose) as peer:
        assert asked(public(peer), NAME, seconds=1.5) == [number(7)]


def test_only_the_address_that_was_asked_may_answer() -> None:
    def elsewhere(_request: bytes, answer: bytes) -> list[bytes]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(answer, clients[0])
        return []

    clients: list[Any] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.setblocking(False)

        async def attacked() -> None:
            hub, loop = Hub(), asyncio.get_running_loop()
            access = Access(address="127.0.0.1", port=listening.getsockname()[1], community="public")
            ask = asyncio.create_task(Session(hub, access, Deadline.after(CLOCK, PATIENCE)).get([ber.oid(NAME)]))
            data, client = await loop.sock_recvfrom(listening, 2048)
            clients.append(client)
            elsewhere(data, Peer(address="", port=0, values={NAME: number(7)}).answer(data))
            with pytest.raises(TransportError, match="no answer"):
                await ask
            hub.close()

        asyncio.run(attacked())


def test_an_agent_that_says_why_it_cannot_is_quoted() -> None:
    with peering({}, mangle=lambda request, _answer: [refusal(request, 16)]) as peer:
        with pytest.raises(TransportError, match="access is denied"):
            asked(public(peer), NAME)
        with pytest.raises(TransportError, match="access is denied"):
            table(public(peer), TABLE)


def refusal(request: bytes, status: int) -> bytes:
    """A response with an error in it."""
    start = request.index(b"public") + 6
    start, _ = ber.header(request, start, request[start])
    asked_for, _ = ber.signed(request, start)
    return response(b"public", asked_for, [], status)


def test_an_answer_too_big_is_asked_for_in_smaller_pieces() -> None:
    rows = {f"{TABLE}.2.{row}": number(row) for row in range(1, 30)}
    sizes: list[int] = []

    def big(request: bytes, answer: bytes) -> list[bytes]:
        sizes.append(len(answer))
        return [refusal(request, message.TOO_BIG)] if len(answer) > 200 else [answer]

    with peering(rows, mangle=big) as peer:
        assert len(table(public(peer), f"{TABLE}.2")[0]) == 29
    assert max(sizes) > 200


def test_an_agent_that_fits_but_a_few_columns_into_an_answer_is_read_all_the_same() -> None:
    values = {f"{TABLE}.{column}.{row}": number(row) for column in (2, 3, 4) for row in (1, 2, 3)}

    def small(request: bytes, answer: bytes) -> list[bytes]:
        at = answer.index(b"public") + 6
        at, _ = ber.header(answer, at, message.RESPONSE)
        asked_for, at = ber.signed(answer, at)
        at = ber.signed(answer, ber.signed(answer, at)[1])[1]
        return [response(b"public", asked_for, ber.varbinds(answer, *ber.header(answer, at, ber.SEQUENCE))[:2])]

    with peering(values, mangle=small) as peer:
        found = table(public(peer), *(f"{TABLE}.{column}" for column in (2, 3, 4)))
    assert [[ber.number(cell) for cell in column.values()] for column in found] == [[1, 2, 3]] * 3
    nothing = peering(values, mangle=lambda request, _answer: [refusal(request, 0)])
    with nothing as peer, pytest.raises(TransportError, match="answers nothing"):
        table(public(peer), f"{TABLE}.2")


def rows(count: int) -> dict[str, Cell]:
    return {f"{TABLE}.2.{row}": number(row) for row in range(1, count + 1)}


def test_a_table_that_grows_while_it_is_read_comes_to_an_end() -> None:
    with peering(rows(3), grows=True) as peer, pytest.raises(TransportError, match="did not end in time"):
        table(public(peer), f"{TABLE}.2", seconds=PATIENCE)


def test_a_table_without_end_is_cut_off() -> None:
    with peering({}, mangle=endless(2, f"{TABLE}.2")) as peer, pytest.raises(OutputLimitError, match="has no end"):
        table(public(peer), f"{TABLE}.2", seconds=10, most_cells=2000)
    with (
        peering({}, mangle=endless(1100, f"{TABLE}.2")) as peer,
        pytest.raises(OutputLimitError, match="more than 4,000,000 bytes"),
    ):
        table(public(peer), f"{TABLE}.2", seconds=10)


def test_a_table_that_goes_round_in_circles_is_noticed() -> None:
    first: list[bytes] = []

    def circle(request: bytes, answer: bytes) -> list[bytes]:
        first.append(answer)
        start = request.index(b"public") + 6
        start, _ = ber.header(request, start, request[start])
        found = [(ber.oid(f"{TABLE}.2.{row}"), ber.INTEGER, b"\1") for row in (1, 2, 3)]
        return [response(b"public", ber.signed(request, start)[0], found)]

    with peering({}, mangle=circle) as peer, pytest.raises(TransportError, match="never end"):
        table(public(peer), f"{TABLE}.2")
    assert len(first) == 2


def test_a_flood_is_hung_up_on_and_the_others_are_served() -> None:
    def flood(_request: bytes, answer: bytes) -> list[bytes]:
        return [b"\x30\x03\x02\x01\x07" * 100] * 2000

    async def looks(hostile: Peer, good: Peer) -> list[Any]:
        hub = Hub()
        sessions = [Session(hub, public(peer), Deadline.after(CLOCK, 2)) for peer in (hostile, good, good)]
        found = await asyncio.gather(*(one.get([ber.oid(NAME)]) for one in sessions), return_exceptions=True)
        hub.close()
        return list(found)

    with peering({NAME: number(7)}, mangle=flood) as hostile, peering({NAME: number(7)}) as good:
        flooded, *served = asyncio.run(looks(hostile, good))
    assert isinstance(flooded, TransportError)
    assert served == [[number(7)]] * 2


def test_an_agent_that_changes_its_engine_for_ever_is_given_up() -> None:
    engines = (b"\x80engine" + bytes([one]) for one in range(100))
    with peering({}, mangle=reporting(engines)) as peer:
        access = Access(address=peer.address, port=peer.port, user=User(name="u", password=PASSWORD))
        with pytest.raises(TransportError, match="engine keeps changing"):
            asked(access, NAME, seconds=2)
        assert len(peer.requests) < 10


def test_an_answer_of_another_engine_or_without_signature_is_not_believed() -> None:
    for engine, why in ((b"\x80wrong", "another engine"), (b"\x80right", "not signed")):
        with peering({}, mangle=answering_as(engine)) as peer:
            access = Access(address=peer.address, port=peer.port, user=User(name="u", password=PASSWORD))
            with pytest.raises(TransportError, match=why):
                asked(access, NAME, seconds=PATIENCE)


def test_looks_that_begin_together_share_one_socket_to_a_named_agent() -> None:
    """Each looks the name up; the lines of all but the last were lost, and open for ever."""

    async def ask(access: Access) -> int:
        hub, before = Hub(), len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # as below
        sessions = [Session(hub, access, Deadline.after(CLOCK, 5)) for _ in range(6)]
        await asyncio.gather(*(session.get([ber.oid(NAME)]) for session in sessions))
        opened = len(os.listdir("/proc/self/fd")) - before  # noqa: PTH208  # as below
        hub.close()
        return opened

    with peering({NAME: number(7)}) as peer:
        assert asyncio.run(ask(dataclasses.replace(public(peer), address="127.1"))) == 1  # to us, it is a name


def test_nothing_is_left_open() -> None:
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # the folder changes while it is read
    with peering({NAME: number(7)}) as peer:
        for _ in range(3):
            asked(public(peer), NAME)
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208
