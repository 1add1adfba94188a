"""Opens a TCP connection within a deadline, name lookup included, and sees that a dead peer is noticed."""

import contextlib
import errno
import ipaddress
import queue
import socket
import threading
from pathlib import Path
from typing import Protocol

from agent.clock import Deadline
from agent.errors import TransportError

DEAD_AFTER_SECONDS = 10  # without an acknowledgement from the peer's kernel; half-open connections end by this
_PROBE_EVERY_SECONDS = 2

LOGIN_BYTES = 262_144  # greeting, key exchange and login together take a few thousand

Place = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]


class Line(Protocol):
    """A connection as a login needs it: a socket, or a channel through a jump host."""

    @property
    def allowance(self) -> "Allowance":
        """How much more of it is heard."""

    def setsockopt(self, level: int, name: int, value: bytes, /) -> None:
        """As of a socket."""

    def shutdown(self, how: int, /) -> None:
        """As of a socket."""

    def close(self) -> None:
        """As of a socket."""


class Allowance:
    """How many bytes are heard of a peer: the protocol above a connection believes any packet length it is told."""

    def __init__(self) -> None:
        self._left = LOGIN_BYTES

    def renew(self, size: int) -> None:
        """Hear so many bytes from now on; a flood stays one."""
        if not self.is_flooded:
            self._left = size

    @property
    def is_flooded(self) -> bool:
        """Whether more came than it was allowed."""
        return self._left <= 0

    def check(self) -> None:
        """OSError when it is used up."""
        if self.is_flooded:
            raise OSError(errno.EMSGSIZE, "it sent more than we are ready to hear")

    def spent_on(self, data: bytes) -> bytes:
        """The same bytes, which were heard."""
        self._left -= len(data)
        return data


class MeteredSocket(socket.socket):
    """A socket that hears no more than its allowance."""

    def __init__(self, family: socket.AddressFamily) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self.allowance = Allowance()

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """As of any socket, until the allowance is used up."""
        self.allowance.check()
        return self.allowance.spent_on(super().recv(bufsize, flags))


def dial(address: str, port: int, deadline: Deadline) -> MeteredSocket:
    """Connect to the first of the address's places that answers; TransportError in plain words."""
    last = TransportError(f"{address} has no usable address", hint=f"try: getent ahosts {address}")
    for family, place in _places(address, port, deadline):
        try:
            return _connect(family, place, deadline)
        except OSError as error:
            last = _refusal(address, port, error)
    raise last


def unread() -> str:
    """What to add to a hint where ssh itself may get in: it follows the user's own file, and we do not."""
    config = Path.home() / ".ssh" / "config"
    return f"; what {config} says of it is not read here: say it in the inventory" if config.exists() else ""


def _places(address: str, port: int, deadline: Deadline) -> list[Place]:
    with contextlib.suppress(ValueError):
        version = ipaddress.ip_address(address).version
        return [(socket.AF_INET if version == 4 else socket.AF_INET6, (address, port))]
    answer: queue.SimpleQueue[list[Place] | OSError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)
            answer.put([(family, place) for family, _, _, _, place in found])
        except (OSError, UnicodeError) as error:
            answer.put(error if isinstance(error, OSError) else OSError(0, str(error)))

    # the resolver knows no deadline; its thread is left to it, and ends when it gives up (resolv.conf(5): timeout)
    threading.Thread(target=look_up, name="lookup", daemon=True).start()
    try:
        found = answer.get(timeout=deadline.remaining_seconds())
    except queue.Empty:
        found = OSError(0, "no answer in time")
    if isinstance(found, OSError):
        raise TransportError(
            f"the name {address} cannot be resolved: {found.strerror or found}",
            hint=f"try: getent hosts {address}; or set ansible_host to an address" + unread(),
        ) from found
    return found


def _connect(family: socket.AddressFamily, place: object, deadline: Deadline) -> MeteredSocket:
    connection = MeteredSocket(family)
    try:
        connection.settimeout(max(0.001, deadline.remaining_seconds()))
        connection.connect(place)  # type: ignore[arg-type]  # getaddrinfo's own, fit for its family
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, DEAD_AFTER_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _PROBE_EVERY_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER_SECONDS * 1000)
    except BaseException:
        connection.close()
        raise
    return connection


def _refusal(address: str, port: int, error: OSError) -> TransportError:
    where = f"{address} port {port}"
    if isinstance(error, ConnectionRefusedError):
        return TransportError(f"{where} refuses connections", hint="is sshd running there, and is ansible_port right?")
    if isinstance(error, TimeoutError):
        return TransportError(f"{where} did not answer in time", hint=f"is it up? try: ping {address}")
    return TransportError(f"{where} cannot be reached: {error.strerror or error}", hint=f"try: ping {address}")
