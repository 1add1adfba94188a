"""Runs programs on this machine: bounded in bytes and time, the whole session killed at the end."""

import contextlib
import dataclasses
import os
import selectors
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Self

from agent.clock import Deadline
from agent.errors import ToolError
from agent.model.look import Section

TIMED_OUT = 124  # the exit code that timeout(1) made customary
SECTION_LIMIT = 65_536  # bytes kept of one script's output: evidence, not a log
_CHUNK = 65_536
_REAP_SECONDS = 2.0  # SIGKILL works at once, except on a process that hangs inside the kernel (a dead NFS mount)
_SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PLAIN = {"PATH": _SEARCH, "LC_ALL": "C", "HOME": "/"}  # what a probe's script may expect of its surroundings


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Completed:
    """How a program ended. A signal gives 128 + its number; running out of time gives 124 and `timed_out`.

    `truncated`: it printed more than was allowed and was killed for it; what came before is kept.
    """

    exit_code: int
    stdout: str
    stderr: str
    timed_out: bool = False
    truncated: bool = False


def run(
    argv: Sequence[str],
    *,
    deadline: Deadline,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    limit_bytes: int = 1_000_000,
) -> Completed:
    """Run a program to its end, to the deadline, or until it printed `limit_bytes` in all.

    It gets a session of its own; whatever it leaves behind in there is killed when it ends. `env` replaces the
    whole environment; None hands down ours. ToolError when it cannot be started.
    """
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            cwd=cwd,
            start_new_session=True,
        )
    except OSError as error:
        hint = f"install {argv[0]}, or check PATH" if isinstance(error, FileNotFoundError) else f"try: ls -l {argv[0]}"
        raise ToolError(f"cannot start {argv[0]}: {error.strerror}", hint=hint) from error
    with _Conversation(child, stdin, limit_bytes) as conversation:
        conversation.hold(deadline)
    return conversation.outcome()


def run_batch(scripts: Sequence[tuple[str, float]], deadline: Deadline) -> list[Section]:
    """Run scripts one after the other by /bin/sh on this machine, each within its own seconds and the deadline."""
    return [_section(script, seconds, deadline) for script, seconds in scripts]


def _section(script: str, seconds: float, deadline: Deadline) -> Section:
    if deadline.is_over():
        return Section(text="", exit_code=TIMED_OUT, timed_out=True)
    own = Deadline.after(deadline.clock, min(seconds, deadline.remaining_seconds()))
    argv = ["/bin/sh", "-c", f"exec 2>&1\n{script}"]
    done = run(argv, deadline=own, env=PLAIN, cwd=Path("/"), limit_bytes=SECTION_LIMIT)
    return Section(text=done.stdout, exit_code=done.exit_code, timed_out=done.timed_out)


class _Conversation:
    """One child: feeds it, hears it, and sees to it that nothing of it stays."""

    def __init__(self, child: subprocess.Popen[bytes], stdin: bytes, limit_bytes: int) -> None:
        self._child = child
        self._unsent = memoryview(stdin)
        self._left = limit_bytes
        self._heard: dict[int, bytearray] = {}
        self._pipes: dict[int, IO[bytes]] = {}
        self._ended = self._timed_out = self._truncated = False
        self._selector = selectors.DefaultSelector()
        self._pidfd = os.pidfd_open(child.pid)

    def __enter__(self) -> Self:
        self._selector.register(self._pidfd, selectors.EVENT_READ)
        for pipe, event in (
            (self._child.stdin, selectors.EVENT_WRITE),
            (self._child.stdout, selectors.EVENT_READ),
            (self._child.stderr, selectors.EVENT_READ),
        ):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                self._pipes[pipe.fileno()] = pipe
                self._heard[pipe.fileno()] = bytearray()
                self._selector.register(pipe, event)
        self._out, self._err = list(self._heard)[-2:]
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)  # its leader is not reaped yet, so the number is still its own
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(_REAP_SECONDS)
        for descriptor in list(self._pipes):
            self._close(descriptor)
        self._selector.close()
        os.close(self._pidfd)

    def hold(self, deadline: Deadline) -> None:
        """Talk until the child ended, the time is up, or it said too much."""
        while not (self._ended or self._truncated):
            remaining = deadline.remaining_seconds()
            if remaining <= 0:
                self._timed_out = True
                return
            for key, _ in self._selector.select(remaining):
                self._attend(key.fd)
        self._drain()

    def outcome(self) -> Completed:
        """What is to be told of it."""
        code = self._child.returncode if self._child.returncode is not None else -signal.SIGKILL
        return Completed(
            exit_code=TIMED_OUT if self._timed_out else code if code >= 0 else 128 - code,
            stdout=self._heard[self._out].decode(errors="replace"),
            stderr=self._heard[self._err].decode(errors="replace"),
            timed_out=self._timed_out,
            truncated=self._truncated,
        )

    def _attend(self, descriptor: int) -> None:
        if descriptor == self._pidfd:
            self._ended = True
        elif descriptor in {self._out, self._err}:
            self._hear(descriptor)
        elif descriptor in self._pipes:
            self._feed(descriptor)

    def _feed(self, descriptor: int) -> None:
        try:
            self._unsent = self._unsent[os.write(descriptor, self._unsent[:_CHUNK]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._unsent = self._unsent[:0]
        if not self._unsent:
            self._close(descriptor)

    def _hear(self, descriptor: int) -> bool:
        """Read once; False when there is nothing more to be had now."""
        if descriptor not in self._pipes or self._truncated:
            return False
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self._close(descriptor)
            return False
        self._truncated = len(data) > self._left
        self._heard[descriptor] += data[: self._left]
        self._left -= min(self._left, len(data))
        return True

    def _drain(self) -> None:
        """Take what the pipes still hold; a grandchild that keeps one open is not waited for."""
        for descriptor in (self._out, self._err):
            while self._hear(descriptor):
                pass

    def _close(self, descriptor: int) -> None:
        pipe = self._pipes.pop(descriptor)
        with contextlib.suppress(KeyError):
            self._selector.unregister(pipe)
        with contextlib.suppress(BrokenPipeError):
            pipe.close()
