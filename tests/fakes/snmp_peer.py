"""An SNMP agent that is told what to say, and how to misbehave: the faults that no real agent can be made to show."""

import bisect
import contextlib
import dataclasses
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from agent.transports.snmp import ber, message
from agent.transports.snmp.ber import OCTETS, SEQUENCE, Cell, Varbind, header, integer, signed, tlv, varbinds

Mangle = Callable[[bytes, bytes], list[bytes]]  # the request, the honest answer: what is sent instead


@dataclasses.dataclass(kw_only=True, slots=True)
class Peer:
    """The values it holds, by name in dots; what it was asked; how it changes its answers before it sends them."""

    address: str
    port: int
    values: dict[str, Cell]
    mangle: Mangle = lambda _request, answer: [answer]
    requests: list[bytes] = dataclasses.field(default_factory=list)
    grows: bool = False  # for each row that is read there is one more
    _order: list[bytes] = dataclasses.field(default_factory=list)

    def answer(self, data: bytes) -> bytes:
        """The honest answer to a v2c request."""
        start, _ = header(data, 0, SEQUENCE)
        _, at = signed(data, start)
        community, at = header(data, at, OCTETS)
        tag, head = data[at], data[community:at]
        at, _ = header(data, at, tag)
        number, at = signed(data, at)
        _, at = signed(data, at)
        repetitions, at = signed(data, at)
        names = [name for name, _, _ in varbinds(data, *header(data, at, SEQUENCE))]
        found = [self._get(name) for name in names]
        if tag == message.GETBULK:
            self._order = []  # a test may have changed what it holds
            found = list(self._bulk(names, repetitions))
        return response(head, number, found)

    def _get(self, name: bytes) -> Varbind:
        return (name, *self.values.get(ber.oid_text(name), (ber.NO_SUCH_INSTANCE, b"")))

    def _bulk(self, names: list[bytes], repetitions: int) -> Iterator[Varbind]:
        for _ in range(repetitions):
            after = [(name, self._next(name)) for name in names]
            names = [later or name for name, later in after]
            for name, later in after:
                yield self._get(later) if later else (name, ber.END_OF_VIEW, b"")

    def _held(self) -> set[bytes]:
        return {ber.oid(name) for name in self.values}

    def _next(self, name: bytes) -> bytes | None:
        if len(self._order) != len(self.values):
            self._order = sorted(self._held(), key=ber.numbers)
        later = self._order[bisect.bisect_right(self._order, ber.numbers(name), key=ber.numbers) :][:2]
        if self.grows and len(later) < 2:
            top, _, row = max(self.values, key=lambda one: ber.numbers(ber.oid(one))).rpartition(".")
            self.values[f"{top}.{int(row) + 1}"] = (ber.INTEGER, b"\1")
            return self._next(name)
        return later[0] if later else None


def response(community: bytes, number: int, found: list[Varbind], status: int = 0) -> bytes:
    """A whole v2c response."""
    listed = b"".join(tlv(SEQUENCE, tlv(ber.OID, name) + tlv(tag, content)) for name, tag, content in found)
    pdu = tlv(message.RESPONSE, integer(number) + integer(status) + integer(0) + tlv(SEQUENCE, listed))
    return tlv(SEQUENCE, integer(message.V2C) + tlv(OCTETS, community) + pdu)


def counter(value: int, tag: int = ber.COUNTER64) -> Cell:
    """A counter, or another number that has no sign."""
    return tag, value.to_bytes(value.bit_length() // 8 + 1, "big")


def number(value: int) -> Cell:
    """An INTEGER."""
    return ber.INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def words(text: str) -> Cell:
    """An OCTET STRING."""
    return OCTETS, text.encode()


@contextlib.contextmanager
def peering(values: Mapping[str, Cell], **behaviour: Any) -> Iterator[Peer]:
    """Answer in a thread until the end of the block."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        address, port = listening.getsockname()
        peer = Peer(address=address, port=port, values=dict(values), **behaviour)
        ended = threading.Event()

        def serve() -> None:
            while True:
                data, sender = listening.recvfrom(65_536)
                if ended.is_set():
                    return
                peer.requests.append(data)
                honest = peer.answer(data) if data[4] == message.V2C or data[3:5] == b"\1\1" else b""
                for piece in peer.mangle(data, honest):
                    listening.sendto(piece, sender)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield peer
        finally:
            ended.set()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"end", (address, port))
            thread.join(5)
