"""Runs a throw-away database server on a dump: as a user without rights, in a folder of its own, gone afterwards.

What is in a dump runs with all rights of that server and of the program that loads it: so they have no network, run as
nobody, and nothing of them outlives the trial. Without root that cannot be had, and nothing is loaded. Its folder is not
below the state folder, which nobody else may enter.
"""

import contextlib
import dataclasses
import os
import pwd
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from agent.backups.restic import sandbox
from agent.clock import Deadline
from agent.errors import AgentError
from agent.transports import local

_TOP = Path("/var/tmp")  # noqa: S108  # a folder of ours in there, checked before it is used
_USER = "nobody"
_PREPARED, _GROWTH = 200_000_000, 3.0  # bytes of an empty server with its logs; tables and indexes per byte of a dump
_GRACE_SECONDS = 1.0  # there is nothing to tidy up: with the first process of its namespace all end
_TOLD = 20  # lines kept of what the programs say
_NO = frozenset({"", "0", "f", "false", "null", "none"})


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """A script for `/bin/sh` with its arguments behind the folder, and what each of its exit codes means."""

    script: str
    arguments: tuple[str, ...]
    meanings: Mapping[int, str]


def run(trial: Trial, dump: Path, name: str, deadline: Deadline) -> tuple[list[str], list[str]]:
    """The script's output and the faults. The dump is its stdin. TimeoutError when the time is up."""
    if os.geteuid() != 0:
        raise AgentError(
            "a dump may run programs, and only root can have it loaded as nobody",
            hint="run the agent as root, or leave `verify` out",
        )
    with _folder(name) as folder, dump.open("rb") as stream:
        size_bytes = os.fstat(stream.fileno()).st_size
        lacking = sandbox.lacking_bytes(folder, int(size_bytes * _GROWTH) + _PREPARED, 1)
        if lacking:
            return [], [f"{lacking} bytes are missing in {_TOP} to load the dump into a server"]
        _lend(folder)
        argv = [*_powerless(), "/bin/sh", "-c", trial.script, "sh", str(folder), *trial.arguments]
        said: list[str] = []
        complaints: list[str] = []
        done = _call(argv, stream.fileno(), (said, complaints), deadline)
    if done.timed_out:
        raise TimeoutError
    if done.exit_code == 0:
        return said, []
    why = trial.meanings.get(done.exit_code, f"the trial ended with {done.exit_code}")
    words = next((line for line in complaints if re.search("error|fatal", line, re.IGNORECASE)), "")
    words = words or (complaints[-1] if complaints else "")
    return said, [f"{why}: {words}" if words else why]


def no(answer: Sequence[str]) -> str:
    """What is wrong with the answer of a query, of which the first value of the first row counts; empty when nothing is."""
    first = answer[0].split("\t")[0].strip() if answer else ""
    return f"the query answers {first!r}" if first.lower() in _NO else ""


def _call(argv: Sequence[str], stdin: int, heard: tuple[list[str], list[str]], deadline: Deadline) -> local.Completed:
    never = os.eventfd(0, os.EFD_CLOEXEC)
    said, complaints = heard

    def hear(line: str) -> bool:
        said.append(line)
        return len(said) <= _TOLD

    def complain(line: str) -> bool:
        complaints.append(line[:500])
        del complaints[:-_TOLD]
        return True

    try:
        feed = local.Feed(stdin=stdin, stop=never)
        return local.stream(
            argv,
            deadline=deadline,
            hear=hear,
            complain=complain,
            env=local.PLAIN,
            feed=feed,
            grace_seconds=_GRACE_SECONDS,
        )
    finally:
        os.close(never)


def _powerless() -> tuple[str, ...]:
    """The beginning of a command line that gives up all that root may do, the network, and at its end every process."""
    return ("unshare", "--net", "--pid", "--fork", "--kill-child", "--",
            "setpriv", f"--reuid={_USER}", f"--regid={pwd.getpwnam(_USER).pw_gid}", "--clear-groups", "--no-new-privs",
            "--bounding-set=-all", "--inh-caps=-all", "--")  # fmt: skip


def _lend(folder: Path) -> None:
    nobody = pwd.getpwnam(_USER)
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)


@contextlib.contextmanager
def _folder(name: str) -> Iterator[Path]:
    """A fresh folder that the server's user can get at; what dead drills left behind is removed first."""
    top = _TOP / f"watchkeeper-{os.geteuid()}"
    with contextlib.suppress(FileExistsError):
        top.mkdir(mode=0o711)
    seen = top.lstat()
    if not top.is_dir() or top.is_symlink() or seen.st_uid != os.geteuid() or seen.st_mode & 0o022:
        raise AgentError(f"{top} is not ours alone", hint=f"look who made it: ls -ld {top}")
    top.chmod(0o711)
    sandbox.sweep(top)
    with sandbox.sandbox(top, name) as folder:
        folder.parent.chmod(0o711)
        yield folder
