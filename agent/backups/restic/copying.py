"""Copies snapshots into a second repository, founded for it, and holds both lists against each other afterwards."""

import dataclasses
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

from agent.backups import PASSWORD_FILE, REPOSITORY_FILE, SSH_KEY_FILE, Job, Outcome, Setting
from agent.backups.restic import forget, locks, repository
from agent.backups.restic.command import Ended, Restic
from agent.backups.restic.reach import reach
from agent.model.upkeep import Saved

# The variables of the repository that is copied from; credentials for S3 are those of both.
FROM: Mapping[str, str] = MappingProxyType(
    {
        PASSWORD_FILE: "RESTIC_FROM_PASSWORD_FILE",
        REPOSITORY_FILE: "RESTIC_FROM_REPOSITORY_FILE",
        SSH_KEY_FILE: "WATCHKEEPER_FROM_SSH_KEY",
    }
)
_INDEX = re.compile(r"<index/([0-9a-f]{8,64})")
_WHOSE = {True: "the first repository", False: "the second repository"}
AT_ONCE = 200  # snapshots per call: what was copied before a kill needs not be copied again


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Copied:
    """How it went. `there` are the originals that the second repository holds now, equal by their trees.

    `of_first`: what went wrong is the first repository's fault.
    """

    outcome: Outcome
    why: str = ""
    there: tuple[str, ...] = ()
    fresh: int = 0
    unlike: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()  # neither here nor there: removed, or never in the first one
    of_first: bool = False


def source_setting(setting: Setting) -> Setting:
    """The setting for the repository that is copied from: its secrets stand beside those of the other."""
    names = {name: setting.environment[ours] for name, ours in FROM.items() if ours in setting.environment}
    both = {name: value for name, value in _own(setting).environment.items() if name not in FROM}
    return dataclasses.replace(setting, environment={**both, **names})


def copy(job: Job, source_job: Job, setting: Setting, wanted: Sequence[str]) -> Copied:
    """Bring the wanted snapshots (ids of the first repository) into the job's, where they are not there yet.

    Both must open. Afterwards each must be there, with the tree that it has in the first one.
    """
    source, target = Restic(source_job, source_setting(setting)), Restic(job, _own(setting))
    ended, here = forget.everything(source)
    if ended.outcome is not Outcome.OK:
        return Copied(outcome=ended.outcome, why=f"{_WHOSE[True]}: {ended.why()}", of_first=True)
    options = _from(source_job, setting)
    ended, there = _listed_or_founded(target, job, options)
    if ended.outcome is not Outcome.OK:
        return Copied(outcome=ended.outcome, why=f"{_WHOSE[False]}: {ended.why()}")
    trees = {one.id: one.tree for one in here if one.id in set(wanted)}
    missing = [id_ for id_ in wanted if id_ in trees and id_ not in _originals(there, trees)]
    for begin in range(0, len(missing), AT_ONCE):
        ended = target.call("copy", *options, *missing[begin : begin + AT_ONCE], beside=source)
        if ended.outcome is not Outcome.OK:
            return _failed(ended, source)
    if missing:
        ended, there = forget.everything(target)
    return _compared(ended, there, trees, wanted, len(missing))


def _failed(ended: Ended, source: Restic) -> Copied:
    """Why a copy failed, and whose fault damage is: content is read from the first repository alone, indexes from both."""
    if ended.outcome is not Outcome.DAMAGED:
        return Copied(outcome=ended.outcome, why=ended.why())
    named = {found for line in ended.errors for found in _INDEX.findall(line)}
    listed = locks.ids(source.ask("list", "index")[1]) if named else ()
    of_first = not named or any(one.startswith(begin) for one in listed for begin in named)
    return Copied(outcome=ended.outcome, why=f"{_WHOSE[of_first]}: {ended.why()}", of_first=of_first)


def _compared(ended: Ended, there: Iterable[Saved], trees: dict[str, str], wanted: Sequence[str], fresh: int) -> Copied:
    if ended.outcome is not Outcome.OK:
        return Copied(outcome=ended.outcome, why=f"copied, but not listed: {ended.why()}")
    equal = _originals(there, trees)
    unlike = tuple(id_ for id_ in trees if id_ not in equal)
    absent = tuple(id_ for id_ in wanted if id_ not in trees)
    return Copied(
        outcome=Outcome.DAMAGED if unlike else Outcome.OK,
        why="" if not unlike else f"{len(unlike)} snapshots are not what they are in the first repository",
        there=tuple(id_ for id_ in wanted if id_ in equal),
        fresh=fresh,
        unlike=unlike,
        absent=absent,
    )


def _originals(there: Iterable[Saved], trees: dict[str, str]) -> Collection[str]:
    """Those that are there with the same content."""
    return {one.original for one in there if one.tree and trees.get(one.original) == one.tree}


def _own(setting: Setting) -> Setting:
    environment = {name: value for name, value in setting.environment.items() if name not in FROM.values()}
    return dataclasses.replace(setting, environment=environment)


def _from(source_job: Job, setting: Setting) -> tuple[str, ...]:
    """What restic needs to know of the repository that it copies from (0.14 has these flags as well)."""
    found = reach(source_job, source_setting(setting))
    url = setting.environment.get(FROM[REPOSITORY_FILE])
    where = f"--from-repository-file={url}" if url else f"--from-repo={found.location.text}"
    ssh = [word for word in found.options if word == "-o" or word.startswith("sftp.command=")]
    return (where, f"--from-password-file={setting.environment[FROM[PASSWORD_FILE]]}", *ssh)


def _listed_or_founded(target: Restic, job: Job, options: Sequence[str]) -> tuple[Ended, tuple[Saved, ...]]:
    """The list of the second repository; where there never was one, it is founded, cutting files as the first does."""
    ended, there = forget.everything(target)
    if ended.outcome is Outcome.OK:
        repository.remember(target, job)
    if ended.outcome is not Outcome.MISSING_REPOSITORY:
        return ended, there
    founded = repository.found(target, job, "--copy-chunker-params", *options)
    return (founded, ()) if founded.outcome is not Outcome.OK else forget.everything(target)
