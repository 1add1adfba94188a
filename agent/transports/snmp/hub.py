"""The sockets to SNMP agents: one per device, kept, so that the kernel itself lets nobody else answer.

Lost datagrams are sent again; what is not the answer is counted, never believed; a device that floods is hung up on.
"""

import asyncio
import dataclasses
import ipaddress
import os
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from agent.clock import Deadline
from agent.errors import AgentError, OutputLimitError, TransportError
from agent.transports.beats import Beats
from agent.transports.snmp import message
from agent.transports.snmp.ber import MalformedError
from agent.transports.snmp.usm import Engine, ReportError, User

Answer = TypeVar("Answer")
Read = Callable[[bytes, int, int], Answer]  # the datagram, its version, the place after its number

_LARGEST = 65_536
_MOST_LINES = 4_096  # devices; above it the one that was asked longest ago is closed
_MOST_ASTRAY = 500  # datagrams that answer nothing, between two answers: late ones are a handful, more is a flood
_AT_ONCE = 16  # datagrams read before others have their turn
_STEP_SECONDS = 0.05  # by which a question may be sent again, or given up, too late
_FIRST_AGAIN_SECONDS = 1.0  # then twice as long, each time: RFC 3414 answers within seconds or never


@dataclasses.dataclass(kw_only=True, slots=True, eq=False)
class _Asked(Generic[Answer]):
    """A question under way."""

    line: "Line"
    request: bytes
    read: Read[Answer]
    future: asyncio.Future[Answer]
    deadline: Deadline
    pause: float
    beat: int = 0
    wrong: str = ""

    def wake(self) -> None:
        """No answer so far."""
        self.line.again(self)


def _unguessable() -> Iterator[int]:
    """Numbers of four bytes for ever, a thousand by one call to the kernel."""
    while True:
        for (number,) in struct.iter_unpack("!I", os.urandom(4_096)):
            yield number & 0x3FFFFFFF | 0x40000000


class Line:
    """The socket to one agent, and what it takes for an engine (v3), per user."""

    def __init__(
        self,
        where: str,
        connection: socket.socket,
        loop: asyncio.AbstractEventLoop,
        beats: Beats,
        numbers: Iterator[int],
    ) -> None:
        self.where = where
        self.loop = loop
        self._beats = beats
        self._numbers = numbers
        self.engines: dict[User, Engine] = {}
        self._socket = connection
        self._asked: dict[int, _Asked[Any]] = {}
        self._astray = 0
        self.closed = False
        loop.add_reader(connection.fileno(), self._hear)

    def number(self) -> int:
        """A number that no question under way has, and that nobody can guess."""
        return next(number for number in self._numbers if number not in self._asked)

    async def ask(self, number: int, request: bytes, read: Read[Answer], deadline: Deadline) -> Answer:
        """Send, again and again; what `read` makes of the answer. TransportError by the deadline."""
        if self.closed:
            raise TransportError(f"{self.where}: the line was closed", hint="nothing needs to be done")
        asked: _Asked[Answer] = _Asked(
            line=self, request=request, read=read, future=self.loop.create_future(), deadline=deadline,
            pause=min(_FIRST_AGAIN_SECONDS, deadline.remaining_seconds() / 3),
        )  # fmt: skip
        self._asked[number] = asked
        try:
            self._send(asked)
            asked.beat = self._beats.put(asked, asked.pause)
            return await asked.future
        finally:
            self._asked.pop(number, None)
            self._beats.take(asked, asked.beat)

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

    def again(self, asked: _Asked[Any]) -> None:
        """Send it once more, or give it up."""
        if asked.future.done():
            return
        left = asked.deadline.remaining_seconds()
        if left <= 0:
            why = f"what answers is no proper SNMP: {asked.wrong}" if asked.wrong else "no answer"
            hint = "is snmpd up, does it let this address in, are community or user right?"
            self._finish(asked, TransportError(f"{self.where}: {why}", hint=hint))
            return
        asked.pause = min(asked.pause * 2, left)
        self._send(asked)
        asked.beat = self._beats.put(asked, asked.pause)

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
            if not self._asked or self.closed:
                return  # nobody waits for more; what has come all the same is read with the next answer

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
            del self._asked[number]
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
        self._beats: tuple[asyncio.AbstractEventLoop, Beats] | None = None
        self._numbers = _unguessable()

    def kept(self, address: str, port: int) -> Line | None:
        """The line to an agent, when it is there."""
        line = self._lines.get((address, port))
        usable = line is not None and not line.closed and line.loop is asyncio.get_running_loop()
        return line if usable else None

    async def line(self, address: str, port: int, deadline: Deadline) -> Line:
        """The line to an agent; a name is looked up when it is first asked."""
        if (line := self.kept(address, port)) is not None:
            return line
        if (old := self._lines.get((address, port))) is not None:
            old.close()
        loop = asyncio.get_running_loop()
        family, place = await _place(loop, address, port, deadline)
        if (line := self.kept(address, port)) is not None:
            return line  # somebody else looked the name up meanwhile
        line = Line(f"{address} port {port}", _opened(family, place), loop, self._beats_of(loop), self._numbers)
        self._lines[address, port] = line
        if len(self._lines) > _MOST_LINES:
            self._lines.pop(next(iter(self._lines))).close()
        return line

    def _beats_of(self, loop: asyncio.AbstractEventLoop) -> Beats:
        if self._beats is None or self._beats[0] is not loop:
            self._beats = loop, Beats(loop, _STEP_SECONDS)
        return self._beats[1]

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
