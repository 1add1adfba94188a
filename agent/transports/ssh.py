"""The kept SSH connections, one per host: many read-only scripts in one round trip. Changes never come this way."""

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from agent.clock import NANOSECONDS, Clock, Deadline
from agent.errors import TransportError
from agent.model.host import Host
from agent.model.look import Section
from agent.transports import known_hosts, login
from agent.transports.cutoff import Cutoff, cut
from agent.transports.jumps import Jumps
from agent.transports.pace import Pace
from agent.transports.shell import EndedError, Shell

Scripts = Sequence[tuple[str, float]]


class Session(Protocol):
    """What is asked at the end of a connection."""

    @property
    def transport(self) -> login.Transport:
        """The connection."""

    def ask(self, scripts: Scripts, deadline: Deadline, /) -> list[Section]:
        """One section for each; fewer, but not none, when the session is over and another one is to answer the rest."""

    def hang_up(self) -> None:
        """End it, and the connection."""


Open = Callable[[Host, login.Transport, Deadline], Session]


def _open_shell(host: Host, transport: login.Transport, deadline: Deadline) -> Session:
    return Shell.open(transport, f"{host.address} port {host.port}", deadline)


def _no_password(_host: Host) -> str | None:
    return None


_IDLE_NS = 3600 * NANOSECONDS  # a host that nobody asks for so long may have left the inventory
_LOOK_AROUND_NS = 60 * NANOSECONDS
_CONNECT_SECONDS = 20.0  # for dialling and login, if the deadline allows so much: sshd gives 120 s (LoginGraceTime)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """What a pool did so far; `jumps` are connections to jump hosts."""

    connections: int = 0
    jumps: int = 0
    round_trips: int = 0


@dataclasses.dataclass(kw_only=True, slots=True, eq=False)
class _Line:
    """The line to one host: who asks holds `busy`. `host` and `stamp` say for whom and under which pins it was opened."""

    busy: threading.Lock = dataclasses.field(default_factory=threading.Lock)
    shell: Session | None = None
    host: Host | None = None
    stamp: tuple[int, ...] = ()
    used_ns: int = 0


class SshPool:
    """Connections that stay open between looks; thread-safe, one batch at a time per host.

    `open_session` starts what is asked there, a POSIX sh unless told otherwise; `password` is for those that need one.
    """

    def __init__(
        self,
        known_hosts: Path,
        clock: Clock,
        *,
        open_session: Open = _open_shell,
        password: Callable[[Host], str | None] = _no_password,
        pace: Pace | None = None,
    ) -> None:
        self._pins = known_hosts
        self._clock = clock
        self._open_session = open_session
        self._password = password
        self._cutoff = Cutoff(clock)
        self._jumps = Jumps(known_hosts, clock, self._cutoff)
        self._pace = pace or Pace(clock)
        self._stopping = threading.Event()
        self._lines: dict[str, _Line] = {}
        self._look_around_ns = 0
        self._lock = threading.Lock()
        self._counts = Counts()
        self._closed = False

    def run_batch(self, host: Host, scripts: Scripts, deadline: Deadline) -> list[Section]:
        """Run the (script, seconds) pairs on the host, one after the other; one section each.

        One round trip over the kept connection, which is opened when there is none. A kept connection that proves
        dead at once, before a word of an answer, is replaced once. HostKeyError, OutputLimitError or TransportError, by
        the deadline; the connection is closed then.
        """
        if not scripts:
            return []
        with self._hold(host, deadline) as line:
            try:
                return self._ask_all(line, host, scripts, deadline)
            except BaseException:
                _drop(line)
                raise

    def close_host(self, name: str) -> None:
        """Close the connection to a host; a batch under way there fails."""
        with self._lock:
            line = self._lines.pop(name, None)
        if line is not None:
            _close(line)

    def close(self) -> None:
        """Close everything; later batches are refused."""
        with self._lock:
            self._closed = True
            self._stopping.set()
            lines = list(self._lines.values())
            self._lines.clear()
        for line in lines:
            _close(line)
        self._jumps.close()
        self._cutoff.close()

    def counts(self) -> Counts:
        """How many connections were opened and how many round trips made."""
        return dataclasses.replace(self._counts, jumps=self._jumps.connections)

    @contextlib.contextmanager
    def _hold(self, host: Host, deadline: Deadline) -> Iterator[_Line]:
        with self._lock:
            if self._closed:
                raise TransportError("the agent is stopping", hint="nothing needs to be done")
            line = self._lines.setdefault(host.name, _Line())
            line.used_ns = now_ns = self._clock.boottime()
            is_due = now_ns >= self._look_around_ns
        if is_due:
            self._look_around(now_ns)
        if not line.busy.acquire(timeout=deadline.remaining_seconds()):
            raise TransportError(f"{host.name} is still busy with an earlier batch", hint="is its interval too short?")
        try:
            yield line
        finally:
            if self._lines.get(host.name) is not line:
                _drop(line)  # it was closed while we were busy
            line.busy.release()

    def _look_around(self, now_ns: int) -> None:
        """Hang up where nobody asks any more."""
        since_ns = now_ns - _IDLE_NS
        with self._lock:
            self._look_around_ns = now_ns + _LOOK_AROUND_NS
            names = [name for name, line in self._lines.items() if line.used_ns < since_ns and not line.busy.locked()]
            idle = [self._lines.pop(name) for name in names]
        for line in idle:
            _close(line)
        self._jumps.close_idle(since_ns)

    def _ask_all(self, line: _Line, host: Host, scripts: Scripts, deadline: Deadline) -> list[Section]:
        sections = self._ask(line, host, scripts, deadline)
        while len(sections) < len(scripts):
            _drop(line)
            sections += self._ask(line, host, scripts[len(sections) :], deadline)
        return sections

    def _ask(self, line: _Line, host: Host, scripts: Scripts, deadline: Deadline) -> list[Section]:
        self._check_kept(line, host)
        if line.shell is not None:
            try:
                return self._round_trip(line.shell, scripts, deadline)
            except EndedError:
                if deadline.is_over():
                    raise
                _drop(line)
        stamp = known_hosts.stamp(self._pins)
        line.shell, line.host, line.stamp = self._opened(host, deadline), host, stamp
        return self._round_trip(line.shell, scripts, deadline)

    def _check_kept(self, line: _Line, host: Host) -> None:
        """Drop what was opened for another address or login; look at the pins again if their file has changed."""
        if line.shell is None or line.host is None:
            return
        if line.host != host:
            _drop(line)
        elif line.stamp != (stamp := known_hosts.stamp(self._pins)):
            self._jumps.verify(host)
            login.verify(line.shell.transport, self._pins, host, self._clock.now())
            line.stamp = stamp

    def _opened(self, host: Host, deadline: Deadline) -> Session:
        self._stopping.wait(min(self._pace.turn(), deadline.remaining_seconds() / 2))
        seconds = min(_CONNECT_SECONDS, deadline.remaining_seconds())
        soon = Deadline.after(self._clock, seconds)
        transport = login.connect(
            host, self._pins, soon, self._cutoff, password=self._password(host), way=self._jumps.way
        )
        try:
            with self._cutoff.watching(login.socket_of(transport), soon):
                shell = self._open_session(host, transport, soon)
        except BaseException:
            login.hang_up(transport)
            raise
        with self._lock:
            self._counts = dataclasses.replace(self._counts, connections=self._counts.connections + 1)
        return shell

    def _round_trip(self, shell: Session, scripts: Scripts, deadline: Deadline) -> list[Section]:
        with self._lock:
            self._counts = dataclasses.replace(self._counts, round_trips=self._counts.round_trips + 1)
        asked_us = self._clock.now()
        with self._cutoff.watching(login.socket_of(shell.transport), deadline):
            sections = shell.ask(scripts, deadline)
        now_us = self._clock.now()
        return [dataclasses.replace(section, asked_us=asked_us, answered_us=now_us) for section in sections]


def _drop(line: _Line) -> None:
    shell, line.shell = line.shell, None
    if shell is not None:
        shell.hang_up()


def _close(line: _Line) -> None:
    """Hang up, or, when a batch is under way, make it fail: who runs it hangs up."""
    if line.busy.acquire(blocking=False):
        try:
            _drop(line)
        finally:
            line.busy.release()
    elif (shell := line.shell) is not None:
        cut(login.socket_of(shell.transport))
