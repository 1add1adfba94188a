"""Runs restic on a host, over ssh, into the repository that is lent to it meanwhile."""

import dataclasses
import random
import re
from collections.abc import Callable, Sequence

from agent.backups.mirror.line import ENVIRONMENT, Line
from agent.backups.onhost import words
from agent.backups.onhost.script import MARK, script
from agent.backups.onhost.server import Server
from agent.backups.onhost.words import Lines
from agent.backups.restic import locks
from agent.backups.restic.command import Ended, Listener
from agent.backups.restic.locks import Register
from agent.backups.restic.outcome import Version
from agent.backups.streaming.script import Frame, new_nonce
from agent.errors import ToolError, TransportError
from agent.transports import local, openssh

_PORTS = range(20_000, 32_000)  # below those that Linux hands out by itself
_TRIES = 3  # a port that was drawn may be taken there
_TAKEN = re.compile(r"remote port forwarding failed for listen port|cannot listen to port")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_KEPT = 20  # lines of its stderr


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One call of restic there: its version, its arguments, the password; `hear` gets its stdout line by line."""

    version: Version
    arguments: Sequence[str]
    hear: Callable[[str], None]
    password: str = dataclasses.field(repr=False)


class Session:
    """The calls of one job on one host."""

    def __init__(self, line: Line, server: Server, register: Register) -> None:
        self._line, self._server, self._register = line, server, register

    def call(self, call: Call) -> Ended:
        """Run restic there once. TransportError when there is no way in, or none back; TimeoutError at the deadline."""
        for _ in range(_TRIES):
            one = _One(self._line, self._server, self._register, call)
            one.run(random.choice(_PORTS))  # noqa: S311  # any that is free
            if not one.is_port_taken:
                return one.ended()
        return one.ended()


class _One:
    """One try."""

    def __init__(self, line: Line, server: Server, register: Register, call: Call) -> None:
        self._line, self._server, self._register, self._call = line, server, register, call
        self._nonce = new_nonce()
        self._frame = Frame(self._nonce)
        self._veiled = (server.password, call.password)
        self._listener = Listener(None, self._veil)
        self._out = Lines(self._hear, line.route.host.name)
        self._err = Lines(self._complain, line.route.host.name)
        self._words: list[str] = []
        self._last = ""  # its summary
        self._noted = register.note(server.pid, there=0)
        self._is_known = False
        self._done = local.Completed(exit_code=0, stdout="", stderr="")

    @property
    def is_port_taken(self) -> bool:
        """Whether that port could not be had there."""
        return any(map(_TAKEN.search, self._words)) and not self._frame.has_begun

    def run(self, port: int) -> None:
        """Run it, with the server at that port there."""
        line, call = self._line, self._call
        there = openssh.command(line.route, line.work, lent=(port, self._server.port))
        sudo = ("sudo", "-n", "--") if line.route.host.become else ()
        try:
            self._done = local.pour(
                [*there, *sudo, "/bin/sh"],
                deadline=line.deadline,
                stdin=script(self._server.url(port), call.password, call.arguments, self._nonce),
                take=lambda data: self._out.take(self._frame.push(data)),
                complain=self._err.take,
                env=ENVIRONMENT,
            )
        except ValueError as error:
            raise ToolError(f"{line.route.host.name}: {error}", hint="does a start-up file there print?") from None

    def ended(self) -> Ended:
        """How it ended; a lock that it may have left stays on record."""
        self._out.end()
        self._err.end()
        self._listener.hear(self._last)
        code = self._frame.exit_code
        if code is None:
            self._forget(when=not self._frame.has_begun)
            if self._done.timed_out:
                raise TimeoutError
            raise self._failure()
        ended = self._listener.ended(self._call.version, dataclasses.replace(self._done, exit_code=code))
        self._forget(when=self._listener.has_tidied(ended.outcome, code))
        return ended

    def _forget(self, *, when: bool) -> None:
        if self._noted is not None and when:
            locks.forget([self._noted])

    def _failure(self) -> TransportError:
        """Why there is no end: no way in, no way back, or a line that was cut."""
        name = self._line.route.host.name
        if self.is_port_taken:
            return TransportError(
                f"{name}: its sshd lends no port of its loopback: {self._words[-1][:300]}",
                hint="allow it in its sshd_config: AllowTcpForwarding remote; or leave out `run_from: host`",
            )
        if self._frame.has_begun:
            return TransportError(f"{name}: the connection was lost before restic had ended", hint="run it again")
        return self._line.failure("\n".join(self._words))

    def _hear(self, line: str) -> None:
        if line.startswith(MARK) and not self._is_known:
            self._note(line.removeprefix(MARK).split())
        elif text := words.progress(line):
            self._call.hear(text)
            self._last = text

    def _note(self, said: Sequence[str]) -> None:
        """Which process it is there: should it leave a lock, that is known for ours."""
        if len(said) == 2 and said[0].isdigit() and len(said[0]) < 10 and _NAME.fullmatch(said[1]):
            self._is_known = True
            self._register.note(self._server.pid, host=said[1], there=int(said[0]))

    def _complain(self, line: str) -> None:
        self._words = [*self._words[-_KEPT:], self._veil(line)]
        if text := words.complaint(line):
            self._listener.complain(text)

    def _veil(self, line: str) -> str:
        for text in self._veiled:
            line = line.replace(text, "***")
        return line
