"""Starts long children in their shim, and tells from the run folder alone how they are doing.

A run folder (0700) holds packet.json (what was to run; no secret), shim.json (who keeps it), stdout, stderr (bounded)
and, once it is over, rc.json. Whoever reads it need not have started it: a restarted daemon adopts what it finds.
"""

import dataclasses
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from agent.clock import Clock, Deadline
from agent.errors import AgentError, ToolError
from agent.transports import shim as keeper

START_SECONDS = 30.0  # a shim starts in 0.1 s; a machine in trouble gets its chance
STOP_SECONDS = keeper.GIVE_UP_NS / 1e9 + 5.0
SHIM_ENV = (("PATH", "/usr/local/bin:/usr/bin:/bin"), ("LANG", "C.UTF-8"))
How = Literal["exited", "deadline", "stopped", "signalled"]
_HOWS: Mapping[str, How] = {"exited": "exited", "deadline": "deadline", "stopped": "stopped", "signalled": "signalled"}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Packet:
    """A long child: the program (absolute path first), where it stands, its whole environment, for how long at most.

    The bytes of each of `secret_files` exist only in the shim's memory; the child finds the path of that memory in
    the environment variable of the same name, and in place of `{{NAME}}` in argv.
    """

    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    timeout_seconds: float
    secret_files: Mapping[str, bytes] = dataclasses.field(default_factory=dict, repr=False)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Shim:
    """Who keeps a child. A pid alone may belong to somebody else by now; the three together never do."""

    pid: int
    started: int
    boot_id: str


@dataclasses.dataclass(frozen=True, slots=True)
class Running:
    """The shim is alive, and no return code is there."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """The return code is there. A signal N counts as 128 + N; `survivors` could not be killed."""

    exit_code: int
    how: How
    ended_at_us: int
    survivors: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Lost:
    """Neither a return code nor a living shim: nobody can say how it ended, or whether it began."""


def prepare(run_dir: Path, packet: Packet) -> None:
    """Create the run folder with its packet, durably; the secrets stay in memory."""
    run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    document = {
        "argv": list(packet.argv),
        "cwd": packet.cwd,
        "env": dict(packet.env),
        "timeout_seconds": packet.timeout_seconds,
    }
    keeper.write_durably(run_dir / keeper.PACKET, document)


def launch(run_dir: Path, packet: Packet, clock: Clock) -> Shim:
    """Start the child in its shim; return once shim.json is durable. A folder runs once: a second launch is refused."""
    if kept_by(run_dir) is not None:
        raise AgentError(f"{run_dir.name} was started before", hint="a run folder runs once: use a new one")
    prepare(run_dir, packet)
    memories = {name: _memory(name, content) for name, content in packet.secret_files.items()}
    ready, tell = os.pipe()
    try:
        errors = os.open(run_dir / keeper.STDERR, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(errors, "ab"):
            starter = subprocess.Popen(
                [sys.executable, "-I", "-m", "agent.transports.shim", str(run_dir.resolve()), str(tell)]
                + [f"{name}={number}" for name, number in memories.items()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=dict(SHIM_ENV),
                pass_fds=(tell, *memories.values()),
                start_new_session=True,
            )
    finally:
        for number in (tell, *memories.values()):
            os.close(number)
    told = b""
    try:
        told = _listen(ready, Deadline.after(clock, START_SECONDS))
    finally:
        os.close(ready)
        if starter.poll() is None and not told:
            starter.kill()
        starter.wait()
    if told:
        return _shim(json.loads(told))
    late = None if forbid(run_dir) else kept_by(run_dir)  # what we now call failed must not begin after all
    if late is None:
        raise ToolError(f"the keeper of {run_dir.name} did not start", hint=f"see {run_dir / keeper.STDERR}")
    return late


def _memory(name: str, content: bytes) -> int:
    """A sealed file that exists in memory only."""
    number = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.fchmod(number, 0o600)  # ssh uses no key that others may read
    with os.fdopen(os.dup(number), "wb") as file:
        file.write(content)
    seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
    fcntl.fcntl(number, fcntl.F_ADD_SEALS, seals)
    return number


def _listen(ready: int, deadline: Deadline) -> bytes:
    told = b""
    while select.select([ready], [], [], deadline.remaining_seconds())[0]:
        piece = os.read(ready, 4_096)
        if not piece:
            break
        told += piece
    return told


def _shim(document: Mapping[str, Any]) -> Shim:
    return Shim(pid=document["pid"], started=document["started"], boot_id=document["boot_id"])


def kept_by(run_dir: Path) -> Shim | None:
    """The shim that took this run, by its own record; None when none did."""
    try:
        return _shim(json.loads((run_dir / keeper.SHIM).read_bytes()))
    except (OSError, ValueError, KeyError):
        return None


def forbid(run_dir: Path) -> bool:
    """Make sure that no shim will ever start here; False when one did already. For a launch that was interrupted."""
    run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        keeper.write_durably(run_dir / keeper.SHIM, {"pid": 0, "started": 0, "boot_id": ""}, once=True)
    except FileExistsError:
        found = kept_by(run_dir)
        return found is not None and found.pid == 0
    return True


def peek(run_dir: Path, shim: Shim | None, clock: Clock) -> Running | Ended | Lost:
    """How the run is doing. Without a `shim` the folder's own record says whom to look for."""
    ended = _ended(run_dir)
    if ended is not None:
        return ended
    who = shim or kept_by(run_dir)
    if who is not None and is_alive(who, clock):
        return Running()
    return _ended(run_dir) or Lost()  # it may have ended between the two looks


def is_alive(shim: Shim, clock: Clock) -> bool:
    """Whether this very process lives: same boot, same pid, same start."""
    if shim.pid <= 0 or shim.boot_id != clock.boot_id:
        return False
    found = keeper.stat_of(shim.pid)
    return found is not None and found[0] not in "ZX" and found[2] == shim.started


def process_start(pid: int) -> int | None:
    """When a process started (field 22 of /proc/PID/stat, clock ticks since boot); None when there is none."""
    found = keeper.stat_of(pid)
    return None if found is None else found[2]


def _ended(run_dir: Path) -> Ended | None:
    try:
        document = json.loads((run_dir / keeper.RETURN_CODE).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise AgentError(f"cannot read {run_dir / keeper.RETURN_CODE}: {error}", hint="check the disk") from error
    return Ended(
        exit_code=document["exit_code"],
        how=_HOWS[document["how"]],
        ended_at_us=document["ended_at_us"],
        survivors=document.get("survivors", 0),
    )


def stop(run_dir: Path, shim: Shim, clock: Clock) -> Running | Ended | Lost:
    """Kill the child with all its descendants and wait for the return code; a lost shim's remains are swept up."""
    _end(shim, clock, signal.SIGTERM)
    if isinstance(peek(run_dir, shim, clock), Running):
        _end(shim, clock, signal.SIGKILL)  # it does not listen: then by force, and without a return code
    seen = peek(run_dir, shim, clock)
    if isinstance(seen, Lost):
        sweep(run_dir)
    return seen


def _end(shim: Shim, clock: Clock, number: signal.Signals) -> None:
    """Send a signal to this very process and wait until it is gone."""
    if not is_alive(shim, clock):
        return
    try:
        handle = os.pidfd_open(shim.pid)
    except ProcessLookupError:
        return
    try:
        if is_alive(shim, clock):  # the handle is on the process that we mean
            signal.pidfd_send_signal(handle, number)
            select.select([handle], [], [], STOP_SECONDS)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


def sweep(run_dir: Path) -> int:
    """Kill what a lost shim left behind, found by the mark in its environment, and remove its scratch folder."""
    mark = f"{keeper.MARK}={run_dir.resolve()}".encode()
    killed: set[int] = set()
    while found := [pid for pid in _marked(mark) if pid not in killed]:
        for pid in found:
            _kill_marked(pid, mark)
        killed.update(found)
    shutil.rmtree(run_dir / keeper.SCRATCH, ignore_errors=True)
    return len(killed)


def _marked(mark: bytes) -> list[int]:
    entries = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [int(entry.name) for entry in entries if _carries(int(entry.name), mark)]


def _carries(pid: int, mark: bytes) -> bool:
    try:
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _kill_marked(pid: int, mark: bytes) -> None:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if _carries(pid, mark):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
    finally:
        os.close(handle)


def stdout_path(run_dir: Path) -> Path:
    """Where the child's standard output is kept."""
    return run_dir / keeper.STDOUT


def stderr_path(run_dir: Path) -> Path:
    """Where the child's standard error is kept."""
    return run_dir / keeper.STDERR
