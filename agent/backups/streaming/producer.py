"""Runs the command and passes its output on: counted and hashed on the way, and judged at its end."""

import dataclasses
import hashlib
import os
import pwd
from collections.abc import Callable, Mapping
from pathlib import Path

from agent.backups import Outcome
from agent.backups.streaming.script import Frame, new_nonce, script
from agent.clock import Deadline
from agent.transports import local, openssh
from agent.transports.openssh import Route

_BLANK = "********"
_SHORTEST = 4  # characters of a line of a secret; blanking shorter ones would make the words unreadable
_TAIL = 8_000  # bytes of stderr that are kept: the last words tell why
_LINES = 3  # of ssh: the last is not the one that says most
_SHOWN = 300  # characters of it in a summary
_CODES = {
    126: "cannot be run (126)",
    127: "was not found (127)",
    **{128 + number: f"was ended by signal {number}" for number in (1, 2, 6, 9, 11, 13, 15)},
}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Produced:
    """What came of the command."""

    outcome: Outcome
    why: str = ""
    hint: str = ""
    size_bytes: int = 0
    sha256: str = ""

    @property
    def is_good(self) -> bool:
        """Whether it may become a snapshot."""
        return self.outcome is Outcome.OK


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a command runs: on this machine without a route. `folder` is ours alone and takes ssh's configuration."""

    route: Route | None
    folder: Path


class Producer:
    """One command on its host, once."""

    def __init__(self, command: str, environment: Mapping[str, str], secret: Mapping[str, str]) -> None:
        """`secret` are variables as well; their values are blanked in all that is kept."""
        self._command = command
        self._environment = {**environment, **secret}
        pieces = {line for text in secret.values() for line in text.splitlines() if len(line.strip()) >= _SHORTEST}
        self._secrets = sorted({*filter(None, secret.values()), *pieces}, key=len, reverse=True)

    def run(self, place: Place, deadline: Deadline, take: Callable[[bytes], None], stop: int) -> Produced | None:
        """Run it to its end and hand its bytes to `take`; None when it was stopped, by `stop` becoming readable."""
        nonce = new_nonce()
        passing = _Passing(Frame(nonce), take)
        complaints = _Complaints()
        argv = ("/bin/sh",) if place.route is None else (*openssh.command(place.route, place.folder), "/bin/sh")
        try:
            done = local.pour(
                argv,
                deadline=deadline,
                stdin=script(self._command, self._environment, nonce),
                take=passing.take,
                complain=complaints.take,
                env=_surroundings(),
                stop=stop,
            )
        except ValueError as error:
            return Produced(
                outcome=Outcome.FAILED, why=str(error), hint="does a start-up file there print without end?"
            )
        if done.truncated:
            return None
        return self._judged(done, passing, complaints.text(), is_remote=place.route is not None)

    def _judged(self, done: local.Completed, passing: "_Passing", words: str, *, is_remote: bool) -> Produced:
        said = self._said(words)
        code = passing.frame.exit_code
        if done.timed_out and code is None:
            return Produced(outcome=Outcome.TIMEOUT, why=f"the command did not end in time{said}", hint=_LONGER)
        if code is None:
            what = "the connection was lost" if is_remote and passing.frame.has_begun else (
                "there is no connection" if is_remote else "its shell was ended"
            )  # fmt: skip
            why = f"{what} before the command had ended{self._said(words, _LINES)}"
            return Produced(outcome=Outcome.FAILED, why=why, hint=_AGAIN)
        if code:
            ending = _CODES.get(code, f"failed with {code}")
            return Produced(outcome=Outcome.FAILED, why=f"the command {ending}{said}", hint=_BY_HAND)
        if not passing.size_bytes:
            return Produced(outcome=Outcome.FAILED, why=f"the command succeeded and wrote nothing{said}", hint=_BY_HAND)
        return Produced(outcome=Outcome.OK, size_bytes=passing.size_bytes, sha256=passing.hashed.hexdigest())

    def _said(self, words: str, count: int = 1) -> str:
        """The last lines of its stderr, short and without secrets."""
        for secret in self._secrets:
            words = words.replace(secret, _BLANK)
        lines = [line for line in words.splitlines() if line.strip()]
        last = "".join(one if one.isprintable() else " " for one in "; ".join(lines[-count:]))
        return f": {' '.join(last.split())[-_SHOWN:]}" if lines else ""


_LONGER = "give the backup a longer timeout, or look what the command waits for"
_AGAIN = "run it again; if it stays so, try: ssh -v"
_BY_HAND = "run the command by hand on that host"


class _Passing:
    """The command's bytes on their way: out of the frame, hashed, handed on."""

    def __init__(self, frame: Frame, take: Callable[[bytes], None]) -> None:
        self.frame, self.hashed, self.size_bytes = frame, hashlib.sha256(), 0
        self._take = take

    def take(self, data: bytes) -> None:
        """One piece of the session."""
        certain = self.frame.push(data)
        if certain:
            self.hashed.update(certain)
            self.size_bytes += len(certain)
            self._take(certain)


class _Complaints:
    """The end of what the command said on stderr, however much it was: it tells why."""

    def __init__(self) -> None:
        self._tail = b""

    def take(self, data: bytes) -> None:
        """One piece."""
        self._tail = (self._tail + data)[-_TAIL:]

    def text(self) -> str:
        """What was kept."""
        return self._tail.decode(errors="replace")


def _surroundings() -> dict[str, str]:
    """What the command finds in its environment on this machine; ssh needs the same to find its keys."""
    me = pwd.getpwuid(os.geteuid())
    return {**local.PLAIN, "HOME": me.pw_dir, "USER": me.pw_name, "LOGNAME": me.pw_name, "SHELL": "/bin/sh"}
