"""The bytes of SNMP: names there and back, numbers and texts of every type, and any rubbish is refused in words."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.transports.snmp import ber, message, usm
from agent.transports.snmp.ber import MalformedError
from agent.transports.snmp.message import StatusError
from agent.transports.snmp.usm import Engine, ReportError, User

USER = User(name="u", password="signed-by-me", privacy="sealed-by-me")
ENGINE = Engine(id=b"\x80engine", boots=1, seconds=1, at_ns=0)


@given(st.integers(0, 2), st.integers(0, 39), st.lists(st.integers(0, 2**32 - 1), max_size=20))
def test_a_name_survives_the_way_there_and_back(first: int, second: int, rest: list[int]) -> None:
    text = ".".join(map(str, (first, second, *rest)))
    assert ber.oid_text(ber.oid(text)) == text
    assert ber.oid(f".{text}") == ber.oid(text)


@given(*[st.lists(st.integers(0, 300) | st.integers(0, 2**32 - 1), max_size=4)] * 2)
def test_names_stand_in_the_order_of_their_numbers(one: list[int], other: list[int]) -> None:
    names = [ber.oid(".".join(map(str, (1, 3, *rest)))) for rest in (one, other)]
    assert ber.follows(*names) == (one > other)
    assert not ber.follows(names[0], names[0])


@pytest.mark.parametrize(
    "text", ["", "1", "1.3.x", "3.1", "1.40", "1..3", "01.3", "1.3.4294967296", "sysUpTime.0", "1.3 "]
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an object identifier"):
        ber.oid(text)


@pytest.mark.parametrize(
    ("tag", "content", "number", "text"),
    [
        (ber.INTEGER, b"\xff", -1, "-1"),
        (ber.COUNTER64, b"\x00" + b"\xff" * 8, 2**64 - 1, str(2**64 - 1)),
        (ber.GAUGE32, b"\x00\xff\xff\xff\xff", 2**32 - 1, str(2**32 - 1)),
        (ber.OCTETS, b"41.5", 41.5, "41.5"),
        (ber.OCTETS, b"eth0\0", None, "eth0"),
        (ber.OCTETS, b"\x00\x1a\xff", None, "00:1a:ff"),
        (ber.OCTETS, b"1_000", None, "1_000"),
        (ber.OPAQUE, bytes.fromhex("9f78043e4ccccd"), pytest.approx(0.2), "0.200000002980232"),
        (ber.OPAQUE, b"\x9f\x78\x04", None, ""),
        (ber.OID, ber.oid("1.3.6.1"), None, "1.3.6.1"),
        (ber.IP_ADDRESS, bytes([10, 0, 0, 1]), None, "10.0.0.1"),
        (ber.NO_SUCH_INSTANCE, b"", None, ""),
    ],
)
def test_a_value_as_number_and_as_text(tag: int, content: bytes, number: float | None, text: str) -> None:
    assert (ber.number((tag, content)), ber.text((tag, content))) == (number, text)


HONEST = usm.request(USER, ENGINE, message.pdu(message.GET, (ber.oid("1.3.6.1.2.1.1.5.0"),)), 2**30, 0)
PLAIN = message.v2c(b"public", message.pdu(message.GETBULK, (ber.oid("1.3.6.1"),), 0, 9), 2**30)


def read(data: bytes) -> None:
    """All that is ever done with a datagram."""
    version, _, at = message.opened(data)
    if version == message.V2C:
        message.answered(data, at)
    else:
        usm.read(data, at, USER, ENGINE, 0)


@settings(max_examples=300)
@given(st.sampled_from([HONEST, PLAIN.replace(b"\xa5", b"\xa2")]), st.data())
def test_whatever_is_changed_or_cut_in_a_message_is_refused_in_words(whole: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(whole) - 1))
    piece = data.draw(st.binary(max_size=3))
    for changed in (whole[:place], whole[:place] + piece + whole[place + len(piece) :], whole[place:], piece):
        with contextlib.suppress(MalformedError, StatusError, ReportError):
            read(changed)


@settings(max_examples=300)
@given(st.integers(0, 50), st.binary(max_size=3))
def test_what_is_read_in_short_is_read_the_same_at_length(place: int, piece: bytes) -> None:
    answer = PLAIN.replace(b"\xa5", b"\xa2")
    assert message._opened_short(answer) == (message.V2C, 2**30, answer.index(b"\x40\0\0\0") + 4)
    changed = answer[:place] + piece + answer[place + len(piece) :]
    short = message._opened_short(changed)
    assert short is None or short == message._opened(changed)


def test_what_we_sign_is_signed_and_what_we_seal_is_sealed() -> None:
    assert b"\x2b\x06\x01\x02\x01\x01\x05" not in HONEST
    version, number, at = message.opened(HONEST)
    assert (version, number) == (message.V3, 2**30)
    with pytest.raises(MalformedError, match="0xa0"):  # it is our own question, whole and believed up to its type
        usm.read(HONEST, at, USER, ENGINE, 0)
    for place in range(at, len(HONEST)):
        changed = HONEST[:place] + bytes([HONEST[place] ^ 1]) + HONEST[place + 1 :]
        with pytest.raises((MalformedError, ReportError)) as caught:
            read(changed)
        assert "0xa0" not in str(caught.value), "a changed byte went unnoticed"


def test_an_answer_from_the_past_is_not_believed() -> None:
    asked = message.pdu(message.RESPONSE, (ber.oid("1.3.6.1.2.1.1.5.0"),))
    old = usm.request(USER, Engine(id=b"\x80engine", boots=1, seconds=1, at_ns=0), asked, 2**30, 0)
    at = message.opened(old)[2]
    assert usm.read(old, at, USER, ENGINE, 0)[1]
    later = Engine(id=b"\x80engine", boots=1, seconds=500, at_ns=0, proven=True)
    with pytest.raises(MalformedError, match="from the past"):
        usm.read(old, at, USER, later, 0)
    restarted = Engine(id=b"\x80engine", boots=2, seconds=0, at_ns=0, proven=True)
    with pytest.raises(MalformedError, match="from the past"):
        usm.read(old, at, USER, restarted, 0)


def test_passwords_are_not_shown() -> None:
    assert "by-me" not in repr(USER)
