"""ICMP echoes in flight (RFC 792, RFC 4443): one socket per address family for all hosts that are being asked.

The socket is raw where the agent may have one (CAP_NET_RAW), else of the unprivileged kind (icmp(7)), and is open only
while somebody waits. An answer counts when number, token and source address fit; the kernel says when it arrived, so
that a busy agent makes no line look slow.
"""

import asyncio
import errno
import functools
import itertools
import secrets
import socket
import struct
from collections.abc import Callable
from typing import Any

from agent.clock import NANOSECONDS, Clock
from agent.errors import AgentError
from agent.transports.beats import Beats

_ECHO, _REPLY = (8, 128), (0, 129)  # RFC 792, RFC 4443: v4, v6
_PACKET = struct.Struct("!BBHHH8sQ")  # type, code, checksum, identifier, sequence number; ours: token, number
_BODY = struct.Struct("!8sQ")
_BODY_AT = _PACKET.size - _BODY.size
_WORDS = struct.Struct("!12H")
_STAMP = struct.Struct("@qq")
_SO_TIMESTAMPNS = 35  # socket(7), asm-generic/socket.h
_ICMP_FILTER, _ICMP6_FILTER, _SOL_RAW = 1, 1, 255  # raw(7), linux/icmp.h, linux/icmpv6.h
_ROOM = 4_194_304  # bytes of answers that wait for us: some five thousand
_STEP_SECONDS = 0.01  # by which an echo may leave too late; all that are due then leave together
_DRAIN_EVERY = 64  # echoes sent before we look for answers, so that a large sweep never overruns that room
_NO_RIGHT = frozenset({errno.EPERM, errno.EACCES, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT})
_UNREACHABLE = {
    errno.ENETUNREACH: "no route to that network",
    errno.EHOSTUNREACH: "no route to the host",
    errno.EACCES: "this is a broadcast address",
    errno.EPERM: "a firewall of this machine forbids it",
    errno.EINVAL: "that address cannot be asked",
    errno.EADDRNOTAVAIL: "that address cannot be asked",
}


Heard = Callable[[int, float], None]  # which echo of the asker, round-trip seconds


# An echo under way: whom to tell, which of the asker's it is, the address asked, and when on the boot clock.
# A tuple, because it is made a hundred thousand times a minute.
_Sent = tuple[Heard, int, str, int]


class Echoes:
    """Sends echoes and hands out the answers; of one event loop and one address family."""

    def __init__(self, loop: asyncio.AbstractEventLoop, family: int) -> None:
        self._loop = loop
        self._clock: Clock | None = None
        self._is_v6 = family == socket.AF_INET6
        self._family = family
        self._token = secrets.token_bytes(8)
        self._identifier = secrets.randbelow(0x10000)
        blank = _PACKET.pack(_ECHO[self._is_v6], 0, 0, self._identifier, 0, self._token, 0)
        self._sum = sum(_WORDS.unpack(blank))  # of what is the same in all echoes
        self._numbers = itertools.count(secrets.randbits(32))
        self._under_way: dict[int, _Sent] = {}
        self._askers = 0
        self._socket: socket.socket | None = None
        self._is_raw = True
        self.beats = Beats(loop, _STEP_SECONDS)

    def open(self, clock: Clock) -> None:
        """Somebody is going to ask; AgentError when this machine does not let us."""
        self._clock = clock
        if self._socket is None:
            self._socket, self._is_raw = _opened(self._family)
            self._loop.add_reader(self._socket, self._hear)
        self._askers += 1

    def close(self, numbers: list[int]) -> None:
        """Somebody has asked enough: forget these echoes, and the socket once nobody waits."""
        for number in numbers:
            self._under_way.pop(number, None)
        self._askers -= 1
        if self._askers == 0 and self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def send(self, address: str, where: tuple[Any, ...], heard: Heard, position: int) -> tuple[int, str]:
        """Send one echo: its number, and why it could not be sent, if so (it counts as lost)."""
        assert self._socket is not None, "open() comes first"
        assert self._clock is not None, "open() comes first"
        number = next(self._numbers)
        packet = self._packet(number)
        self._under_way[number] = (heard, position, address, self._clock.boottime())
        try:
            self._socket.sendto(packet, where)
        except OSError as error:
            del self._under_way[number]
            return number, _UNREACHABLE.get(error.errno or 0, "") or error.strerror or str(error)
        if number % _DRAIN_EVERY == 0:
            self._hear()
        return number, ""

    def _packet(self, number: int) -> bytes:
        """The kernel sums up for IPv6 and for unprivileged sockets, and there fills in the identifier."""
        sequence, total = number & 0xFFFF, 0
        if self._is_raw and not self._is_v6:
            total = self._sum + 2 * sequence + (number >> 16 & 0xFFFF) + (number >> 32 & 0xFFFF) + (number >> 48)
            total = (total >> 16) + (total & 0xFFFF)
            total = ~(total + (total >> 16)) & 0xFFFF  # RFC 1071
        return _PACKET.pack(_ECHO[self._is_v6], 0, total, self._identifier, sequence, self._token, number)

    def _hear(self) -> None:
        """Take everything that has arrived."""
        assert self._clock is not None, "what was sent was sent by a clock"
        now_ns = self._clock.boottime()
        ahead_ns = self._clock.now() * 1_000 - now_ns  # of the wall clock, by which the kernel stamps
        while self._socket is not None:  # an answer may end the last asker's wait
            try:
                packet, extra, _, source = self._socket.recvmsg(256, 64)
            except OSError:
                return  # nothing more has come, or an earlier echo brought about an error: that echo stays lost
            if (sent := self._asked(packet, source[0])) is not None:
                heard, position, _, at_ns = sent
                arrived_ns = _stamped_ns(extra) - ahead_ns
                if not at_ns < arrived_ns < now_ns:  # it came meanwhile, or the wall clock has been set
                    now_ns = self._clock.boottime()
                    arrived_ns = _believed_ns(at_ns, arrived_ns, now_ns)
                heard(position, (arrived_ns - at_ns) / NANOSECONDS)

    def _asked(self, packet: bytes, source: str) -> _Sent | None:
        """The echo that a packet answers, from now on no longer under way; None when it answers none of ours."""
        start = (packet[0] & 0x0F) * 4 if self._is_raw and not self._is_v6 and packet else 0  # raw(7): the IP header
        if len(packet) != start + _PACKET.size or packet[start] != _REPLY[self._is_v6]:
            return None
        token, number = _BODY.unpack_from(packet, start + _BODY_AT)
        sent = self._under_way.get(number)
        if sent is None or token != self._token or (source != sent[2] and source.partition("%")[0] != sent[2]):
            return None
        del self._under_way[number]
        return sent


def _believed_ns(at_ns: int, arrived_ns: int, now_ns: int) -> int:
    """By the kernel's stamp where it makes sense: the wall clock may have been set meanwhile."""
    return arrived_ns if at_ns < arrived_ns < now_ns else now_ns


def _stamped_ns(extra: list[tuple[int, int, bytes]]) -> int:
    """When the kernel says that a packet arrived, by the wall clock; 0 when it says nothing."""
    for level, kind, data in extra:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) >= _STAMP.size:
            seconds, nanoseconds = _STAMP.unpack_from(data)
            return int(seconds) * NANOSECONDS + int(nanoseconds)
    return 0


def _opened(family: int) -> tuple[socket.socket, bool]:
    """A socket for echoes, and whether it is raw."""
    protocol = socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
    for kind in (socket.SOCK_RAW, socket.SOCK_DGRAM):
        try:
            made = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
        except OSError as error:
            if error.errno not in _NO_RIGHT:
                raise AgentError(f"the agent cannot open a socket for ping: {error.strerror}") from error
            continue
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
        made.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        if kind == socket.SOCK_RAW:
            _let_replies_pass(made, family)
        return made, kind == socket.SOCK_RAW
    raise AgentError(
        "the agent may not ping: it has neither CAP_NET_RAW nor a group that net.ipv4.ping_group_range allows",
        hint="systemd: AmbientCapabilities=CAP_NET_RAW; or: sysctl net.ipv4.ping_group_range='0 2147483647'",
    )


def _let_replies_pass(raw: socket.socket, family: int) -> None:
    """Have the kernel drop all other ICMP: a set bit blocks its type."""
    if family == socket.AF_INET6:
        blocked = bytearray(b"\xff" * 32)
        blocked[_REPLY[1] // 32 * 4 : _REPLY[1] // 32 * 4 + 4] = struct.pack("@I", ~(1 << _REPLY[1] % 32) & 0xFFFFFFFF)
        raw.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, bytes(blocked))
    else:
        raw.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("@I", ~(1 << _REPLY[0]) & 0xFFFFFFFF))


@functools.lru_cache(maxsize=4)  # one loop, two families; it holds no socket while nobody asks
def echoes(loop: asyncio.AbstractEventLoop, family: int) -> Echoes:
    """The one that all askers of a loop share."""
    return Echoes(loop, family)
