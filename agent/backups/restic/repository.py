"""Makes a repository at its first use, and only then: a repository that vanished is not replaced."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from agent.backups import Job, Outcome
from agent.backups.restic.command import Ended, Restic


def call_or_found(restic: Restic, job: Job, *arguments: str, hear: Callable[[str], None]) -> Ended:
    """Call restic; where there is no repository and never was one, found it and call again."""
    ended = restic.call(*arguments, hear=hear)
    if ended.outcome is Outcome.MISSING_REPOSITORY:
        refusal = _refusal(restic.folder, job)
        if refusal is not None:
            return refusal
        made = restic.call("init")
        if not (restic.folder / "config").exists():
            return made
        ended = restic.call(*arguments, hear=hear)
    if ended.outcome in {Outcome.OK, Outcome.PARTIAL}:
        _remember(restic.folder, job)
    return ended


def _refusal(folder: Path, job: Job) -> Ended | None:
    """Why no repository may be founded here; None when it may."""
    mark = _mark(folder, job)
    if mark.exists():
        line = f"the repository in {folder} was there before and is gone; if that is meant: rm {mark}"
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


def _remember(folder: Path, job: Job) -> None:
    mark = _mark(folder, job)
    if not mark.exists():
        mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mark.write_text(f"{folder}\n", encoding="utf-8", errors="surrogateescape")


def _mark(folder: Path, job: Job) -> Path:
    return Path(job.state) / "repositories" / hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
