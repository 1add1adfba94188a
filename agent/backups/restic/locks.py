"""Whose a lock is: each restic of ours is on record while it runs, and only a lock proven ours and dead is removed.

restic's own rule (no process of that number on a machine of that name, or 30 minutes old) takes away locks of living
processes in other containers, and of machines that slept; ours asks for a record of ours, whose process is no more.
"""

import dataclasses
import json
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from agent.backups.restic.survey import nanoseconds
from agent.clock import MICROSECONDS, Clock
from agent.errors import AgentError
from agent.transports import child
from agent.transports.child import Shim

FOLDER = "restic-starts"
STALE_US = 30 * 60 * MICROSECONDS  # restic renews a lock every 5 minutes, and calls one stale after 30
_MARGIN_US = 5 * 60 * MICROSECONDS  # for the clock to be corrected while it runs, and for a call to take
_NOTE_BYTES = 1024  # of one start; its longest part is the name of a machine
_ID = re.compile(r"[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Lock:
    """A lock in a repository, as `restic cat lock` shows it. `at_us` is when it was made, or renewed."""

    id: str
    at_us: int
    exclusive: bool
    host: str
    user: str
    pid: int

    def told(self) -> str:
        """Who holds it, for people."""
        return f"process {self.pid} of {self.user} on {self.host}"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """One restic of ours on one repository: pid, start and boot say which process it is.

    Where `there` is not None, the process serves a restic on another machine: number `there` of `host`, 0 while that is
    not known. That restic can do nothing to the repository once its server is gone.
    """

    pid: int
    started: int
    boot_id: str
    host: str
    began_us: int
    exec_id: str
    there: int | None = None
    began_ns: int = 0  # the same as `began_us`, since boot

    def by(self, clock: Clock) -> "Start":
        """The same as this clock would tell it: it may have been set back since."""
        if not self.began_ns or self.boot_id != clock.boot_id:
            return self
        ago_us = (clock.boottime() - self.began_ns) // 1000
        return dataclasses.replace(self, began_us=min(self.began_us, clock.now() - ago_us))

    def is_alive(self, clock: Clock) -> bool:
        """Whether this very process lives."""
        return child.is_alive(Shim(pid=self.pid, started=self.started, boot_id=self.boot_id), clock)

    def made(self, lock: Lock) -> bool:
        """Whether the lock is of this process: its number on this machine, and not from before its start.

        Of another machine's clock nothing is known.
        """
        if self.there is not None:
            return self.there > 0 and (lock.host, lock.pid) == (self.host, self.there)
        return (lock.host, lock.pid) == (self.host, self.pid) and lock.at_us >= self.began_us - _MARGIN_US


def ours_and_dead(locks: Iterable[Lock], dead: Sequence[Start]) -> list[Lock]:
    """The locks that a dead process of ours left; no other may be removed."""
    return [lock for lock in locks if any(start.made(lock) for start in dead)]


def may_unlock(
    locks: Sequence[Lock], ours: Sequence[Lock], host: str, now_us: int, name_of: Callable[[int], str]
) -> bool:
    """Whether `restic unlock` would remove `ours` and nothing else, and disturb nobody.

    It asks for a process of this machine by sending it SIGHUP, which only a restic survives for certain: `name_of`
    gives the name of the process with that number, empty when there is none.
    """

    def is_left_alone(lock: Lock) -> bool:
        if lock in ours:
            return not name_of(lock.pid)
        is_young = now_us - lock.at_us < STALE_US - _MARGIN_US
        return is_young and (lock.host != host or name_of(lock.pid) == "restic")

    return all(map(is_left_alone, locks))


def all_stale(locks: Sequence[Lock], now_us: int) -> bool:
    """Whether there are exclusive locks, and none was renewed for so long that restic itself calls it stale."""
    exclusive = [lock for lock in locks if lock.exclusive]
    return bool(exclusive) and all(now_us - lock.at_us > STALE_US for lock in exclusive)


def read(lock_id: str, text: str) -> Lock | None:
    """A lock out of `restic cat lock`; None when it is none."""
    try:
        seen: dict[str, Any] = json.loads(text)
        return Lock(
            id=lock_id,
            at_us=nanoseconds(seen["time"]) // 1_000,
            exclusive=bool(seen.get("exclusive")),
            host=str(seen.get("hostname", "")),
            user=str(seen.get("username", "")),
            pid=int(seen.get("pid", 0)),
        )
    except (ValueError, KeyError, TypeError, AttributeError, AgentError):
        return None


def ids(text: str) -> list[str]:
    """The ids out of `restic list locks`."""
    return [line.strip() for line in text.splitlines() if _ID.fullmatch(line.strip())]


def name_of(pid: int) -> str:
    """The name of the process with that number; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


class Register:
    """The starts of restic on one repository; each is a file, and outlives whoever wrote it."""

    def __init__(self, folder: Path, clock: Clock, exec_id: str) -> None:
        self._folder, self._clock, self._exec_id = folder, clock, exec_id

    @contextmanager
    def room(self) -> Iterator[Path]:
        """Room for a note, taken before restic starts: on a full disk it is not even begun. OSError when there is none."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._folder / f".{os.getpid()}-{threading.get_native_id()}-{self._clock.boottime()}"
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.write(b" " * _NOTE_BYTES)
            yield draft
        finally:
            draft.unlink(missing_ok=True)

    def note(self, pid: int, *, reserved: Path | None = None, host: str = "", there: int | None = None) -> Path | None:
        """Write down that this process works there now, or serves process `there` of `host`; None when it has ended already."""
        with nullcontext(reserved) if reserved else self.room() as draft:
            started = child.process_start(pid)
            if started is None:
                return None
            start = Start(
                pid=pid,
                started=started,
                boot_id=self._clock.boot_id,
                host=os.uname().nodename if there is None else host,
                there=there,
                began_us=self._clock.now(),
                began_ns=self._clock.boottime(),
                exec_id=self._exec_id,
            )
            with draft.open("r+b") as stream:
                stream.write(json.dumps(dataclasses.asdict(start)).encode().ljust(_NOTE_BYTES))
            return draft.rename(self._folder / f"{pid}-{started}")

    def dead(self) -> dict[Path, Start]:
        """What is on record and lives no more."""
        return {path: start for path, start in self._all() if not start.is_alive(self._clock)}

    def _all(self) -> Iterator[tuple[Path, Start]]:
        with suppress(FileNotFoundError):
            for path in sorted(self._folder.glob("[0-9]*")):
                with suppress(OSError, ValueError, TypeError):
                    yield path, Start(**json.loads(path.read_bytes())).by(self._clock)


def remove_file(folder: Path, lock: Lock) -> None:
    """Remove exactly this lock from a repository of this machine."""
    (folder / "locks" / lock.id).unlink(missing_ok=True)
    import logging  # hardly any job has a word to say: it starts sooner without

    logging.getLogger(__name__).warning("removed the lock of %s, which was ours and is dead", lock.told())


def forget(records: Iterable[Path]) -> None:
    """Strike starts off the record."""
    for path in records:
        path.unlink(missing_ok=True)


def folder_of(state: Path, digest: str) -> Path:
    """Where the starts on a repository are noted."""
    return state / FOLDER / digest


def wait(seconds: float) -> None:
    """Do nothing for that long; SIGTERM ends it."""
    threading.Event().wait(seconds)
