"""Runs programs on this machine: bounded in bytes and time, the whole session killed at the end."""

import contextlib
import dataclasses
import errno
import fcntl
import os
import selectors
import signal
import struct
import subprocess
import termios
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Self

from agent.clock import Deadline
from agent.errors import ToolError
from agent.model.look import Section
from agent.transports.framing import SECTION_LIMIT, TIMED_OUT

_CHUNK = 65_536
_LINE_LIMIT = 1_048_576  # bytes of one line; a longer one is no line
_REAP_SECONDS = 2.0  # SIGKILL works at once, except on a process that hangs inside the kernel (a dead NFS mount)
_SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MORE = "more descriptors are needed: ulimit -n, or LimitNOFILE= in the unit"
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


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Feed:
    """Where a program's stdin comes from: a descriptor, others that it inherits, and one that interrupts it when readable."""

    stdin: int
    keep: tuple[int, ...] = ()
    stop: int


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
    child = _start(argv, subprocess.PIPE if stdin else subprocess.DEVNULL, env, cwd)
    with _Conversation(child, stdin, limit_bytes) as conversation:
        conversation.hold(deadline)
    return conversation.outcome()


def stream(  # noqa: PLR0913  # each is a word of its own at the call
    argv: Sequence[str],
    *,
    deadline: Deadline,
    hear: Callable[[str], bool],
    complain: Callable[[str], bool],
    env: Mapping[str, str] | None = None,
    grace_seconds: float = 10.0,
    feed: Feed | None = None,
    began: Callable[[int], None] = lambda _pid: None,
) -> Completed:
    """Run a program and hand over each line of its stdout to `hear` and of its stderr to `complain`, keeping none.

    At the deadline, or when one of them returns False, it is interrupted (SIGINT) and may tidy up for
    `grace_seconds` before it is killed; the exit code then is its own, unless the deadline was the reason.
    `feed` says where its stdin comes from. `began` is told the number of its process as soon as it has one.
    """
    child = _start(argv, feed.stdin if feed else subprocess.DEVNULL, env, None, feed.keep if feed else ())
    with _Lines(child, hear, complain, feed.stop if feed else None) as conversation:
        began(child.pid)
        conversation.hold(deadline)
        conversation.wind_down(Deadline.after(deadline.clock, grace_seconds))
    return conversation.outcome()


def pour(  # noqa: PLR0913  # each is a word of its own at the call
    argv: Sequence[str],
    *,
    deadline: Deadline,
    stdin: bytes,
    take: Callable[[bytes], None],
    complain: Callable[[bytes], None],
    env: Mapping[str, str] | None = None,
    stop: int | None = None,
) -> Completed:
    """Run a program to its end or to the deadline; hand over its stdout to `take` and its stderr to `complain`, as read.

    Its stdin stays open behind what it is told: when that ends, we are gone. Nothing of it is in the answer but the
    exit code. Whatever `take` raises ends the program; so does `stop`, a descriptor, when it is readable (`truncated`).
    """
    child = _start(argv, subprocess.PIPE, env, Path("/"))
    with _Pouring(child, stdin, (take, complain), stop) as conversation:
        conversation.hold(deadline)
    return conversation.outcome()


def _start(
    argv: Sequence[str], stdin: int, env: Mapping[str, str] | None, cwd: Path | None, keep: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            argv,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            cwd=cwd,
            pass_fds=keep,
            start_new_session=True,
        )
    except OSError as error:
        hint = f"install {argv[0]}, or check PATH" if isinstance(error, FileNotFoundError) else f"try: ls -l {argv[0]}"
        hint = _MORE if error.errno in {errno.EMFILE, errno.ENFILE} else hint
        raise ToolError(f"cannot start {argv[0]}: {error.strerror}", hint=hint) from error


def run_batch(scripts: Sequence[tuple[str, float]], deadline: Deadline) -> list[Section]:
    """Run scripts one after the other by /bin/sh on this machine, each within its own seconds and the deadline."""
    return [_section(script, seconds, deadline) for script, seconds in scripts]


def _section(script: str, seconds: float, deadline: Deadline) -> Section:
    if deadline.is_over():
        return Section(text="", exit_code=TIMED_OUT, timed_out=True)
    own = Deadline.after(deadline.clock, min(seconds, deadline.remaining_seconds()))
    argv = ["/bin/sh", "-c", f"exec 2>&1\n{script}"]
    asked_us = deadline.clock.now()
    done = run(argv, deadline=own, env=PLAIN, cwd=Path("/"), limit_bytes=SECTION_LIMIT)
    return Section(
        text=done.stdout, exit_code=done.exit_code, timed_out=done.timed_out, asked_us=asked_us,
        answered_us=deadline.clock.now(),
    )  # fmt: skip


def _waiting_bytes(descriptor: int) -> int:
    """How much can be read at once (pipe(7))."""
    number = fcntl.ioctl(descriptor, termios.FIONREAD, b"\0" * struct.calcsize("i"))
    return int(struct.unpack("i", number)[0])


def _deaf(error: OSError) -> ToolError:
    """It was started and could not be listened to, most likely for want of descriptors."""
    return ToolError(f"cannot follow what was started: {error.strerror}", hint=_MORE)


class _Conversation:
    """One child: feeds it, hears it, and sees to it that nothing of it stays."""

    def __init__(self, child: subprocess.Popen[bytes], stdin: bytes, limit_bytes: int, stop: int | None = None) -> None:
        self._child = child
        self._unsent = memoryview(stdin)
        self._left = limit_bytes
        self._stop = stop
        self._heard: dict[int, bytearray] = {}
        self._pipes: dict[int, IO[bytes]] = {}
        self._ended = self._timed_out = self._truncated = False
        try:
            with contextlib.ExitStack() as undo:
                undo.callback(self._end)
                self._selector = undo.enter_context(selectors.DefaultSelector())
                self._pidfd = os.pidfd_open(child.pid)
                undo.pop_all()
        except OSError as error:
            raise _deaf(error) from error

    def __enter__(self) -> Self:
        try:
            self._begin()
        except OSError as error:
            self.__exit__()
            raise _deaf(error) from error
        return self

    def _begin(self) -> None:
        self._selector.register(self._pidfd, selectors.EVENT_READ)
        if self._stop is not None:
            self._selector.register(self._stop, selectors.EVENT_READ)
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

    def __exit__(self, *_: object) -> None:
        self._end()
        self._selector.close()
        os.close(self._pidfd)

    def _end(self) -> None:
        """Nothing of it stays, whatever it was doing."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)  # its leader is not reaped yet, so the number is still its own
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(_REAP_SECONDS)
        for pipe in (self._child.stdin, self._child.stdout, self._child.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

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
        elif descriptor == self._stop:
            self._selector.unregister(descriptor)
            self._truncated = True  # whoever feeds it, or hears it, wants no more of it
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
            self._fed(descriptor)

    def _fed(self, stdin: int) -> None:
        """All was sent: its stdin ends here."""
        self._close(stdin)

    def _hear(self, descriptor: int) -> bool:
        """Read once; False when there is nothing more to be had now."""
        data = b"" if self._truncated else self._read(descriptor)
        if not data:
            return False
        self._truncated = len(data) > self._left
        self._heard[descriptor] += data[: self._left]
        self._left -= min(self._left, len(data))
        return True

    def _read(self, descriptor: int) -> bytes:
        """What is there now; nothing, too, when it was closed, by now or before."""
        if descriptor not in self._pipes:
            return b""
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return b""
        if not data:
            self._close(descriptor)
        return data

    def _drain(self) -> None:
        """Take what the pipes hold by now; a grandchild that keeps one open, or goes on writing, is not waited for."""
        for descriptor in (self._out, self._err):
            waiting = _waiting_bytes(descriptor) if descriptor in self._pipes else 0
            for _ in range(0, waiting, _CHUNK):  # a read gives all that was asked for, while there is so much
                self._hear(descriptor)

    def _close(self, descriptor: int) -> None:
        pipe = self._pipes.pop(descriptor)
        with contextlib.suppress(KeyError):
            self._selector.unregister(pipe)
        with contextlib.suppress(BrokenPipeError):
            pipe.close()


class _Lines(_Conversation):
    """One child whose lines are handed over as they come."""

    def __init__(
        self,
        child: subprocess.Popen[bytes],
        hear: Callable[[str], bool],
        complain: Callable[[str], bool],
        stop: int | None,
    ) -> None:
        super().__init__(child, b"", _LINE_LIMIT, stop)
        self._ears = (hear, complain)
        self._wants_more = True

    def wind_down(self, deadline: Deadline) -> None:
        """Interrupt the child if it still runs, give it until the deadline, then hand over what was left unfinished."""
        if not self._ended:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, signal.SIGINT)
            out_of_time, self._truncated = self._timed_out, False
            self.hold(deadline)
            self._timed_out = out_of_time
        for descriptor in (self._out, self._err):
            self._tell(descriptor, bytes(self._heard[descriptor]))
            self._heard[descriptor].clear()

    def _hear(self, descriptor: int) -> bool:
        more = super()._hear(descriptor)
        if not more:
            return False
        held = self._heard[descriptor]
        *lines, rest = bytes(held).split(b"\n")
        self._heard[descriptor] = bytearray(rest)
        self._left += len(held) - len(rest)
        for line in lines:
            self._tell(descriptor, line)
        return True

    def _tell(self, descriptor: int, line: bytes) -> None:
        if line and self._wants_more:
            self._wants_more = self._ears[descriptor == self._err](line.decode(errors="replace"))
            self._truncated = self._truncated or not self._wants_more


class _Pouring(_Conversation):
    """One child whose output is handed over as it is, in pieces, and whose stdin stays open."""

    def __init__(
        self,
        child: subprocess.Popen[bytes],
        stdin: bytes,
        ears: tuple[Callable[[bytes], None], Callable[[bytes], None]],
        stop: int | None,
    ) -> None:
        super().__init__(child, stdin, 0, stop)
        self._ears = ears

    def _fed(self, stdin: int) -> None:
        """All was sent, and its stdin stays open: it is no longer asked whether it takes more."""
        self._selector.unregister(stdin)

    def _hear(self, descriptor: int) -> bool:
        data = self._read(descriptor)
        if data:
            self._ears[descriptor == self._err](data)
        return bool(data)
