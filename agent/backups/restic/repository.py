"""Makes a repository at its first use, and only then: a repository that vanished is not replaced."""

from collections.abc import Callable
from pathlib import Path

from agent.backups import Job, Outcome
from agent.backups.restic.command import Ended, Feeding, Restic


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
    """Make the repository, with these options of restic's init, unless there is one or was one."""
    refusal = _refusal(restic, job)
    if refusal is not None:
        return refusal
    made = restic.call("init", *options)
    if made.outcome is Outcome.OK:
        remember(restic, job)
    return made


def _refusal(restic: Restic, job: Job) -> Ended | None:
    """Why no repository may be founded here; None when it may."""
    mark = _mark(restic, job)
    if mark.exists():
        line = f"the repository in {restic.place} was there before and is gone; if that is meant: rm {mark}"
        return Ended(outcome=Outcome.MISSING_REPOSITORY, errors=(line,))
    return None if restic.folder is None else _occupied(restic.folder)


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
        return Ended(outcome=Outcome.DAMAGED, errors=(f"{folder} holds a repository without its file `config`",))
    if holds:
        line = f"{folder} holds other things and no repository: name an empty folder"
        return Ended(outcome=Outcome.MISSING_REPOSITORY, errors=(line,))
    return None


def remember(restic: Restic, job: Job) -> None:
    """Note that it is there: should it vanish, no other is made in its place."""
    mark = _mark(restic, job)
    if not mark.exists():
        mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mark.write_text(f"{restic.place}\n", encoding="utf-8", errors="surrogateescape")


def _mark(restic: Restic, job: Job) -> Path:
    return Path(job.state) / "repositories" / restic.digest
