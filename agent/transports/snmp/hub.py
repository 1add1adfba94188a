"""The sockets to SNMP agents: one per device, kept, so that the kernel itself lets nobody else answer.

Lost datagrams are sent again; what is not the answer is counted, never believed; a device that floods is hung up on.
"""

import asyncio
import dataclasses
import ipaddress
import os
import socket
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from agent.clock import Deadline
from agent.errors import AgentError, OutputLimitError, TransportError
from agent.transports.snmp import message
from agent.transports.snmp.ber import MalformedError
from agent.transports.snmp.usm import Engine, ReportError, User

Answer = TypeVar("Answer")
Read = Callable[[bytes, int, int], Answer]  # the datagram, its version, the place after its number

_LARGEST = 65_536
_MOST_LINES = 4_096  # devices; above it the one that was asked longest ago is closed
_MOST_ASTRAY = 500  # datagrams that answer nothing, between two answers: late ones are a handful, more is a flood
_AT_ONCE = 16  # datagrams read before others have their turn
_FIRST_AGAIN_SECONDS = 1.0  # then twice as long, each time: RFC 3414 answers within seconds or never


@dataclasses.dataclass(kw_only=True, slots=True, eq=False)
class _Asked(Generic[Answer]):
    """A question under way."""

    request: bytes
    read: Read[Answer]
    future: asyncio.Future[Answer]
    deadline: Deadline
    pause: float
    timer: asyncio.TimerHandle | None = None
    wrong: str = ""


class Line:
    """The socket to one agent, and what it takes for an engine (v3), per user."""

    def __init__(self, where: str, connection: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        self.where = where
        self.loop = loop
        self.engines: dict[User, Engine] = {}
        self._socket = connection
        self._asked: dict[int, _Asked[Any]] = {}
        self._astray = 0
        self.closed = False
        loop.add_reader(connection.fileno(), self._hear)

    def number(self) -> int:
        """A number that no question under way has, and that nobody can guess."""
        while True:
            number = int.from_bytes(os.urandom(4), "big") & 0x3FFFFFFF | 0x40000000
            if number not in self._asked:
                return number

    async def ask(self, number: int, request: bytes, read: Read[Answer], deadline: Deadline) -> Answer:
        """Send, again and again; what `read` makes of the answer. TransportError by the deadline."""
        if self.closed:
            raise TransportError(f"{self.where}: the line was closed", hint="nothing needs to be done")
        left = deadline.remaining_seconds()
        asked: _Asked[Answer] = _Asked(
            request=request, read=read, future=self.loop.create_future(), deadline=deadline,
            pause=min(_FIRST_AGAIN_SECONDS, left / 3),
        )  # fmt: skip
        self._asked[number] = asked
        try:
            self._send(asked)
            asked.timer = self.loop.call_later(asked.pause, self._again, asked)
            answer: Answer = await asked.future
            return answer
        finally:
            del self._asked[number]
            if asked.timer is not None:
                asked.timer.cancel()

    def close(self) -> None:
        """Close the socket; questions under way fail."""
        if self.closed:
            return
        self.closed = True
        if not self.loop.is_closed():
            self.loop.remove_reader(self._socket.fileno())
        self._socket.close()
        self._fail(TransportError(f"{self.where}: the line was closed", hint="nothing needs to be done"))

    def _send(self, asked: _Asked[Any]) -> None:
        for _ in range(2):  # a refusal of what was sent earlier is told once, and here
            try:
                self._socket.send(asked.request)
            except ConnectionRefusedError:
                continue
            except BlockingIOError:
                return  # our own buffer is full: as good as lost on the way
            except OSError as error:
                self._finish(asked, self._refusal(error))
            return

    def _again(self, asked: _Asked[Any]) -> None:
        left = asked.deadline.remaining_seconds()
        if left <= 0:
            why = f"what answers is no proper SNMP: {asked.wrong}" if asked.wrong else "no answer"
            hint = "is snmpd up, does it let this address in, are community or user right?"
            self._finish(asked, TransportError(f"{self.where}: {why}", hint=hint))
            return
        asked.pause = min(asked.pause * 2, left)
        self._send(asked)
        asked.timer = self.loop.call_later(max(0.001, asked.pause), self._again, asked)

    def _hear(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                data = self._socket.recv(_LARGEST)
            except BlockingIOError:
                return
            except OSError as error:
                self._fail(self._refusal(error))
                return
            self._take(data)
            if self.closed:
                return

    def _take(self, data: bytes) -> None:
        try:
            version, number, at = message.opened(data)
        except MalformedError as error:
            self._stray(str(error))
            return
        asked = self._asked.get(number)
        if asked is None or asked.future.done():
            self._stray("it answers another question")
            return
        try:
            asked.future.set_result(asked.read(data, version, at))
            self._astray = 0
        except MalformedError as error:
            self._stray(str(error))
        except (message.StatusError, ReportError, OutputLimitError) as error:
            asked.future.set_exception(error)

    def _stray(self, why: str) -> None:
        self._astray += 1
        for asked in self._asked.values():
            asked.wrong = why
        if self._astray > _MOST_ASTRAY:
            self._fail(OutputLimitError(f"{self.where} floods us: {why}", hint="what runs there?"))
            self.close()

    def _fail(self, error: TransportError | AgentError) -> None:
        for asked in self._asked.values():
            self._finish(asked, error)

    def _finish(self, asked: _Asked[Any], error: Exception) -> None:
        if not asked.future.done():
            asked.future.set_exception(error)

    def _refusal(self, error: OSError) -> TransportError:
        if isinstance(error, ConnectionRefusedError):
            return TransportError(f"{self.where}: nothing listens there", hint="is snmpd up, is snmp_port right?")
        return TransportError(f"{self.where}: {error.strerror or error}", hint="is there a route to it?")


class Hub:
    """All lines of a process, kept between looks."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, int], Line] = {}

    async def line(self, address: str, port: int, deadline: Deadline) -> Line:
        """The line to an agent; a name is looked up when it is first asked."""
        loop = asyncio.get_running_loop()
        line = self._lines.get((address, port))
        if line is not None and not line.closed and line.loop is loop:
            return line
        if line is not None:
            line.close()
        family, place = await _place(loop, address, port, deadline)
        line = self._lines[address, port] = Line(f"{address} port {port}", _opened(family, place), loop)
        if len(self._lines) > _MOST_LINES:
            self._lines.pop(next(iter(self._lines))).close()
        return line

    def drop(self, line: Line) -> None:
        """Close a line that led nowhere: the next look may find the name elsewhere."""
        for key, kept in list(self._lines.items()):
            if kept is line:
                del self._lines[key]
        line.close()

    def close(self) -> None:
        """Close everything."""
        for line in self._lines.values():
            line.close()
        self._lines.clear()


async def _place(
    loop: asyncio.AbstractEventLoop, address: str, port: int, deadline: Deadline
) -> tuple[socket.AddressFamily, Any]:
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        pass
    else:
        return (socket.AF_INET if version == 4 else socket.AF_INET6), (address, port)
    hint = f"try: getent hosts {address}; or set ansible_host to an address"
    try:
        async with asyncio.timeout(deadline.remaining_seconds()):
            found = await loop.getaddrinfo(address, port, type=socket.SOCK_DGRAM)
    except TimeoutError as error:
        raise TransportError(f"the name {address} was not resolved in time", hint=hint) from error
    except (OSError, UnicodeError) as error:
        raise TransportError(f"the name {address} cannot be resolved", hint=hint) from error
    return found[0][0], found[0][4]


def _opened(family: socket.AddressFamily, place: Any) -> socket.socket:
    try:
        connection = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    except OSError as error:
        raise AgentError(f"the agent cannot open a socket: {error.strerror}", hint="watchkeeper doctor") from error
    try:
        connection.connect(place)
    except OSError as error:
        connection.close()
        raise TransportError(f"{place[0]}: {error.strerror}", hint="is there a route to it?") from error
    return connection
