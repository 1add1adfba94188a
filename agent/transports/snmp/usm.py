"""The user-based security of SNMP v3 (RFC 3414; SHA-2: RFC 7860; AES: RFC 3826): keys, signed and sealed messages."""

import dataclasses
import functools
import hashlib
import hmac
import os

from agent.transports.snmp import message
from agent.transports.snmp.ber import (
    OCTETS,
    SEQUENCE,
    MalformedError,
    Varbind,
    header,
    integer,
    oid,
    signed,
    tlv,
)

AUTHENTICATIONS = {"sha": ("sha1", 12), "sha-224": ("sha224", 16), "sha-256": ("sha256", 24), "sha-384": ("sha384", 32),
                   "sha-512": ("sha512", 48)}  # fmt: skip
WINDOW_SECONDS = 150  # RFC 3414, 2.2.3
_AUTH, _SEALED, _REPORTABLE = 1, 2, 4
_USM = 3
_LARGEST = 65_507  # what a datagram holds
_STATS = oid("1.3.6.1.6.3.15.1.1")
UNKNOWN_ENGINE, NOT_IN_TIME = 4, 2
_REFUSALS = {
    1: "it does not offer this user so much security",
    3: "it does not know this user",
    5: "the authentication password or its protocol is wrong",
    6: "the privacy password or its protocol is wrong",
}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """Who asks: with a password for signing (auth), and one for sealing (AES-128) on top of it."""

    name: str
    authentication: str = "sha"
    password: str | None = dataclasses.field(default=None, repr=False)
    privacy: str | None = dataclasses.field(default=None, repr=False)
    context: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """A device's identity and clock, as it told them; `proven` when it did so in a signed message."""

    id: bytes
    boots: int
    seconds: int
    at_ns: int
    proven: bool = False

    def now(self, at_ns: int) -> int:
        """Its clock at a moment of ours."""
        return self.seconds + (at_ns - self.at_ns) // 1_000_000_000


class ReportError(Exception):
    """The device reports what it did not like; `stat` is the last number of the counter's name."""

    def __init__(self, stat: int, engine: Engine) -> None:
        super().__init__(_REFUSALS.get(stat) or f"it refuses the message (usmStats {stat})")
        self.stat = stat
        self.engine = engine


@functools.lru_cache(maxsize=512)  # a megabyte is hashed for each
def _key(digest: str, password: str, engine: bytes) -> bytes:
    raw = password.encode()
    made = hashlib.new(digest, (raw * (1_048_576 // len(raw) + 1))[:1_048_576]).digest()
    return hashlib.new(digest, made + engine + made).digest()


def discovery(number: int) -> bytes:
    """The message to which every engine answers with its identity."""
    before, after = message.pdu(message.GET, ())
    scoped = tlv(SEQUENCE, message.octets(b"") * 2 + before + number.to_bytes(4, "big") + after)
    return _message(number, _REPORTABLE, _parameters(b"", 0, 0, b"", b"", b""), scoped)


def request(user: User, engine: Engine, asked: tuple[bytes, bytes], number: int, at_ns: int) -> bytes:
    """A whole message around a PDU, signed and sealed as far as the user has passwords."""
    before, after = asked
    inner = before + number.to_bytes(4, "big") + after
    data = tlv(SEQUENCE, message.octets(engine.id) + message.octets(user.context.encode()) + inner)
    flags, salt, seconds = _REPORTABLE, b"", engine.now(at_ns)
    digest, size = AUTHENTICATIONS[user.authentication]
    if user.privacy is not None:
        flags, salt = flags | _SEALED, os.urandom(8)
        data = message.octets(_crypt(user, engine.id, _vector(engine.boots, seconds, salt), data, seal=True))
    if user.password is None:
        return _message(
            number, flags, _parameters(engine.id, engine.boots, seconds, user.name.encode(), b"", salt), data
        )
    name, blank = user.name.encode(), bytes(size)
    whole = _message(number, flags | _AUTH, _parameters(engine.id, engine.boots, seconds, name, blank, salt), data)
    place = len(whole) - len(data) - len(message.octets(salt)) - size
    signature = hmac.digest(_key(digest, user.password, engine.id), whole, digest)[:size]
    return whole[:place] + signature + whole[place + size :]


def _parameters(engine: bytes, boots: int, seconds: int, user: bytes, signature: bytes, salt: bytes) -> bytes:
    octets = message.octets
    inner = octets(engine) + integer(boots) + integer(seconds) + octets(user) + octets(signature) + octets(salt)
    return octets(tlv(SEQUENCE, inner))


def _message(number: int, flags: int, parameters: bytes, data: bytes) -> bytes:
    kind = integer(number) + integer(_LARGEST) + message.octets(bytes((flags,))) + integer(_USM)
    return tlv(SEQUENCE, integer(message.V3) + tlv(SEQUENCE, kind) + parameters + data)


def _vector(boots: int, seconds: int, salt: bytes) -> bytes:
    return boots.to_bytes(4, "big") + seconds.to_bytes(4, "big") + salt


def _crypt(user: User, engine: bytes, vector: bytes, data: bytes, *, seal: bool) -> bytes:
    from cryptography.hazmat.decrepit.ciphers.modes import CFB  # the library's word for every mode that signs nothing
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

    assert user.privacy is not None
    key = _key(AUTHENTICATIONS[user.authentication][0], user.privacy, engine)[:16]
    cipher = Cipher(algorithms.AES(key), CFB(vector))
    worker = cipher.encryptor() if seal else cipher.decryptor()
    return worker.update(data) + worker.finalize()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Opened:
    """A v3 message with its envelope read: who signed it, and the data, no longer sealed."""

    engine: Engine
    user: bytes
    is_sealed: bool
    data: bytes


def read(data: bytes, at: int, user: User, known: Engine | None, at_ns: int) -> tuple[Engine, list[Varbind]]:
    """The engine as it now is, and what it answered; `at` is the place after the message's number.

    ReportError when it reports, MalformedError when the message cannot be the answer: not signed as the user's must be,
    of another engine, or from the past.
    """
    opened = _open(data, at, user, at_ns)
    start, end = header(opened.data, 0, SEQUENCE)
    _, place = header(opened.data, start, OCTETS)
    _, place = header(opened.data, place, OCTETS)
    if place < end and opened.data[place] == message.REPORT:
        raise ReportError(_stat(opened.data, place), opened.engine)
    if known is None or opened.engine.id != known.id or opened.user != user.name.encode():
        raise MalformedError("it speaks for another engine or to another user")
    if user.password is not None and not opened.engine.proven:
        raise MalformedError("it is not signed")
    if user.privacy is not None and not opened.is_sealed:
        raise MalformedError("it is not sealed")
    if known.proven and user.password is not None and _is_late(opened.engine, known, at_ns):
        raise MalformedError("it comes from the past")
    place, _ = header(opened.data, place, message.RESPONSE)
    _, place = signed(opened.data, place)
    return opened.engine, message.answered(opened.data, place)


def _is_late(engine: Engine, known: Engine, at_ns: int) -> bool:
    return engine.boots < known.boots or (
        engine.boots == known.boots and engine.seconds < known.now(at_ns) - WINDOW_SECONDS
    )


def _stat(data: bytes, at: int) -> int:
    place, _ = header(data, at, message.REPORT)
    _, place = signed(data, place)
    found = message.answered(data, place)
    name = found[0][0] if found else b""
    if not name.startswith(_STATS) or len(name) <= len(_STATS):
        raise MalformedError("it reports something that is not of its security")
    return name[len(_STATS)]


def _open(data: bytes, at: int, user: User, at_ns: int) -> _Opened:
    _, at = signed(data, at)
    start, end = header(data, at, OCTETS)
    flags = data[start] if end - start == 1 else 0
    model, at = signed(data, end)
    if end - start != 1 or model != _USM:
        raise MalformedError("its security is not the user-based one")
    outer, outer_end = header(data, at, OCTETS)
    at, _ = header(data, outer, SEQUENCE)
    id_at, at = header(data, at, OCTETS)
    engine = data[id_at:at]
    boots, at = signed(data, at)
    seconds, at = signed(data, at)
    if not (0 <= boots < 2**31 and 0 <= seconds < 2**31 and len(engine) <= 32):
        raise MalformedError("its engine cannot be one")
    name_at, name_end = header(data, at, OCTETS)
    signature_at, signature_end = header(data, name_end, OCTETS)
    salt_at, salt_end = header(data, signature_end, OCTETS)
    proven = bool(flags & _AUTH)
    if proven and not _is_signed(data, signature_at, signature_end, user, engine):
        raise MalformedError("its signature is wrong")
    rest, is_sealed = data[outer_end:], bool(flags & _SEALED)
    if is_sealed:
        rest = _unsealed(rest, user, engine, _vector(boots, seconds, data[salt_at:salt_end]))
    told = Engine(id=engine, boots=boots, seconds=seconds, at_ns=at_ns, proven=proven)
    return _Opened(engine=told, user=data[name_at:name_end], is_sealed=is_sealed, data=rest)


def _is_signed(data: bytes, start: int, end: int, user: User, engine: bytes) -> bool:
    digest, size = AUTHENTICATIONS[user.authentication]
    if user.password is None or end - start != size:
        return False
    blank = data[:start] + bytes(size) + data[end:]
    made = hmac.digest(_key(digest, user.password, engine), blank, digest)[:size]
    return hmac.compare_digest(made, data[start:end])


def _unsealed(rest: bytes, user: User, engine: bytes, vector: bytes) -> bytes:
    start, end = header(rest, 0, OCTETS)
    if user.privacy is None or len(vector) != 16:
        raise MalformedError("it is sealed in another way")
    return _crypt(user, engine, vector, rest[start:end], seal=False)
