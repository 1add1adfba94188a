"""Which ICMP packets count as the answer to an echo: those with our number and token, from the address we asked."""

import asyncio
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.checks.echoes import Echoes, _believed_ns
from agent.checks.reaching import literal
from agent.clock import SystemClock

NUMBER = 77


class Asked(Echoes):
    """Echoes with one under way, to 192.0.2.7, without any socket."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        address = literal("192.0.2.7")
        assert address is not None
        super().__init__(loop, address.family)
        self._clock = SystemClock()
        self.heard: list[int] = []
        self._under_way[NUMBER] = (lambda _position, _seconds: None), 3, address.number, self._clock.boottime()

    def hears(self, packet: bytes, source: str = "192.0.2.7") -> list[int]:
        """Which echoes that packet answered."""
        if (sent := self._asked(packet, source)) is not None:
            self.heard.append(sent[1])
        return self.heard

    def reply(self, *, kind: int = 0, token: bytes | None = None, number: int = NUMBER, head: int = 5) -> bytes:
        """An answer as a raw socket gives it, with its IP header."""
        body = struct.pack("!8sQ", self._token if token is None else token, number)
        return bytes([0x40 | head]) + b"\0" * (head * 4 - 1) + struct.pack("!BBHHH", kind, 0, 0, 0, 0) + body


@pytest.fixture
def asked() -> Iterator[Asked]:
    loop = asyncio.new_event_loop()
    yield Asked(loop)
    loop.close()


def test_the_answer_is_heard_once_whatever_its_ip_options(asked: Asked) -> None:
    assert asked.hears(asked.reply(head=7)) == [3]
    assert asked.hears(asked.reply()) == [3], "a second one is none"


@pytest.mark.parametrize(
    "change", [{"kind": 8}, {"kind": 3}, {"token": b"somebody"}, {"number": NUMBER + 1}, {"head": 0}]
)
def test_what_is_not_our_answer_is_none(asked: Asked, change: dict[str, int | bytes]) -> None:
    assert asked.hears(asked.reply(**change)) == []  # type: ignore[arg-type]  # a table of different types


def test_an_answer_from_another_address_is_none(asked: Asked) -> None:
    assert asked.hears(asked.reply(), source="192.0.2.8") == []


def test_an_answer_that_is_cut_or_too_long_is_none(asked: Asked) -> None:
    assert asked.hears(asked.reply()[:-1]) == []
    assert asked.hears(asked.reply() + b"x") == []


def test_the_kernel_says_when_an_answer_came_unless_the_wall_clock_was_set_meanwhile() -> None:
    at_ns, now_ns = 1_000, 5_000_000_000
    assert _believed_ns(at_ns, at_ns + 7_000, now_ns) == at_ns + 7_000
    for set_to_ns in (at_ns - 1, at_ns, now_ns, now_ns + 3_600_000_000_000):
        assert _believed_ns(at_ns, set_to_ns, now_ns) == now_ns


@given(packet=st.binary(max_size=80))
def test_no_packet_is_too_strange(packet: bytes) -> None:
    loop = asyncio.new_event_loop()
    try:
        assert Asked(loop).hears(packet) == []
    finally:
        loop.close()
