"""The history of configurations: a bare git repository in the state folder, one file per device, written by git itself.

Every file of a commit but the one that changed is taken over from the commit before: a device that is away, or was
never asked, keeps its file. A commit is there whole or not at all, for only its last step names it.
"""

import contextlib
import dataclasses
import fcntl
import logging
import os
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from agent.clock import MICROSECONDS, Clock, Deadline
from agent.errors import InputError, ToolError
from agent.transports import local

logger = logging.getLogger(__name__)
FOLDER = "configs.git"
BRANCH = "refs/heads/main"
_LOCK = "watchkeeper.lock"
_SUFFIX = ".cfg"
_MOST_BYTES = 64_000_000
_STALE_SECONDS = 60.0  # git holds a lock of a reference for milliseconds
_CALL_SECONDS = 60.0
_NOTHING = "0" * 40
_WHO = "watchkeeper"
_BACKUP, _EXECUTION = "Backup: ", "Execution: "
_PATCH = ("--no-color", "--no-ext-diff", "--no-textconv", "--text")
_SETTINGS = (
    "core.hooksPath=/dev/null", "core.fsync=committed,loose-object,reference", "gc.autoDetach=false",
    "core.quotePath=false", "i18n.logOutputEncoding=UTF-8",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """A configuration as it was kept last; `content` is git's name for its text."""

    content: str
    text: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """One change of one device's file: so many lines came and went. `at_us` µs UTC; `message` was written with it."""

    id: str
    at_us: int
    message: str
    added: int = 0
    removed: int = 0

    @property
    def reason(self) -> str:
        """Why the device was read then."""
        lines = [line for line in self.message.splitlines() if line]
        return lines[1] if len(lines) > 1 else self.message

    @property
    def exec_id(self) -> str:
        """The execution that made it, "" for another's commit."""
        return self._trailer(_EXECUTION)

    @property
    def item(self) -> str:
        """The backup that it belongs to."""
        return self._trailer(_BACKUP)

    def _trailer(self, name: str) -> str:
        return next((line.removeprefix(name) for line in self.message.splitlines() if line.startswith(name)), "")


def message_of(host: str, *, what: str, why: str, item: str, exec_id: str) -> str:
    """What is written with a commit."""
    return f"{host}: {what}\n\n{why}\n\n{_BACKUP}{item}\n{_EXECUTION}{exec_id}\n"


class History:
    """The repository under a state folder; made at the first commit."""

    def __init__(self, state: Path, clock: Clock) -> None:
        self.folder = state / FOLDER
        self._clock = clock

    def exists(self) -> bool:
        """Whether anything was ever kept."""
        return (self.folder / "HEAD").exists()

    def last(self, host: str) -> Kept | None:
        """What was kept last of a host; None when nothing was."""
        return self._blob(f"{BRANCH}:{file_of(host)}") if self.exists() else None

    def text_at(self, host: str, commit: str) -> str:
        """A host's configuration as of a commit."""
        kept = self._blob(f"{commit}:{file_of(host)}")
        if kept is None:
            raise InputError(f"{host} has no configuration in {commit}", hint=f"watchkeeper config history {host}")
        return kept.text

    def commits(self, host: str, limit: int | None = None) -> list[Commit]:
        """The changes of a host's configuration, the newest first."""
        if not self.exists() or not self._tip():
            return []
        bound = [f"--max-count={limit}"] if limit else []
        shape = "--format=%x1e%H%x1f%ct%x1f%B%x1f"
        said = self._git("log", *bound, shape, "--numstat", "--text", "--no-renames", BRANCH, "--", file_of(host))
        return [_commit(record) for record in said.split("\x1e") if record.strip()]

    def hosts(self) -> list[str]:
        """The hosts of which a configuration is kept."""
        if not self.exists() or not (tip := self._tip()):
            return []
        names = self._git("ls-tree", "-z", "--name-only", tip).split("\0")
        return sorted(urllib.parse.unquote(name.removesuffix(_SUFFIX)) for name in names if name)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only one who writes, until the block or the process ends."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(number, fcntl.LOCK_EX)
            if not self.exists():
                self._git("init", "--quiet", "--bare", "--initial-branch=main")
            yield
        finally:
            os.close(number)

    def commit(self, host: str, text: str, message: str) -> Commit:
        """Keep a new text of a host, durably; within `writing`."""
        blob = self._git("hash-object", "-w", "--stdin", stdin=text).strip()
        tip = self._tip()
        tree = self._git("mktree", "-z", stdin=self._entries(tip, file_of(host), blob)).strip()
        seconds = self._clock.now() // MICROSECONDS
        parents = ["-p", tip] if tip else []
        made = self._git("commit-tree", tree, *parents, "-F", "-", stdin=message, dated=f"{seconds} +0000").strip()
        self._clear_stale()
        self._git("update-ref", BRANCH, made, tip or _NOTHING)
        self._tidy()
        return Commit(id=made, at_us=seconds * MICROSECONDS, message=message)

    def difference(self, old: str, new: str, host: str) -> str:
        """What changed in a host's file between two commits, as a patch with three lines around each change."""
        return self._git("diff", *_PATCH, "--unified=3", old, new, "--", file_of(host))

    def compared(self, old: str, new: str) -> str:
        """What changed from one text to another, as a patch of the changed lines alone."""
        blobs = [self._git("hash-object", "-w", "--stdin", stdin=text).strip() for text in (old, new)]
        return self._git("diff", *_PATCH, "--unified=0", *blobs)

    def examine(self) -> str:
        """What git finds wrong with all it has; "" when nothing is."""
        try:
            self._git("fsck", "--strict", "--no-dangling", "--no-progress")
        except ToolError as error:
            return str(error)
        return ""

    def resolve(self, host: str, name: str) -> str:
        """The commit of a host that a person means by its beginning."""
        found = [one.id for one in self.commits(host) if one.id.startswith(name.lower())]
        if len(found) != 1 or not name:
            what = "is the beginning of several" if found else "is none"
            raise InputError(
                f"{name!r} {what} of the commits of {host}", hint=f"see them: watchkeeper config history {host}"
            )
        return found[0]

    def _tidy(self) -> None:
        """Pack what has become many files. What was kept is kept, whatever comes of this; the next one tries again."""
        try:
            self._git("gc", "--auto", "--quiet")
        except ToolError as error:
            logger.warning("%s; it only takes more room until that works", error)

    def _entries(self, tip: str, name: str, blob: str) -> str:
        listed = self._git("ls-tree", "-z", tip).split("\0") if tip else []
        others = [line for line in listed if line and line.partition("\t")[2] != name]
        return "".join(f"{line}\0" for line in [*others, f"100644 blob {blob}\t{name}"])

    def _tip(self) -> str:
        return self._git("for-each-ref", "--format=%(objectname)", BRANCH).strip()

    def _blob(self, name: str) -> Kept | None:
        head, _, rest = self._git("cat-file", "--batch", stdin=f"{name}\n").partition("\n")
        parts = head.split(" ")
        if len(parts) != 3 or parts[1] != "blob":
            return None
        return Kept(content=parts[0], text=rest.removesuffix("\n"))

    def _clear_stale(self) -> None:
        """What a killed git left: nobody else writes here, so a lock that is minutes old is nobody's."""
        for lock in (self.folder / f"{BRANCH}.lock", self.folder / "HEAD.lock", self.folder / "packed-refs.lock"):
            with contextlib.suppress(FileNotFoundError):
                if self._clock.now() / MICROSECONDS - lock.stat().st_mtime > _STALE_SECONDS:
                    lock.unlink()

    def _git(self, *arguments: str, stdin: str = "", dated: str = "") -> str:
        ended = local.run(
            ["git", *_switches(self.folder), *arguments], deadline=Deadline.after(self._clock, _CALL_SECONDS),
            stdin=stdin.encode(), env=_environment(self.folder, dated), limit_bytes=_MOST_BYTES,
        )  # fmt: skip
        if ended.exit_code or ended.truncated:
            said = ended.stderr.strip().partition("\n")[0] or f"exit code {ended.exit_code}"
            raise ToolError(
                f"git {arguments[0]} failed on the history of configurations: {said}",
                hint=f"look at it: git -C {self.folder} fsck",
            )
        return ended.stdout


def file_of(host: str) -> str:
    """The name of a host's file; a name with odd characters stays one file in this folder."""
    return urllib.parse.quote(host, safe="") + _SUFFIX


def _switches(folder: Path) -> Sequence[str]:
    return [word for one in (*_SETTINGS, f"safe.directory={folder}") for word in ("-c", one)]


def _environment(folder: Path, dated: str) -> Mapping[str, str]:
    told = (("NAME", _WHO), ("EMAIL", f"{_WHO}@localhost"), ("DATE", dated))
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in told if value}
    return {**local.PLAIN, **who, "GIT_DIR": str(folder), "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}


def _commit(record: str) -> Commit:
    name, seconds, message, numbers = record.split("\x1f", 3)
    added, removed, *_ = [*numbers.split(), "0", "0"]
    return Commit(
        id=name, at_us=int(seconds) * MICROSECONDS, message=message.strip(), added=int(added), removed=int(removed)
    )
