"""SNMP v2c messages and the PDUs of both versions (RFC 3416, RFC 1901): written once, read with every length checked."""

import functools

from agent.transports.snmp.ber import (
    INTEGER,
    NULL,
    OCTETS,
    SEQUENCE,
    MalformedError,
    Varbind,
    header,
    integer,
    signed,
    tlv,
    varbinds,
)
from agent.transports.snmp.ber import OID as OID_TAG

GET, RESPONSE, GETBULK, REPORT = 0xA0, 0xA2, 0xA5, 0xA8
V2C, V3 = 1, 3
TOO_BIG = 1
_SHORT = bytes((INTEGER, 1, V2C, OCTETS))  # how a short message goes on after its length, up to the community's
_NUMBER_HEAD = bytes((INTEGER, 4))
_ALL_WELL = bytes((INTEGER, 1, 0)) * 2  # the status of an answer, and to which name it belongs
_NUMBER = 4  # bytes of every request's number: those between 2^30 and 2^31 need no fewer
_STATUS = {
    TOO_BIG: "the answer would be too big for it",
    2: "there is no such name",
    5: "a general error",
    13: "a resource is not available",
    16: "access is denied",
}


class StatusError(Exception):
    """The agent answered that it could not; `status` is the number of RFC 3416."""

    def __init__(self, status: int) -> None:
        super().__init__(_STATUS.get(status) or f"error {status}")
        self.status = status


@functools.lru_cache(maxsize=4096)
def get(names: tuple[bytes, ...]) -> tuple[bytes, bytes]:
    """The GET of these names, as `pdu`: it is asked again and again."""
    return pdu(GET, names)


def pdu(tag: int, names: tuple[bytes, ...], first: int = 0, second: int = 0) -> tuple[bytes, bytes]:
    """A PDU around its number: what stands before it, and what after. A GETBULK has non-repeaters and repetitions."""
    asked = b"".join(tlv(SEQUENCE, tlv(OID_TAG, name) + bytes((NULL, 0))) for name in names)
    after = integer(first) + integer(second) + tlv(SEQUENCE, asked)
    before = bytes((INTEGER, _NUMBER))
    whole = tlv(tag, before + bytes(_NUMBER) + after)
    cut = len(whole) - len(after)
    return whole[: cut - _NUMBER], after


@functools.lru_cache(maxsize=4096)
def _opening(community: bytes) -> bytes:
    return integer(V2C) + octets(community)


def octets(content: bytes) -> bytes:
    """An OCTET STRING."""
    return tlv(OCTETS, content)


def v2c(community: bytes, asked: tuple[bytes, bytes], number: int) -> bytes:
    """A whole v2c message around a PDU."""
    before, after = asked
    return tlv(SEQUENCE, _opening(community) + before + number.to_bytes(_NUMBER, "big") + after)


def opened(data: bytes) -> tuple[int, int, int]:
    """Version, number and the place after it, of any message that came: what tells whose answer it is."""
    return _opened_short(data) or _opened(data)


def _opened_short(data: bytes) -> tuple[int, int, int] | None:
    """The same of the most frequent kind, a short answer of v2c to a number of ours, in a third of the time."""
    size = len(data)
    if size < 20 or data[1] != size - 2 or size > 129 or not data.startswith(_SHORT, 2) or data[0] != SEQUENCE:
        return None
    at = 7 + data[6]
    if at + 8 > size or data[at] != RESPONSE or at + 2 + data[at + 1] > size or data[at + 2 : at + 4] != _NUMBER_HEAD:
        return None
    return V2C, int.from_bytes(data[at + 4 : at + 8], "big", signed=True), at + 8


def _opened(data: bytes) -> tuple[int, int, int]:
    start, end = header(data, 0, SEQUENCE)
    if end != len(data):
        raise MalformedError("something follows the message")
    version, at = signed(data, start)
    if version == V2C:
        _, at = header(data, at, OCTETS)
        at, _ = header(data, at, RESPONSE)
    elif version == V3:
        at, _ = header(data, at, SEQUENCE)
    else:
        raise MalformedError("it is of another version")
    number, at = signed(data, at)
    return version, number, at


def answered(data: bytes, at: int) -> list[Varbind]:
    """The names and values of a response, read from after its number; StatusError when it says why there are none."""
    status = 0
    if data.startswith(_ALL_WELL, at):
        at += len(_ALL_WELL)
    else:
        status, at = signed(data, at)
        _, at = signed(data, at)
    start, end = header(data, at, SEQUENCE)
    if status:
        raise StatusError(status)
    return varbinds(data, start, end)
