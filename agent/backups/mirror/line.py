"""Runs commands on a target by OpenSSH, and says why that fails in words that help."""

import dataclasses
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from agent.clock import Deadline
from agent.errors import HostKeyError, ToolError, TransportError
from agent.transports import confine, local, openssh
from agent.transports.local import Completed
from agent.transports.openssh import Route

_LOST = 255  # ssh's own exit code
_COMPLAINT_BYTES = 1_000_000
_BLOCK = 512  # bytes; what `ulimit -f` counts in, in dash
_WHYS = (
    (re.compile(r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED|key is not known"),
     "compare its key, then run: watchkeeper host trust {name}"),
    (re.compile(r"Permission denied \("), "let the agent's key in: add it to authorized_keys of that user"),
    (re.compile(r"a password is required|a terminal is required|not in the sudoers"),
     "let that user run sudo without a password, or log in as root"),
    (re.compile(r"sudo: (command )?not found"), "install sudo there, or log in as root"),
)  # fmt: skip
ENVIRONMENT = {**local.PLAIN, "HOME": "/nonexistent"}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """The way to one target. Commands run in `work`, and write there only."""

    route: Route
    work: Path
    deadline: Deadline

    def ssh(self, *command: str) -> list[str]:
        """The words of an ssh that runs a command there, as root where the inventory says so."""
        sudo = ["sudo", "-n", "--"] if self.route.host.become else []
        return [*openssh.command(self.route, self.work), *(shlex.quote(word) for word in (*sudo, *command))]

    def run(self, script: str, *, limit_bytes: int) -> Completed:
        """Run a script of ours in `work`, confined to it; none of its files grows beyond the limit.

        TimeoutError at the deadline, TransportError when ssh fails, ToolError when it says too much.
        """
        limited = f"ulimit -f {limit_bytes // _BLOCK + 1}\n{script}"
        guard = [sys.executable, "-I", "-S", confine.__file__, str(self.work)]
        return self._done([*guard, "/bin/sh", "-c", limited])

    def _done(self, argv: Sequence[str]) -> Completed:
        done = local.run(argv, deadline=self.deadline, env=ENVIRONMENT, cwd=self.work, limit_bytes=_COMPLAINT_BYTES)
        if done.timed_out:
            raise TimeoutError
        if done.truncated:
            raise ToolError(f"{self.route.host.name} complains without end", hint="look at it by hand")
        if done.exit_code == _LOST:
            raise self.failure(done.stderr)
        return done

    def failure(self, words: str) -> TransportError:
        """The error behind ssh's words."""
        name = self.route.host.name
        hint = next((hint for pattern, hint in _WHYS if pattern.search(words)), "try by hand: ssh {name}")
        said = [line for line in words.splitlines() if line.strip() and not line.startswith(("@", "Warning: Perm"))]
        kind = HostKeyError if "host trust" in hint else TransportError
        return kind(f"{name}: {said[-1][:300] if said else 'the connection was lost'}", hint=hint.format(name=name))
