"""Calls restic: with a small environment, within the job's time, and with every ending classified."""

import dataclasses
import os
import re
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from agent.backups import PASSWORD_FILE, Job, Outcome, Setting
from agent.backups.restic import outcome as outcomes
from agent.backups.restic.outcome import Message, Version
from agent.clock import Deadline
from agent.errors import InputError, ToolError
from agent.transports import local

_VERSION = re.compile(r"restic (\d+)\.(\d+)\.(\d+)")
_HOLDER = re.compile(r"already locked (?:exclusively )?by PID (\d+) on (\S+) by ")
_RETRY = re.compile(r"returned error, retrying after .*: (.*(?:no such file or directory|unexpected EOF).*)")
_RETRIES = 3  # a folder on this machine does not get better by asking again; restic 0.14 would for 15 minutes
_ANSWER_BYTES = 64_000_000  # 200,000 snapshots
_KEPT = 200  # complaints kept for people; the rest is only counted
_TIDY_SECONDS = 10.0  # to remove its lock after SIGINT
_INSTALL = "run: apt-get install restic"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """How one call ended: its outcome, its JSON messages that matter, its complaints as text (bounded).

    `error_count` counts the JSON errors, kept or not.
    """

    outcome: Outcome
    messages: tuple[Message, ...] = ()
    errors: tuple[str, ...] = ()
    error_count: int = 0

    def of_type(self, name: str) -> Message | None:
        """The last message of this type, None when there was none."""
        return next((message for message in reversed(self.messages) if message.get("message_type") == name), None)

    def why(self) -> str:
        """The line that says most: restic's last word, else its first complaint."""
        fatal = [line for line in self.errors if line.startswith("Fatal")]
        return (fatal or list(self.errors[:1]) or [f"restic ended as {self.outcome} without a word"])[0]


class Restic:
    """restic on one repository of this machine, for one job."""

    def __init__(self, job: Job, setting: Setting) -> None:
        self._setting = setting
        self.folder = _folder(job.repository)
        if PASSWORD_FILE not in setting.environment:
            raise InputError("no password for the repository", hint=f"name its file in {PASSWORD_FILE}")
        self._environment = {
            **local.PLAIN,
            **setting.environment,
            "RESTIC_REPOSITORY": str(self.folder),
            "RESTIC_CACHE_DIR": str(cache_folder(job)),
            "RESTIC_PROGRESS_FPS": "2",
        }
        self.version = self._version()

    def call(self, *arguments: str, hear: Callable[[str], None] | None = None) -> Ended:
        """Run one command; `hear` gets its stdout line by line.

        When the repository is locked by a process of this machine that is dead, the lock is removed, once.
        """
        ended = self._once(arguments, hear)
        if ended.outcome is not Outcome.LOCKED or not _is_orphan("\n".join(ended.errors)):
            return ended
        self._once(["unlock"], None)  # removes by restic's own rule: dead here, or not refreshed for 30 minutes
        return self._once(arguments, hear)

    def ask(self, *arguments: str) -> tuple[Ended, str]:
        """Run one command that answers with one JSON document, whole; without a lock, for it only reads."""
        listener = _Listener(None)
        argv = ["restic", *arguments, "--json", "--no-lock"]
        done = local.run(argv, deadline=self._setting.deadline, env=self._environment, limit_bytes=_ANSWER_BYTES)
        for line in done.stderr.splitlines():
            listener.complain(line)
        return listener.ended(self.version, done), done.stdout

    def _once(self, arguments: Sequence[str], hear: Callable[[str], None] | None) -> Ended:
        listener = _Listener(hear)
        done = local.stream(
            ["restic", *arguments],
            deadline=self._setting.deadline,
            hear=listener.hear,
            complain=listener.complain,
            env=self._environment,
            grace_seconds=_TIDY_SECONDS,
        )
        return listener.ended(self.version, done)

    def _version(self) -> Version:
        deadline = Deadline.after(self._setting.deadline.clock, min(30.0, self._setting.deadline.remaining_seconds()))
        try:
            done = local.run(["restic", "version"], deadline=deadline, env=self._environment)
        except ToolError as error:
            raise ToolError(str(error), hint=_INSTALL) from error
        if done.timed_out:
            raise TimeoutError
        return parse_version(done.stdout)


def parse_version(text: str) -> Version:
    """The version out of `restic version`; ToolError when it is none, or older than we know restic to work."""
    found = _VERSION.search(text)
    if found is None:
        raise ToolError(f"`restic version` does not name a version: {text[:80]!r}", hint=_INSTALL)
    version = (int(found[1]), int(found[2]), int(found[3]))
    if version < outcomes.OLDEST:
        needed = ".".join(map(str, outcomes.OLDEST))
        raise ToolError(f"restic {found[0].split()[1]} is too old: {needed} or newer is needed", hint=_INSTALL)
    return version


def cache_folder(job: Job) -> Path:
    """Where restic keeps what it knows of repositories; may be deleted at any time."""
    return Path(job.state) / "restic-cache"


class _Listener:
    """Hears one call: keeps messages and complaints within bounds, counts the rest, knows when to give up."""

    def __init__(self, hear: Callable[[str], None] | None) -> None:
        self._hear = hear
        self._messages: list[Message] = []
        self._plain: list[str] = []
        self._errors = self._retries = 0

    def hear(self, line: str) -> bool:
        """One line of stdout."""
        if self._hear is not None:
            self._hear(line)
        if '"message_type":"summary"' in line and (message := outcomes.read_message(line)) is not None:
            self._messages.append(message)
        return True

    def complain(self, line: str) -> bool:
        """One line of stderr; False when nothing better can come."""
        message = outcomes.read_message(line)
        if message is None:
            self._plain = [*self._plain[: _KEPT // 2], *self._plain[_KEPT // 2 :][-_KEPT // 2 :], line]
        elif message.get("message_type") != "error":
            self._messages.append(message)
        else:
            self._errors += 1
            self._messages += [message] if self._errors <= _KEPT else []
        self._retries += _RETRY.search(line) is not None
        return self._retries < _RETRIES

    def ended(self, version: Version, done: local.Completed) -> Ended:
        """What it comes to."""
        stderr = "\n".join(self._plain)
        outcome = outcomes.classify(version, done.exit_code, stderr, self._messages)
        if self._retries >= _RETRIES:
            outcome = Outcome.DAMAGED
        elif done.timed_out:
            outcome = Outcome.TIMEOUT
        errors = outcomes.error_lines(stderr, self._messages)
        return Ended(outcome=outcome, messages=tuple(self._messages), errors=errors, error_count=self._errors)


def _is_orphan(words: str) -> bool:
    """Whether the lock's holder was a process of this machine and is no more (in another PID namespace we cannot know)."""
    found = _HOLDER.search(words)
    if found is None or found[2] != socket.gethostname():
        return False
    try:
        os.kill(int(found[1]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _folder(repository: str) -> Path:
    if not repository.startswith("/"):
        raise InputError(f"{repository!r} is no folder of this machine", hint="write an absolute path as the url")
    return Path(os.path.normpath(repository))
