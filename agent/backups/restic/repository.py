"""Makes a repository at its first use, and only then: a repository that vanished is not replaced."""

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from agent.backups import Job, Outcome
from agent.backups.restic import locks
from agent.backups.restic.command import Ended, Feeding, Restic
from agent.clock import Deadline

_LAYOUT = frozenset({"data", "index", "keys", "locks", "snapshots"})  # the folders that an init makes
_KEY = re.compile(r"[0-9a-f]{64}")
_PAUSE_SECONDS = 0.1


def call_or_found(
    restic: Restic, job: Job, *arguments: str, hear: Callable[[str], None], feed: Feeding | None = None
) -> Ended:
    """Call restic; where there is no repository and never was one, found it and call again."""
    ended = restic.call(*arguments, hear=hear, feed=feed)
    if ended.outcome is Outcome.MISSING_REPOSITORY:
        made = found(restic, job)
        if made.outcome is not Outcome.OK:
            return made
        ended = restic.call(*arguments, hear=hear, feed=feed)
    if ended.outcome in {Outcome.OK, Outcome.PARTIAL}:
        remember(restic, job)
    return ended


def found(restic: Restic, job: Job, *options: str) -> Ended:
    """Make the repository, with these options of restic's init, unless there is one or was one.

    One job at a time: two of restic's inits beside each other make one that nobody can open. TimeoutError when the
    other one does not come to its end.
    """
    mark = _mark(restic, job)
    if mark.exists():
        line = f"the repository in {restic.place} was there before and is gone; if that is meant: rm {mark}"
        return Ended(outcome=Outcome.MISSING_REPOSITORY, errors=(line,))
    with _alone(mark, restic.deadline):
        if mark.exists():
            return Ended(outcome=Outcome.OK)  # somebody was quicker
        refusal = restic.clear_unfinished() if restic.folder is None else _occupied(restic.folder)
        if refusal is not None:
            return refusal
        made = restic.call("init", *options)
        if any("already contains keys" in line for line in made.errors):
            line = f"an earlier attempt to make the repository in {restic.place} was cut short: remove what lies in its keys/"
            return Ended(outcome=made.outcome, errors=(line, *made.errors))
        if made.outcome is Outcome.OK:
            remember(restic, job)
        return made


@contextlib.contextmanager
def _alone(mark: Path, deadline: Deadline) -> Iterator[None]:
    mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(mark.with_name(f"{mark.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if deadline.is_over():
                    raise TimeoutError from None
                locks.wait(_PAUSE_SECONDS)
        yield
    finally:
        os.close(handle)


def _occupied(folder: Path) -> Ended | None:
    """Why no repository may be founded in this folder; restic itself looks at what it can see of remote ones."""
    if (folder.parent / "config").is_file() and (folder.parent / "keys").is_dir():
        line = f"{folder.parent} is a repository itself: say per_host: false, or name another folder"
        return Ended(outcome=Outcome.MISSING_REPOSITORY, errors=(line,))
    try:
        holds = {one.name for one in folder.iterdir()} - {"lost+found"}
    except FileNotFoundError:
        return None
    except OSError as error:
        return Ended(outcome=Outcome.FAILED, errors=(f"{folder} cannot be read: {error.strerror}",))
    if {"data", "keys", "snapshots", "index"} & holds:
        if holds <= _LAYOUT and (keys := _all_there_is(folder)) is not None:
            for key in keys:  # it opens with the same password, and then nothing that the next init writes
                key.unlink()
            return None
        return Ended(outcome=Outcome.DAMAGED, errors=(f"{folder} holds a repository without its file `config`",))
    if holds:
        line = f"{folder} holds other things and no repository: name an empty folder"
        return Ended(outcome=Outcome.MISSING_REPOSITORY, errors=(line,))
    return None


def _all_there_is(folder: Path) -> list[Path] | None:
    """The keys that an init left that was killed; None when there is anything else, for then it may be a repository."""
    keys = []
    for path in folder.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            continue
        if path.parent != folder / "keys" or not _is_key(path):
            return None
        keys.append(path)
    return keys


def _is_key(path: Path) -> bool:
    """Whether this is a key of restic's."""
    if _KEY.fullmatch(path.name) is None or path.is_symlink():
        return False
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(told, dict) and {"kdf", "salt", "data"} <= told.keys()


def remember(restic: Restic, job: Job) -> None:
    """Note that it is there: should it vanish, no other is made in its place."""
    mark = _mark(restic, job)
    if not mark.exists():
        mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mark.write_text(f"{restic.place}\n", encoding="utf-8", errors="surrogateescape")


def _mark(restic: Restic, job: Job) -> Path:
    return Path(job.state) / "repositories" / restic.digest
