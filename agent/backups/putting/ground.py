"""The host on which files are put back: this machine, or one behind OpenSSH; what is done there `laying` does."""

import json
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from agent.backups.mirror.line import ENVIRONMENT, Line
from agent.backups.putting import program
from agent.clock import Deadline
from agent.errors import AgentError, ToolError, TransportError
from agent.transports import local, openssh
from agent.transports.local import Completed
from agent.transports.openssh import Route

_ANSWER_BYTES = 8_000_000
_NOT_FOUND = 127
_LOST = 255  # ssh's own exit code
_RSYNC_LOST = frozenset({10, 12, 30, 35, 255})  # rsync's exit codes for a connection that ended


class Ground:
    """Asks `laying` there. `work` is a folder of ours for what OpenSSH is told."""

    def __init__(self, route: Route | None, work: Path, deadline: Deadline) -> None:
        self._line = None if route is None else Line(route=route, work=work, deadline=deadline)
        self._work, self._deadline = work, deadline

    @property
    def name(self) -> str:
        """What people call it."""
        return "this machine" if self._line is None else self._line.route.host.name

    @property
    def is_here(self) -> bool:
        """Whether it is this machine."""
        return self._line is None

    def ask(self, order: Mapping[str, Any], lines: Iterable[str] = ()) -> Mapping[str, Any]:
        """The answer to an order, whose entries follow as lines; AgentError when it is refused there.

        TimeoutError at the deadline, TransportError when the line fails.
        """
        said = "".join([json.dumps(order) + "\n", *lines]).encode()
        done = self._done(self._argv(), said)
        try:
            answer = json.loads(done.stdout)
        except ValueError:
            told = (done.stderr.strip().splitlines() or ["it says nothing"])[-1][:300]
            hint = f"install python3 on {self.name}, or restore aside: --target DIR"
            wrong = ToolError if done.exit_code == _NOT_FOUND else AgentError
            raise wrong(f"files cannot be put back on {self.name}: {told}", hint=hint) from None
        if "refused" in answer:
            raise AgentError(
                f"{self.name}: {answer['refused']}", hint="mend that there, or restore aside: --target DIR"
            )
        found: Mapping[str, Any] = answer
        return found

    def _argv(self) -> list[str]:
        argv = ["-I", "-c", program.text()]
        return [sys.executable, *argv] if self._line is None else self._line.ssh("python3", *argv)

    def _done(self, argv: list[str], said: bytes = b"") -> Completed:
        done = local.run(argv, deadline=self._deadline, stdin=said, env=ENVIRONMENT, cwd=self._work, limit_bytes=_ANSWER_BYTES)  # fmt: skip
        if done.timed_out:
            raise TimeoutError
        if done.exit_code == _LOST and self._line is not None:
            raise self._line.failure(done.stderr)
        return done

    def send(self, box: Path, stage: str) -> None:
        """Copy a tree of ours into the stage there, with everything that belongs to it; nothing else is touched."""
        assert self._line is not None
        openssh.command(self._line.route, self._work)
        host = self._line.route.host
        reached = shlex.join(["ssh", *openssh.arguments(self._line.route, self._work / openssh.CONFIG)])
        address = f"[{host.address}]" if ":" in host.address else host.address
        done = self._done([
            "rsync", "-aHAXS", "--numeric-ids", "--protect-args", f"--rsh={reached}",
            *(["--rsync-path=sudo -n rsync"] if host.become else []), "--", f"{box}/", f"{address}:{stage}/",
        ])  # fmt: skip
        if done.exit_code in _RSYNC_LOST and "command not found" not in done.stderr:
            raise self._line.failure(done.stderr)
        if done.exit_code:
            told = (done.stderr.strip().splitlines() or ["?"])[0][:300]
            raise TransportError(
                f"{host.name}: rsync could not bring the files there: {told}",
                hint=f"install rsync on {host.name} and here, or restore aside: --target DIR",
            )


@contextmanager
def ground(route: Route | None, deadline: Deadline) -> Iterator[Ground]:
    """A ground, and its folder for as long as it is needed."""
    with TemporaryDirectory(prefix="watchkeeper-") as work:
        yield Ground(route, Path(work), deadline)
