"""Runs the daemon as the command line does, with a failpoint that kills the process: the entry point of these tests.

Arguments: CONFIG SECONDS [FAILPOINT HIT]. The process dies by SIGKILL the HIT-th time that it passes the failpoint of
that name; at the failpoint `log` it dies never and says on stderr what it passes. It prints `ready` once it runs.
"""

import asyncio
import itertools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from agent import log
from agent.app import Builder
from agent.errors import WatchkeeperError
from agent.runtime import daemon
from agent.runtime.heartbeat import Heartbeat, notify_socket


def deadly(name: str, hit: int) -> Callable[[str], None]:
    """A failpoint at which the process dies."""
    hits = itertools.count(1)  # one call of next() is atomic: several threads pass here

    def pass_by(point: str) -> None:
        if name == "log":
            print("passes", point, file=sys.stderr, flush=True)
        elif point == name and next(hits) == hit:
            os.kill(os.getpid(), signal.SIGKILL)

    return pass_by


def main(config: str, seconds: str, failpoint: str = "", hit: str = "0") -> int:
    """Run the daemon; its exit code."""
    log.set_up("INFO", as_json=False)
    try:
        agent = Builder(Path(config), failpoint=deadly(failpoint, int(hit))).agent(migrate=True)
    except WatchkeeperError as error:
        print(f"error: {error}\nhint: {error.hint}", file=sys.stderr)
        return error.exit_code
    setting = daemon.Setting(
        for_seconds=float(seconds),
        heartbeat=Heartbeat(agent.clock, notify_socket()),
        on_started=lambda: print("ready", flush=True),
    )
    try:
        asyncio.run(daemon.run(agent, setting))
    finally:
        agent.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
