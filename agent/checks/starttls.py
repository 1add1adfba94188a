"""The few words that come before TLS where a protocol begins in clear: smtp, imap, pop3, ldap, postgres."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from agent.checks.reaching import Streams
from agent.checks.reading import one_line
from agent.errors import TransportError

_LINES = 50  # a greeting, or what a server can do: more is no such answer
# LDAP extended request with the OID of StartTLS (RFC 4511, 4.14): SEQUENCE { messageID 1, [APPLICATION 23] { [0] OID } }
_LDAP_REQUEST = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"
_POSTGRES_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")  # "SSLRequest", protocol-message-formats


async def _line(streams: Streams) -> str:
    try:
        raw = await streams[0].readline()
    except ValueError as error:  # longer than the stream's limit
        raise TransportError("what answers sends a line without end") from error
    if not raw.endswith(b"\n"):
        raise TransportError("closed before TLS began")
    return raw.decode("latin-1").rstrip("\r\n")


async def _expected(streams: Streams, start: str, what: str) -> str:
    """A line that must begin so."""
    line = await _line(streams)
    if not line.upper().startswith(start):
        raise TransportError(f"{what}: {one_line(line, 80) or 'an empty line'}")
    return line


async def _replied(streams: Streams, code: str, what: str) -> None:
    """A reply of SMTP, of one line or several (RFC 5321, 4.2.1)."""
    for _ in range(_LINES):
        line = await _expected(streams, code, what)
        if line[3:4] != "-":
            return
    raise TransportError(f"{what}: a reply without end")


def _say(streams: Streams, words: bytes) -> None:
    streams[1].write(words)


async def _smtp(streams: Streams) -> None:
    """RFC 3207."""
    await _replied(streams, "220", "this is no SMTP server")
    _say(streams, b"EHLO watchkeeper.invalid\r\n")
    await _replied(streams, "250", "EHLO is refused")
    _say(streams, b"STARTTLS\r\n")
    await _replied(streams, "220", "STARTTLS is refused")


async def _imap(streams: Streams) -> None:
    """RFC 9051, 6.2.1."""
    await _expected(streams, "* OK", "this is no IMAP server")
    _say(streams, b"wk1 STARTTLS\r\n")
    for _ in range(_LINES):
        line = await _line(streams)
        if not line.startswith("* "):
            break
    if not line.upper().startswith("WK1 OK"):
        raise TransportError(f"STARTTLS is refused: {one_line(line, 80)}")


async def _pop3(streams: Streams) -> None:
    """RFC 2595, 4."""
    await _expected(streams, "+OK", "this is no POP3 server")
    _say(streams, b"STLS\r\n")
    await _expected(streams, "+OK", "STLS is refused")


async def _ldap(streams: Streams) -> None:
    """RFC 4511, 4.14."""
    _say(streams, _LDAP_REQUEST)
    kind, length = await _bytes(streams, 2)
    if kind != 0x30:
        raise TransportError("this is no LDAP server")
    if length & 0x80:  # X.690, 8.1.3.5: the length has a length
        length = int.from_bytes(await _bytes(streams, min(length & 0x7F, 4)), "big")
    if not 5 <= length <= 4096:
        raise TransportError("this is no LDAP server")
    answer = await _bytes(streams, length)
    if not answer.startswith(b"\x02\x01\x01\x78"):
        raise TransportError("this is no LDAP server")
    if b"\x0a\x01\x00" not in answer[4:12]:  # ENUMERATED resultCode success, right after one or two lengths
        raise TransportError("StartTLS is refused")


async def _postgres(streams: Streams) -> None:
    """PostgreSQL: Frontend/Backend Protocol, SSL Session Encryption."""
    _say(streams, _POSTGRES_REQUEST)
    answer = await _bytes(streams, 1)
    if answer == b"N":
        raise TransportError("TLS is refused")
    if answer != b"S":
        raise TransportError("this is no PostgreSQL server")


async def _bytes(streams: Streams, count: int) -> bytes:
    """So many; IncompleteReadError is told as a connection that was closed."""
    data = b""
    while len(data) < count:
        piece = await streams[0].read(count - len(data))
        if not piece:
            raise TransportError("closed before TLS began")
        data += piece
    return data


PORTS: Mapping[str, int] = MappingProxyType({"smtp": 25, "imap": 143, "pop3": 110, "ldap": 389, "postgres": 5432})
PRELUDES: Mapping[str, Callable[[Streams], Awaitable[None]]] = MappingProxyType(
    {"smtp": _smtp, "imap": _imap, "pop3": _pop3, "ldap": _ldap, "postgres": _postgres}
)
