"""The heartbeat: sent only when every loop has made progress, never because the process merely lives."""

import os
import socket

from agent.clock import NANOSECONDS, Clock


class Heartbeat:
    """Every loop stamps its progress; systemd hears of it when all of them did (sd_notify(3))."""

    def __init__(self, clock: Clock, notify_socket: str | None) -> None:
        self._clock = clock
        self._address = notify_socket
        self._limits: dict[str, int] = {}
        self._stamps: dict[str, int] = {}

    def expect(self, loop: str, within_seconds: float) -> None:
        """From now on this loop must stamp at least that often."""
        self._limits[loop] = int(within_seconds * NANOSECONDS)
        self._stamps[loop] = self._clock.boottime()

    def stamp(self, loop: str) -> None:
        """The loop made progress."""
        self._stamps[loop] = self._clock.boottime()

    def late(self) -> tuple[str, ...]:
        """The loops that have not made progress in time."""
        now_ns = self._clock.boottime()
        return tuple(loop for loop, limit in self._limits.items() if now_ns - self._stamps[loop] > limit)

    def beat(self) -> bool:
        """Tell systemd, if every loop is well; whether they are."""
        if self.late():
            return False
        self.notify("WATCHDOG=1")
        return True

    def notify(self, message: str) -> None:
        """Send one message to the service manager, if there is one."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            try:
                channel.sendto(message.encode(), address)
            except OSError:
                return  # a manager that went away is no reason to stop


def notify_socket() -> str | None:
    """Where systemd listens, if it started us."""
    return os.environ.get("NOTIFY_SOCKET")
