"""What the process of every job has in common, whatever it is to do: how it begins and ends, and what it was handed."""

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

from agent.backups import AWS_FILE, PASSWORD_FILE, REPOSITORY_FILE, SSH_KEY_FILE
from agent.transports.shim import MARK

_DEEPEST = 20_000  # calls within each other: a path of 4,096 bytes may lead through 2,000 folders
_NOTHING: Mapping[str, str | None] = MappingProxyType({})


def begin() -> None:
    """What it writes is for its owner alone, it can be ended at any time, and goes as deep as any tree."""
    os.umask(0o077)
    sys.setrecursionlimit(_DEEPEST)
    signal.signal(signal.SIGTERM, _leave)


def _leave(*_: object) -> NoReturn:
    """SIGTERM: end what works for it, also what it is just starting and does not hold yet, and unwind: sandboxes go."""
    for pid in _children():
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    raise SystemExit(143)


def _children() -> Iterator[int]:
    """The processes that this one started (proc_pid_task(5), children)."""
    for path in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            yield from map(int, path.read_text(encoding="ascii").split())


def handed_down(more: Mapping[str, str | None] = _NOTHING) -> dict[str, str]:
    """The variables that lead to what its shim laid for it, without the values that are not there; `more` are its own."""
    known = {
        PASSWORD_FILE: os.environ.get("RESTIC_PASSWORD_FILE"),
        REPOSITORY_FILE: os.environ.get("RESTIC_REPOSITORY_FILE"),
        AWS_FILE: os.environ.get("AWS_SHARED_CREDENTIALS_FILE"),
        SSH_KEY_FILE: os.environ.get("WATCHKEEPER_SSH_KEY"),
        MARK: os.environ.get("WATCHKEEPER_RUN"),
        **more,
    }
    return {name: value for name, value in known.items() if value}
