"""Cuts connections whose time is up: one thread, on the boot clock, whatever the library above is waiting for.

paramiko measures its timeouts on the wall clock and some of its waits have none at all; a socket that is shut down
ends every one of them.
"""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Protocol

from agent.clock import NANOSECONDS, Clock, Deadline

_SLICE_SECONDS = 60.0  # a condition waits on a clock that stands still while the machine is suspended


class Cuttable(Protocol):
    """What can be cut: a socket, or what is used like one."""

    def setsockopt(self, level: int, name: int, value: bytes, /) -> None:
        """As of a socket."""

    def shutdown(self, how: int, /) -> None:
        """Both ways, at once: it must not wait."""


class Cutoff:
    """Watches over sockets; its thread lives from the first use to `close`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._watched: dict[object, tuple[Cuttable, Deadline]] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._wakes_ns = 0  # when the thread looks again by itself: who is due later need not wake it

    @contextlib.contextmanager
    def watching(self, connection: Cuttable, deadline: Deadline) -> Iterator[None]:
        """Shut the connection down if the block is not over by the deadline."""
        token = object()
        with self._changed:
            self._watched[token] = (connection, deadline)
            if self._closed:
                cut(connection)
            self._ensure_thread()
            if deadline.at_ns < self._wakes_ns:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._watched.pop(token, None)

    def close(self) -> None:
        """End the thread; connections watched at this moment are cut."""
        with self._changed:
            self._closed = True
            for connection, _ in self._watched.values():
                cut(connection)
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _ensure_thread(self) -> None:
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._watch, name="ssh-cutoff", daemon=True)
            self._thread.start()

    def _watch(self) -> None:
        with self._changed:
            while not self._closed:
                over = [token for token, (_, deadline) in self._watched.items() if deadline.is_over()]
                for token in over:
                    cut(self._watched.pop(token)[0], abruptly=True)
                left = [deadline.remaining_seconds() for _, deadline in self._watched.values()]
                seconds = min([*left, _SLICE_SECONDS])
                self._wakes_ns = self._clock.boottime() + int(seconds * NANOSECONDS)
                self._changed.wait(seconds)


def cut(connection: Cuttable, *, abruptly: bool = False) -> None:
    """Shut a connection down both ways: whoever waits on it, in whichever thread, wakes up.

    Abruptly: a peer that is still sending is told so by a reset when it is closed, not left to wait for us.
    """
    with contextlib.suppress(OSError):
        if abruptly:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
