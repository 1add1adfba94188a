"""Lies of an SNMP agent: what it sends instead of its answer."""

from collections.abc import Iterator

from agent.transports.snmp import ber, message, usm
from agent.transports.snmp.ber import Varbind
from tests.fakes.snmp_peer import Mangle, number, response


def endless(size: int, *columns: str) -> Mangle:
    """Always some rows more of these columns, each value of this size; of what is asked for beside them, the truth."""

    def mangle(request: bytes, answer: bytes) -> list[bytes]:
        start = request.index(b"public") + 6
        start, _ = ber.header(request, start, request[start])
        asked_for, at = ber.signed(request, start)
        at = ber.signed(request, ber.signed(request, at)[1])[1]
        names = [ber.oid_text(name) for name, _, _ in ber.varbinds(request, *ber.header(request, at, ber.SEQUENCE))]
        if not all(name.startswith(columns) for name in names):
            return [answer]
        found: list[Varbind] = []
        for _ in range(50 // len(names)):
            names = [_row_after(name, columns) for name in names]
            found += [(ber.oid(name), ber.OCTETS, bytes(size)) for name in names]
        return [response(b"public", asked_for, found)]

    return mangle


def _row_after(name: str, columns: tuple[str, ...]) -> str:
    column = max(one for one in columns if name == one or name.startswith(f"{one}."))
    return f"{column}.{int(name.removeprefix(column).removeprefix('.') or '0') + 1}"


def reporting(engines: Iterator[bytes]) -> Mangle:
    """Answers every v3 message with a report that names the next engine."""

    def mangle(request: bytes, _answer: bytes) -> list[bytes]:
        _, asked_for, _ = message.opened(request)
        name = ber.oid("1.3.6.1.6.3.15.1.1.4.0")
        listed = ber.tlv(ber.SEQUENCE, ber.tlv(ber.OID, name) + ber.tlv(ber.COUNTER32, b"\1"))
        inner = ber.integer(asked_for) + ber.integer(0) * 2 + ber.tlv(ber.SEQUENCE, listed)
        engine = next(engines)
        scoped = message.octets(engine) + message.octets(b"") + ber.tlv(message.REPORT, inner)
        parameters = usm._parameters(engine, 1, 1, b"", b"", b"")
        return [usm._message(asked_for, 0, parameters, ber.tlv(ber.SEQUENCE, scoped))]

    return mangle


def answering_as(engine: bytes) -> Mangle:
    r"""Calls itself `\x80right`, and answers a user `u` without a signature as this engine."""
    honest = reporting(iter([b"\x80right"] * 99))

    def mangle(request: bytes, answer: bytes) -> list[bytes]:
        if b"\x80right" not in request:
            return honest(request, answer)
        _, asked_for, _ = message.opened(request)
        pdu = response(b"", asked_for, [(ber.oid("1.3.6.1.2.1.1.5.0"), *number(7))])
        pdu = pdu[pdu.index(b"\xa2") :]
        scoped = ber.tlv(ber.SEQUENCE, message.octets(engine) + message.octets(b"") + pdu)
        return [usm._message(asked_for, 0, usm._parameters(engine, 1, 1, b"u", b"", b""), scoped)]

    return mangle
