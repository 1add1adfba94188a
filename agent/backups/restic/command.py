"""Calls restic: with a small environment, within the job's time, and with every ending classified."""

import dataclasses
import hashlib
import itertools
import json
import math
import os
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path

from agent.backups import Job, Kind, Outcome, Setting
from agent.backups.restic import locks, sound
from agent.backups.restic import outcome as outcomes
from agent.backups.restic.locks import Lock, Register
from agent.backups.restic.outcome import Message, Version
from agent.backups.restic.reach import reach
from agent.backups.restic.version import version_of
from agent.clock import Deadline
from agent.transports import local

Feeding = Callable[[], AbstractContextManager[local.Feed]]  # a fresh feed for each try
_ASKS = r"^[A-Z][A-Za-z]*\([^()]*\) returned error, retrying after "  # restic 0.14 would for 15 minutes
_GONE = re.compile(_ASKS + r".*no such file or directory")
_LOCK_GONE = re.compile(r"^Load\(<lock/.*no such file or directory")  # another has ended; 0.14 asks on for 15 minutes
_CUT = re.compile(_ASKS + r".*unexpected EOF")  # of a file on this machine; from elsewhere it may come whole next time
_UNREACHED = re.compile(
    r"^(?:Stat\(<config/>\)|List\(key\)) returned error, retrying after .*(?:dial tcp|lookup|handshake)"
    rf"|{_ASKS}.*: connection lost$"  # its ssh has ended, and it starts no other
)
_ABSENT = re.compile(_ASKS + r".*The specified bucket does not exist")
_RETRIES = 3  # what is gone does not come back by asking again
_ANSWER_BYTES = 64_000_000  # 200,000 snapshots
_KEPT = 200  # complaints kept for people; the rest is only counted
_TIDY_SECONDS = 10.0  # to remove its lock after SIGINT
_VANISHED = 5  # locks that vanish while they are read, one call after the other, before that counts as locked
_LOCK_PAUSES = (0.5, 1.0, 2.0, 5.0)  # seconds between looks, the last for good: each costs half a second of one core
_READING = {"restore", "ls", "snapshots", "dump", "find", "stats", "diff", "cat", "list"}  # takes nothing away
_CUT_SHORT = {124, 137, 143}  # out of time, SIGKILL, SIGTERM: it may have left its lock
_TIDIED = {Outcome.OK, Outcome.PARTIAL, Outcome.LOCKED, Outcome.WRONG_PASSWORD, Outcome.MISSING_REPOSITORY,
         Outcome.SOURCE_MISSING, Outcome.NO_SPACE}  # and after any other ending, when the way there broke  # fmt: skip
_LOOK_SECONDS = 60.0  # for a list of locks


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """How one call ended: its outcome, its JSON messages that matter, its complaints as text (bounded).

    `error_count` counts the JSON errors, kept or not. `is_free`: the lock that it stumbled over is gone.
    """

    outcome: Outcome
    messages: tuple[Message, ...] = ()
    errors: tuple[str, ...] = ()
    error_count: int = 0
    is_free: bool = False

    def of_type(self, name: str) -> Message | None:
        """The last message of this type, None when there was none."""
        return next((message for message in reversed(self.messages) if message.get("message_type") == name), None)

    def why(self) -> str:
        """The line that says most: restic's last word, else its first complaint."""
        fatal = [line for line in self.errors if line.startswith("subprocess ssh: ")]  # what restic only wraps
        fatal.sort(key=lambda line: "Host key for " not in line)  # ssh tells of a changed one within a frame of @
        fatal += [line for line in self.errors if line.startswith("Fatal")][-1:]  # a name may go over lines, too
        line = (fatal or list(self.errors[:1]) or [f"restic ended as {self.outcome} without a word"])[0]
        return f"refused: wrong credentials, or no right to this: {line}" if self.outcome is Outcome.REFUSED else line


class Restic:
    """restic on one repository, for one job. `folder` is the repository's, where it is one of this machine."""

    def __init__(self, job: Job, setting: Setting) -> None:
        self._job, self._setting = job, setting
        self._reach = reach(job, setting)
        self.folder = self._reach.folder
        self.digest = hashlib.sha256(os.fsencode(self._reach.location.shown())).hexdigest()[:16]
        self._environment = {
            **local.PLAIN,
            **setting.environment,
            **self._reach.environment,
            "RESTIC_CACHE_DIR": str(cache_folder(job)),
            "RESTIC_PROGRESS_FPS": "2",
            **_cores(job),
        }
        state = Path(job.state)
        self.version = version_of(job.program, self._environment["PATH"], state, setting.deadline)
        self.register = Register(locks.folder_of(state, self.digest), setting.deadline.clock, job.exec_id)

    @property
    def place(self) -> str:
        """The repository for people, without any login."""
        return self._job.repository

    def clear_unfinished(self) -> Ended | None:
        """Clear away what a killed init left in a repository elsewhere; why none may be founded there, if so."""
        from agent.backups.restic import unfinished  # and with it HTTP and TLS: most jobs found no repository

        refusal = unfinished.clear(self._reach, self.place, self.deadline)
        return None if refusal is None else Ended(outcome=refusal[0], errors=(refusal[1],))

    @property
    def deadline(self) -> Deadline:
        """When the job must be over."""
        return self._setting.deadline

    @property
    def now_us(self) -> int:
        """The time by the job's clock, µs UTC."""
        return self._setting.deadline.clock.now()

    def call(
        self,
        *arguments: str,
        hear: Callable[[str], None] | None = None,
        feed: Feeding | None = None,
        beside: "Restic | None" = None,
    ) -> Ended:
        """Run one command; `hear` gets its stdout line by line, `feed` gives its stdin, anew for each try.

        It also works, and holds a lock, in the repository `beside`, if there is one. A lock that a dead process of ours
        left is removed first. Any other is waited for, within bounds; when it is
        stale by restic's own rule, a command that only reads goes on without a lock.
        """
        patience = Deadline.after(self._setting.deadline.clock, self._job.lock_wait_seconds)
        for pause in itertools.chain(_LOCK_PAUSES, itertools.repeat(_LOCK_PAUSES[-1])):
            self.tidy()
            if beside is not None:
                beside.tidy()
            ended = self._unless_freed(arguments, hear, feed, beside)
            if ended.outcome is not Outcome.LOCKED:
                return ended
            if arguments[0] in _READING and locks.all_stale(self._locks() or (), self._setting.deadline.clock.now()):
                return self._once((*arguments, "--no-lock"), hear, feed)
            left = min(patience.remaining_seconds(), self._setting.deadline.remaining_seconds())
            if left <= 0:
                break
            locks.wait(min(left, pause))
        return ended

    def _unless_freed(
        self,
        arguments: Sequence[str],
        hear: Callable[[str], None] | None,
        feed: Feeding | None,
        beside: "Restic | None",
    ) -> Ended:
        """Run it, anew when a lock that it read went meanwhile."""
        for _ in range(_VANISHED):
            ended = self._once(arguments, hear, feed, beside)
            if not ended.is_free:
                break
        return ended

    def ask(self, *arguments: str) -> tuple[Ended, str]:
        """Run one command that answers with one JSON document, whole; without a lock, for it only reads."""
        listener = self._listener()
        done = self._plainly(*arguments, "--json")
        for line in done.stderr.splitlines():
            listener.complain(line)
        return listener.ended(self.version, done), done.stdout

    def _plainly(self, *arguments: str, seconds: float = math.inf) -> local.Completed:
        argv = self._argv((*arguments, "--no-lock"))
        return local.run(argv, deadline=self._soon(seconds), env=self._environment, limit_bytes=_ANSWER_BYTES)

    def _soon(self, seconds: float) -> Deadline:
        """The job's deadline, or so many seconds from now, whichever is earlier."""
        whole = self._setting.deadline
        return whole if whole.remaining_seconds() <= seconds else Deadline.after(whole.clock, seconds)

    def _argv(self, arguments: Sequence[str]) -> list[str]:
        return [self._job.program, *self._reach.options, *arguments]

    def _once(
        self,
        arguments: Sequence[str],
        hear: Callable[[str], None] | None,
        feed: Feeding | None = None,
        beside: "Restic | None" = None,
    ) -> Ended:
        listener = self._listener(hear)
        noted: list[Path | None] = []
        with (
            ExitStack() as stack,
            feed() if feed else nullcontext() as fed,
        ):
            rooms = [(one.register, stack.enter_context(one.register.room())) for one in (self, beside) if one]
            done = local.stream(
                self._argv(arguments),
                deadline=self._setting.deadline,
                hear=listener.hear,
                complain=listener.complain,
                env=self._environment,
                grace_seconds=_TIDY_SECONDS,
                feed=fed,
                began=lambda pid: noted.extend(register.note(pid, reserved=room) for register, room in rooms),
            )
        ended = listener.ended(self.version, done)
        if listener.has_tidied(ended.outcome, done.exit_code):
            locks.forget(path for path in noted if path)
        return ended

    def _listener(self, hear: Callable[[str], None] | None = None) -> "Listener":
        return Listener(hear, self._reach.veil, is_here=self.folder is not None)

    # locks

    def tidy(self) -> None:
        """Remove what dead processes of ours left; when there is no such record, that costs no call."""
        dead = self.register.dead()
        if not dead:
            return
        served = [start.began_us for start in dead.values() if start.there is not None]
        if served and self.folder is not None:
            sound.mend_since(self.folder, min(served))
        found = self._locks()
        if found is None:
            return  # what is on record is looked for when they can be listed again
        ours = locks.ours_and_dead(found, list(dead.values()))
        if self._remove(found, ours):
            locks.forget(dead)

    def _remove(self, found: Sequence[Lock], ours: Sequence[Lock]) -> bool:
        if self.folder is not None:
            for lock in ours:
                locks.remove_file(self.folder, lock)
            return True
        if not ours:
            return True
        now_us = self._setting.deadline.clock.now()
        if not locks.may_unlock(found, ours, os.uname().nodename, now_us, locks.name_of):
            return False
        return self._once(["unlock"], None).outcome is Outcome.OK

    def _locks(self) -> list[Lock] | None:
        """Every lock that can be read; None when they cannot be listed."""
        names = self._lock_names()
        if names is None:
            return None
        texts = [(name, self._plainly("cat", "lock", name, "-q", seconds=_LOOK_SECONDS).stdout) for name in names]
        return [lock for name, text in texts if (lock := locks.read(name, text)) is not None]

    def _lock_names(self) -> list[str] | None:
        lines: list[str] = []
        listener = self._listener(lines.append)
        done = local.stream(
            self._argv(("list", "locks", "-q", "--no-lock")),
            deadline=self._soon(_LOOK_SECONDS),
            hear=listener.hear,
            complain=listener.complain,
            env=self._environment,
        )
        return locks.ids("\n".join(lines)) if listener.ended(self.version, done).outcome is Outcome.OK else None


def _cores(job: Job) -> dict[str, str]:
    """Several jobs share the machine; a person who waits for a restore gets all of it."""
    return {} if job.kind is Kind.RESTORE else {"GOMAXPROCS": str(max(2, (os.cpu_count() or 1) // 4))}


def cache_folder(job: Job) -> Path:
    """Where restic keeps what it knows of repositories; may be deleted at any time."""
    return Path(job.state) / "restic-cache"


class Listener:
    """Hears one call: keeps messages and complaints within bounds, counts the rest, knows when to give up."""

    def __init__(self, hear: Callable[[str], None] | None, veil: Callable[[str], str], *, is_here: bool = True) -> None:
        self._hear, self._veil, self._is_here = hear, veil, is_here
        self.left_a_lock = self._is_absent = False
        self._messages: list[Message] = []
        self._plain: list[str] = []
        self._errors = self._retries = self._unreached = self._vanished = 0

    def hear(self, line: str) -> bool:
        """One line of stdout."""
        if self._hear is not None:
            self._hear(line)
        if '"message_type":"summary"' in line and (message := outcomes.read_message(line)) is not None:
            self._messages.append(message)
        return True

    def complain(self, line: str) -> bool:
        """One line of stderr; False when nothing better can come."""
        line = line.replace("subprocess sh: ", "subprocess ssh: ", 1)  # it names what we start its ssh by
        message = outcomes.read_message(line)
        if message is None:
            self._count(line)
            self._plain = [*self._plain[: _KEPT // 2], *self._plain[_KEPT // 2 :][-_KEPT // 2 :], line]
        elif message.get("message_type") != "error":
            self._mark_lock(line)
            self._messages.append(message)
        else:
            self._errors += 1
            self._messages += [message] if self._errors <= _KEPT else []
        return max(self._retries, self._unreached, self._vanished) < _RETRIES and not self._is_absent

    def _count(self, line: str) -> None:
        """What restic says in plain text, which is not of any file that it saves."""
        self._mark_lock(line)
        if _LOCK_GONE.search(line):
            self._vanished += 1
        else:
            self._retries += _GONE.search(line) is not None or (self._is_here and _CUT.search(line) is not None)
        self._unreached += _UNREACHED.search(line) is not None
        self._is_absent = self._is_absent or _ABSENT.search(line) is not None

    def _mark_lock(self, line: str) -> None:
        self.left_a_lock = self.left_a_lock or "while unlocking" in line or "failed to unlock" in line

    def has_tidied(self, outcome: Outcome, exit_code: int) -> bool:
        """Whether it is certain that restic left no lock."""
        return exit_code not in _CUT_SHORT and outcome in _TIDIED and not self.left_a_lock

    def ended(self, version: Version, done: local.Completed) -> Ended:
        """What it comes to."""
        stderr = "\n".join(self._plain)
        outcome = outcomes.classify(version, done.exit_code, stderr, self._messages, is_here=self._is_here)
        if self._retries >= _RETRIES:
            outcome = Outcome.DAMAGED
        elif self._vanished >= _RETRIES:
            outcome = Outcome.LOCKED
        elif self._is_absent:
            outcome = Outcome.MISSING_REPOSITORY
        elif self._unreached >= _RETRIES:
            outcome = Outcome.UNREACHABLE
        elif done.timed_out:
            outcome = Outcome.TIMEOUT
        errors = outcomes.error_lines(stderr, self._messages)
        return Ended(
            outcome=outcome,
            messages=tuple(map(self._shown, self._messages)),
            errors=tuple(map(self._veil, errors)),
            error_count=self._errors,
            is_free=self._vanished >= _RETRIES,
        )

    def _shown(self, message: Message) -> Message:
        """What was read to the letter is kept without secrets."""
        text = json.dumps(message)
        veiled = self._veil(text)
        return message if veiled == text else outcomes.read_message(veiled) or {}
