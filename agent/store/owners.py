"""Who owns the state folder: one daemon, held by a lock that its death releases, and named in a row."""

import dataclasses
import fcntl
import json
import os
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert

from agent.clock import Clock
from agent.errors import OwnedError
from agent.store.folder import LOCK_NAME, make_private, unusable
from agent.store.tables import owners
from agent.store.tx import Reader, Tx, reading


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Owner:
    """A daemon: its process (pid, start time in ticks, boot) and since when."""

    pid: int
    started: int
    boot_id: str
    started_at_us: int


class Claim:
    """The folder is ours until `release`, or until the process ends in whatever way."""

    def __init__(self, owner: Owner, descriptor: int) -> None:
        self.owner = owner
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the next daemon in."""
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = -1


_UPSERT = insert(owners)
_UPSERT = _UPSERT.on_conflict_do_update(
    index_elements=[owners.c.id],
    set_={name: _UPSERT.excluded[name] for name in ("pid", "started", "boot_id", "started_at_us")},
)


def claim(folder: Path, clock: Clock) -> Claim:
    """Take the folder for this process, before the database is opened; OwnedError when another daemon has it."""
    make_private(folder)
    path = folder / LOCK_NAME
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise unusable(path, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        holder = _read(path)
        named = f"pid {holder.pid}" if holder else "it is just starting"
        raise OwnedError(f"{folder}: another daemon runs on it ({named})", hint="see: watchkeeper status") from error
    started = _start_of("self")
    assert started is not None, "/proc shows every process itself"
    owner = Owner(pid=os.getpid(), started=started, boot_id=clock.boot_id, started_at_us=clock.now())
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(dataclasses.asdict(owner)).encode("ascii"), 0)
    return Claim(owner, descriptor)


def record(tx: Tx, owner: Owner) -> None:
    """Name the owner in the database, for other processes to see."""
    tx.connection.execute(_UPSERT, {"id": 1, **dataclasses.asdict(owner)})


def current(reader: Reader) -> Owner | None:
    """The daemon that owned the folder last; whether it lives is for the caller to see."""
    row = reading(reader).execute(select(owners)).mappings().one_or_none()
    if row is None:
        return None
    return Owner(pid=row["pid"], started=row["started"], boot_id=row["boot_id"], started_at_us=row["started_at_us"])


def running(folder: Path, clock: Clock) -> Owner | None:
    """The daemon that holds the folder at this moment, found without touching its lock; None when there is none."""
    try:
        owner = _read(folder / LOCK_NAME)
    except FileNotFoundError:
        return None
    if owner is None or owner.boot_id != clock.boot_id or _start_of(str(owner.pid)) != owner.started:
        return None
    return owner


def _read(path: Path) -> Owner | None:
    try:
        return Owner(**json.loads(path.read_bytes()))
    except (ValueError, TypeError):
        return None  # empty: released, or its daemon is just starting


def _start_of(pid: str) -> int | None:
    """Field 22 of /proc/PID/stat: when a process started, in clock ticks since boot (proc(5)); None when it is gone."""
    try:
        stat = Path("/proc", pid, "stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat.rpartition(b")")[2].split()[19])
