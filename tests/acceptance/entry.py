"""Runs the daemon as the command line does, with a failpoint that kills the process: the entry point of these tests.

Arguments: CONFIG SECONDS [FAILPOINT HIT]. The process dies by SIGKILL the HIT-th time that it passes the failpoint of
that name once it runs (`ready` on stdout), where only commits with a line for the journal count, for what is merely
measured is written whenever it suits; or since it was started, when `start:` stands before the name.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from agent import log
from agent.app import Builder
from agent.errors import WatchkeeperError
from agent.runtime import daemon
from agent.runtime.heartbeat import Heartbeat, notify_socket


class Failpoint:
    """A point at which the process dies."""

    def __init__(self, name: str, hit: int) -> None:
        begins, _, self._name = name.rpartition(":")
        self._hit = hit
        self._hits = 0
        self._counts_all = self._is_armed = begins == "start"
        self._is_journaled = False

    def arm(self) -> None:
        """The daemon runs: tell the test, and count from now on."""
        self._is_armed = True
        print("ready", flush=True)

    def __call__(self, point: str) -> None:
        """What the agent calls in passing; the points of the store under its lock, so that they come one by one."""
        self._is_journaled |= point == "journal-append"
        counts = self._counts_all or self._is_journaled or not point.endswith("-commit")
        if self._is_armed and point == self._name and counts:
            self._hits += 1
            if self._hits == self._hit:
                os.kill(os.getpid(), signal.SIGKILL)
        if point == "after-commit":
            self._is_journaled = False


def main(config: str, seconds: str, name: str = "", hit: str = "0") -> int:
    """Run the daemon; its exit code."""
    log.set_up("INFO", as_json=False)
    failpoint = Failpoint(name, int(hit))
    try:
        agent = Builder(Path(config), failpoint=failpoint).agent(migrate=True)
    except WatchkeeperError as error:
        print(f"error: {error}\nhint: {error.hint}", file=sys.stderr)
        return error.exit_code
    heartbeat = Heartbeat(agent.clock, notify_socket())
    setting = daemon.Setting(for_seconds=float(seconds), heartbeat=heartbeat, on_started=failpoint.arm)
    try:
        asyncio.run(daemon.run(agent, setting))
    finally:
        agent.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
