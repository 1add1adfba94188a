"""A channel through a jump host, used like the socket of a connection that was dialled."""

import contextlib

import paramiko

from agent.transports.dial import Allowance

_FOREIGN = (paramiko.SSHException, EOFError, OSError)


class Tunnel:
    """What a login needs of a socket. It hears no more than its allowance, as `MeteredSocket`."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self._owes_close = False
        self._closed = False  # by this name paramiko asks a socket
        self.allowance = Allowance()

    def recv(self, size: int) -> bytes:
        """As of a socket, until the allowance is used up."""
        self.allowance.check()
        return self.allowance.spent_on(self._channel.recv(size))

    def send(self, data: bytes) -> int:
        """As of a socket."""
        return self._channel.send(data)

    def settimeout(self, seconds: float | None) -> None:
        """As of a socket."""
        self._channel.settimeout(seconds)

    def setsockopt(self, *_option: object) -> None:
        """There is no socket to set anything on: the one to the jump host is everybody's."""

    def shutdown(self, _how: int) -> None:
        """Wake up whoever waits on it, and never wait for anything: not even for the jump host to be told."""
        with self._channel.lock:
            if not self._channel.closed:
                self._channel._set_closed()  # type: ignore[attr-defined]  # noqa: SLF001  # a test sees to it that it exists
                self._owes_close = True

    def close(self) -> None:
        """Close it, and tell the jump host."""
        self._closed = True
        with self._channel.lock:
            if self._owes_close:  # its peer was not told yet, and the channel sends nothing once it is closed
                self._channel.closed = False
                self._owes_close = False
        with contextlib.suppress(*_FOREIGN):
            self._channel.close()
