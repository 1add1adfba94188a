"""The kept connections to jump hosts, one for all hosts behind each, and the ways through them."""

import dataclasses
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import paramiko

from agent.clock import Clock, Deadline
from agent.errors import HostKeyError, TransportError
from agent.model.host import Host
from agent.transports import known_hosts, login
from agent.transports.cutoff import Cutoff, cut
from agent.transports.dial import Line
from agent.transports.tunnel import Tunnel

_WINDOW = 262_144  # bytes that may be under way to us in one channel before we read them
_HOP_SECONDS = 20.0  # for dialling and login of one jump host, if the deadline allows so much
_WORTH_A_TRY = 1.0  # seconds left, after somebody else ran out of time
_PROBE_SHARE = 0.2  # of the time for a way: to ask a silent jump host whether it is there at all

_PROHIBITED, _TIMEOUT = 1, 0
# Why a jump host opens no channel (RFC 4254, 5.1).
_REFUSALS: Mapping[int, str] = MappingProxyType(
    {
        _PROHIBITED: "it does not let us through",
        2: "nothing answers there, or its name is not known there",
        4: "it has no resources left",
        _TIMEOUT: "no answer in time",
    }
)


@dataclasses.dataclass(kw_only=True, slots=True, eq=False)
class _Hop:
    """The connection to one jump host: who opens it holds `busy`, and who waits for that shares what comes of it."""

    busy: threading.Lock = dataclasses.field(default_factory=threading.Lock)
    transport: login.Transport | None = None
    stamp: tuple[int, ...] = ()
    used_ns: int = 0
    attempts: int = 0
    failure: TransportError | None = None
    was_late: bool = False


class Jumps:
    """Thread-safe; nothing is opened before somebody needs it."""

    def __init__(self, pins: Path, clock: Clock, cutoff: Cutoff) -> None:
        self._pins = pins
        self._clock = clock
        self._cutoff = cutoff
        self._hops: dict[Host, _Hop] = {}
        self._lock = threading.Lock()
        self._closed = False
        self.connections = 0

    def way(self, host: Host, deadline: Deadline) -> Line:
        """The way to a host: dialled, or through its jump hosts; TransportError names the one that failed."""
        if not host.jumps:
            return login.straight(host, deadline)
        hop = last_hop(host)
        for _ in range(2):  # a kept connection that proves dead is replaced once
            transport = self._kept(hop, host, deadline)
            try:
                return Tunnel(_channel(transport, host, deadline))
            except login.FOREIGN as error:
                if self._lives(transport, error, deadline):
                    raise _no_way(hop, host, error, deadline) from error
                self._lose(hop, transport)
                failure = error
                if deadline.is_over():
                    break
        raise TransportError(
            f"the jump host {hop.name} ({_place(hop)}) fell silent", hint=f"try: ssh -v {hop.address}"
        ) from failure

    def verify(self, host: Host) -> None:
        """HostKeyError when a kept connection on the way to a host is to somebody whose key is no longer pinned."""
        for position, one in enumerate(host.jumps):
            hop = dataclasses.replace(one, jumps=host.jumps[:position])
            kept = self._hops.get(hop)
            transport = kept.transport if kept else None
            if transport is None:
                continue
            try:
                login.verify(transport, self._pins, hop, self._clock.now())
            except HostKeyError as error:
                self._lose(hop, transport)
                raise _of_hop(hop, host, error) from error

    def close(self) -> None:
        """Hang up everywhere; later ways are refused."""
        with self._lock:
            self._closed = True
            hops = list(self._hops.values())
            self._hops.clear()
        for hop in hops:
            transport = hop.transport
            if transport is not None:
                cut(login.socket_of(transport))
                login.hang_up(transport)

    def close_idle(self, since_ns: int) -> None:
        """Hang up where nobody asked for a way since then, and no way goes through."""
        with self._lock:
            idle = [hop for hop, kept in self._hops.items() if kept.used_ns < since_ns and _is_unused(kept)]
            dropped = [self._hops.pop(hop) for hop in idle]
        for kept in dropped:
            _drop(kept)

    def _kept(self, hop: Host, host: Host, deadline: Deadline) -> login.Transport:
        with self._lock:
            kept = self._hops.setdefault(hop, _Hop())
            kept.used_ns = self._clock.boottime()
            seen = kept.attempts
        if not kept.busy.acquire(timeout=deadline.remaining_seconds()):
            raise TransportError(
                f"the jump host {hop.name} ({_place(hop)}) was not reached in time", hint=f"try: ssh -v {hop.address}"
            )
        try:
            self._check(kept, hop)
            if kept.transport is None:
                if kept.attempts != seen and kept.failure is not None and _is_shared(kept, deadline):
                    raise kept.failure  # somebody tried while we waited
                self._open(kept, hop, deadline)
        except TransportError as error:
            raise _of_hop(hop, host, error) from error
        finally:
            kept.busy.release()
        assert kept.transport is not None
        return kept.transport

    def _check(self, kept: _Hop, hop: Host) -> None:
        """Drop what is dead, or no longer trusted."""
        if kept.transport is None:
            return
        if not kept.transport.is_active():
            _drop(kept)
        elif kept.stamp != (stamp := known_hosts.stamp(self._pins)):
            try:
                login.verify(kept.transport, self._pins, hop, self._clock.now())
            except HostKeyError:
                _drop(kept)
                raise
            kept.stamp = stamp

    def _open(self, kept: _Hop, hop: Host, deadline: Deadline) -> None:
        soon = Deadline.after(self._clock, min(_HOP_SECONDS, deadline.remaining_seconds()))
        stamp = known_hosts.stamp(self._pins)
        try:
            transport = login.connect(hop, self._pins, soon, self._cutoff, way=self.way)
        except TransportError as error:
            kept.failure, kept.was_late = error, soon.is_over()  # the next one may have more time
            raise
        finally:
            kept.attempts += 1
        login.socket_of(transport).allowance.renew(sys.maxsize)  # what it may send us, the windows of its channels say
        kept.transport, kept.stamp, kept.failure = transport, stamp, None
        with self._lock:
            self.connections += 1
            is_late = self._closed
        if is_late:
            _drop(kept)
            raise TransportError("the agent is stopping", hint="nothing needs to be done")

    def _lives(self, transport: login.Transport, error: BaseException, deadline: Deadline) -> bool:
        """Whether the jump host is there, and it is the host behind it that is not."""
        if not transport.is_active():
            return False
        if isinstance(error, paramiko.ChannelException):
            return True
        try:
            transport.open_session(timeout=max(0.1, deadline.remaining_seconds())).close()
        except paramiko.ChannelException:
            return True  # it gives no sessions, but it answers
        except login.FOREIGN:
            return False
        return True

    def _lose(self, hop: Host, transport: login.Transport) -> None:
        with self._lock:
            kept = self._hops.get(hop)
            if kept is not None and kept.transport is transport:
                kept.transport = None
        login.hang_up(transport)


def last_hop(host: Host) -> Host:
    """The jump host before a host, with the way to it."""
    return dataclasses.replace(host.jumps[-1], jumps=host.jumps[:-1])


def _is_shared(kept: _Hop, deadline: Deadline) -> bool:
    """Whether the failure of somebody else's attempt is ours as well: not when we have the time that it lacked."""
    return not kept.was_late or deadline.remaining_seconds() < _WORTH_A_TRY


def _is_unused(kept: _Hop) -> bool:
    return not kept.busy.locked() and (kept.transport is None or not len(kept.transport._channels))  # type: ignore[attr-defined]  # noqa: SLF001  # a test sees to it that it exists


def _drop(kept: _Hop) -> None:
    transport, kept.transport = kept.transport, None
    if transport is not None:
        login.hang_up(transport)


def _channel(transport: login.Transport, host: Host, deadline: Deadline) -> paramiko.Channel:
    # paramiko's wait is on the wall clock; when that is set, the jump host's own time for a dial is the limit
    seconds = max(0.1, deadline.remaining_seconds() * (1 - _PROBE_SHARE))
    return transport.open_channel(
        "direct-tcpip", (host.address, host.port), ("127.0.0.1", 0), window_size=_WINDOW, timeout=seconds
    )


def _no_way(hop: Host, host: Host, error: BaseException, deadline: Deadline) -> TransportError:
    code = error.code if isinstance(error, paramiko.ChannelException) and not deadline.is_over() else _TIMEOUT
    hint = f"try on {hop.name}: ssh -p {host.port} {host.address}"
    if code == _PROHIBITED:
        hint = f"allow it in the sshd_config of {hop.name}: AllowTcpForwarding, PermitOpen"
    words = _REFUSALS.get(code, str(error))
    return TransportError(f"{_place(host)} cannot be reached from the jump host {hop.name}: {words}", hint=hint)


def _of_hop(hop: Host, host: Host, error: TransportError) -> TransportError:
    """A failure on the way to a host; a key on the way is trusted by the name of the host: a hop need have none."""
    hint = (error.hint or "").replace(f"host trust {hop.name}", f"host trust {host.name}")
    return type(error)(f"jump host {hop.name}: {error}", hint=hint)


def _place(host: Host) -> str:
    return f"{host.address} port {host.port}"
