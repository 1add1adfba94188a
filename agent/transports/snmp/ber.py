"""The bytes of SNMP: BER (ITU-T X.690) as far as RFC 3416 and RFC 3417 need it; nothing is read beyond what came."""

import functools
import re
import struct

INTEGER, OCTETS, NULL, OID, SEQUENCE = 0x02, 0x04, 0x05, 0x06, 0x30
IP_ADDRESS, COUNTER32, GAUGE32, TIME_TICKS, OPAQUE, COUNTER64 = 0x40, 0x41, 0x42, 0x43, 0x44, 0x46
NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_VIEW = 0x80, 0x81, 0x82
ABSENT = frozenset({NULL, NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_VIEW})
COUNTERS = {COUNTER32: 2**32, COUNTER64: 2**64}
_UNSIGNED = frozenset({COUNTER32, GAUGE32, TIME_TICKS, COUNTER64})
_FLOAT, _DOUBLE = b"\x9f\x78\x04", b"\x9f\x79\x08"  # net-snmp's numbers with a point, inside an Opaque
_TEXT = re.compile(r"\.?([0-2](?:\.(?:0|[1-9][0-9]{0,9})){1,127})\Z")

Cell = tuple[int, bytes]  # a value as it came: its tag, its content
Varbind = tuple[bytes, int, bytes]  # the content of a name, then its value


class MalformedError(ValueError):
    """What came is not what was asked for, or not SNMP at all; the message says what is wrong."""


def tlv(tag: int, content: bytes) -> bytes:
    """One value with its tag and length."""
    size = len(content)
    if size < 128:
        return bytes((tag, size)) + content
    long = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 128 | len(long))) + long + content


def integer(value: int) -> bytes:
    """An INTEGER in as few bytes as hold it."""
    return tlv(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


@functools.lru_cache(maxsize=4096)
def oid(text: str) -> bytes:
    """The content of an object identifier; ValueError when the text is none."""
    match = _TEXT.match(text)
    parts = [int(part) for part in match[1].split(".")] if match else []
    if not parts or (parts[0] < 2 and parts[1] > 39) or any(part >= 2**32 for part in parts):
        raise ValueError(f"{text!r} is not an object identifier: write it like 1.3.6.1.2.1.1.3.0")
    content = bytearray()
    for part in (parts[0] * 40 + parts[1], *parts[2:]):
        content += _base128(part)
    return bytes(content)


def _base128(value: int) -> bytes:
    digits = [value & 127]
    while value := value >> 7:
        digits.append(value & 127 | 128)
    return bytes(reversed(digits))


def numbers(content: bytes) -> tuple[int, ...]:
    """The numbers of an index or of an identifier after its first byte: what orders them."""
    found, value = [], 0
    for byte in content:
        value = value << 7 | byte & 127
        if not byte & 128:
            found.append(value)
            value = 0
    return tuple(found)


def follows(later: bytes, sooner: bytes) -> bool:
    """Whether one name stands behind another in the order of names."""
    if later.isascii() and sooner.isascii():  # numbers below 128 take one byte each, and bytes are compared as they are
        return later > sooner
    return numbers(later) > numbers(sooner)


def oid_text(content: bytes) -> str:
    """An object identifier as people write it."""
    first, *rest = numbers(content) or (0,)
    top = min(first // 40, 2)
    return ".".join(map(str, (top, first - top * 40, *rest)))


def header(data: bytes, at: int, tag: int) -> tuple[int, int]:
    """Where the content of the value at this place begins and ends; it must have this tag and lie within the data."""
    try:
        found, size = data[at], data[at + 1]
        start = at + 2
        if size > 127:
            start, size = _long(data, start, size)
    except IndexError:
        raise MalformedError("it is cut short") from None
    if found != tag:
        raise MalformedError(f"a value has the wrong type (0x{found:02x} instead of 0x{tag:02x})")
    if start + size > len(data):
        raise MalformedError("it is cut short")
    return start, start + size


def _long(data: bytes, at: int, size: int) -> tuple[int, int]:
    count = size & 127
    if not 1 <= count <= 4:
        raise MalformedError("a length is not one of SNMP")
    if at + count > len(data):
        raise IndexError
    return at + count, int.from_bytes(data[at : at + count], "big")


def signed(data: bytes, at: int) -> tuple[int, int]:
    """The INTEGER at this place, and where it ends."""
    start, end = header(data, at, INTEGER)
    if not 1 <= end - start <= 8:
        raise MalformedError("a number has the wrong size")
    return int.from_bytes(data[start:end], "big", signed=True), end


def varbinds(data: bytes, at: int, end: int) -> list[Varbind]:
    """Names and values between these places, in their order."""
    found: list[Varbind] = []
    try:
        while at < end:
            size, start = data[at + 1], at + 2
            if size > 127:
                start, size = _long(data, start, size)
            stop = start + size
            size, name = data[start + 1], start + 2
            if size > 127:
                name, size = _long(data, name, size)
            value = name + size
            size, content = data[value + 1], value + 2
            if size > 127:
                content, size = _long(data, content, size)
            if content + size != stop or stop > end or data[at] != SEQUENCE or data[start] != OID:
                raise MalformedError("a value does not fit where it stands")
            found.append((data[name:value], data[value], data[content:stop]))
            at = stop
    except IndexError:
        raise MalformedError("it is cut short") from None
    return found


def number(cell: Cell) -> float | None:
    """The number in a cell; None when it holds none. Text that spells a number is one, as many agents write them."""
    tag, content = cell
    if tag == INTEGER:
        return int.from_bytes(content[:8], "big", signed=True)
    if tag in _UNSIGNED:
        return int.from_bytes(content[:9], "big")
    if tag == OPAQUE:
        if content[:3] == _FLOAT and len(content) == 7:
            return float(struct.unpack(">f", content[3:])[0])
        if content[:3] == _DOUBLE and len(content) == 11:
            return float(struct.unpack(">d", content[3:])[0])
    elif tag == OCTETS and len(content) < 32:
        try:
            return float(content) if b"_" not in content else None
        except ValueError:
            return None
    return None


def text(cell: Cell) -> str:
    """A cell in words: text as text, other bytes in hexadecimal, an identifier with its dots."""
    tag, content = cell
    if tag == OID:
        return oid_text(content)
    if tag == IP_ADDRESS:
        return ".".join(map(str, content))
    if tag == OCTETS:
        plain = content.rstrip(b"\0").decode("utf-8", "replace")
        return plain if "\ufffd" not in plain and "\0" not in plain else content.hex(":")
    found = number(cell)
    return "" if found is None else f"{found:.15g}" if tag == OPAQUE else str(found)
