"""Lends a repository's folder to one job: an append-only REST server on our loopback, with a login made for that job.

It can write below that folder only (landlock), and ends with us, however we end.
"""

import contextlib
import dataclasses
import os
import re
import secrets
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from agent.clock import Deadline
from agent.errors import ToolError
from agent.transports import confine, local

PROGRAM = "rclone"
_SERVES = re.compile(r"Serving restic REST API on \S*?127\.0\.0\.1:(\d{1,5})\b")
_START_SECONDS = 20.0
_STOP_SECONDS = 5.0
_SLICE_SECONDS = 0.2  # between looks at whether it still lives
_USER = "watchkeeper"
_KEPT = 20  # of its complaints


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """One that serves: its port on this machine's loopback, its process, the login that it asks for."""

    port: int
    pid: int
    password: str = dataclasses.field(repr=False)
    user: str = _USER

    def url(self, port: int) -> str:
        """How restic gets at it where it is reached by that port of the loopback; a secret."""
        return f"rest:http://{self.user}:{self.password}@127.0.0.1:{port}/"


@contextlib.contextmanager
def serving(folder: Path, deadline: Deadline) -> Iterator[Server]:
    """A server of that repository for as long as the block lasts; ToolError when none can be had."""
    program = shutil.which(PROGRAM, path=local.PLAIN["PATH"])
    if program is None:
        raise ToolError("there is no append-only server for restic on this machine", hint="run: apt-get install rclone")
    run = _Run(program, folder, deadline)
    try:
        yield run.begin()
    finally:
        run.end()


class _Run:
    """One run of the server, kept by a thread; that thread is what the kernel ties it to."""

    def __init__(self, program: str, folder: Path, deadline: Deadline) -> None:
        self._password = secrets.token_urlsafe(32)
        guard = [sys.executable, "-I", "-S", confine.__file__, f"--with={os.getpid()}", str(folder)]
        self._argv = [*guard, program, "serve", "restic", "--append-only", "--addr", "127.0.0.1:0", "--config", "",
                      "--cache-objects=false", str(folder)]  # fmt: skip
        self._env = {**local.PLAIN, "RCLONE_USER": _USER, "RCLONE_PASS": self._password}
        self._deadline = deadline
        self._told = threading.Event()
        self._port = self._pid = 0
        self._words: list[str] = []
        self._nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._stop, self._tell = os.pipe()
        self._thread = threading.Thread(target=self._keep, name="repository-server", daemon=True)

    def begin(self) -> Server:
        """Wait until it serves."""
        soon = Deadline.after(self._deadline.clock, min(_START_SECONDS, self._deadline.remaining_seconds()))
        self._thread.start()
        while not self._told.wait(_SLICE_SECONDS):
            if soon.is_over() or not self._thread.is_alive():
                break
        if not self._port:
            said = self._words[-1] if self._words else "without a word"
            raise ToolError(f"the server for restic did not start: {said}", hint=f"try: {PROGRAM} serve restic --help")
        return Server(port=self._port, pid=self._pid, password=self._password)

    def end(self) -> None:
        """Stop it; it is gone when this returns."""
        os.write(self._tell, b"x")
        if self._thread.ident is not None:
            self._thread.join()
        for end in (self._nothing, self._stop, self._tell):
            os.close(end)

    def _keep(self) -> None:
        with contextlib.suppress(ToolError):
            local.stream(
                self._argv,
                deadline=self._deadline,
                hear=lambda _: True,
                complain=self._hear,
                env=self._env,
                grace_seconds=_STOP_SECONDS,
                feed=local.Feed(stdin=self._nothing, stop=self._stop),
                began=self._note,
            )
        self._told.set()

    def _note(self, pid: int) -> None:
        self._pid = pid

    def _hear(self, line: str) -> bool:
        self._words = [*self._words[-_KEPT:], line.replace(self._password, "***")]
        found = _SERVES.search(line)
        if found is not None:
            self._port = int(found[1])
            self._told.set()
        return True
