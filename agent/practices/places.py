"""The repositories that need upkeep: each with the backups that are made there, and those that are copied there."""

import dataclasses
from collections.abc import Collection, Iterable

from agent.model.backup import Backup, Repository
from agent.model.check import key_of
from agent.practices.berths import REPOSITORY

ITEMS = "agent/repositories/"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """One repository of restic: of a host alone where `repository.per_host` says so, else of all (`host` is None).

    `cause` is the name of its upkeep and of its incident; `saved` are the backups made there, `copied` those copied there.
    """

    cause: str
    repository: Repository
    host: str | None
    saved: tuple[Backup, ...] = ()
    copied: tuple[Backup, ...] = ()

    @property
    def backups(self) -> tuple[Backup, ...]:
        """All that it holds something of."""
        return (*self.saved, *self.copied)

    @property
    def sources(self) -> dict[str, tuple[Backup, ...]]:
        """The repositories that it is a copy of, by their causes, each with the backups that come from there."""
        found: dict[str, tuple[Backup, ...]] = {}
        for backup in self.copied:
            cause = cause_of(backup.repository, backup.host)
            found[cause] = (*found.get(cause, ()), backup)
        return found


def cause_of(repository: Repository, host: str) -> str:
    """The name of the upkeep of the repository in which backups of this host are."""
    return key_of(ITEMS + repository.name, host if repository.per_host else None)


def places(backups: Iterable[Backup]) -> dict[str, Place]:
    """Every repository that any of these backups uses, by its cause; what is kept in git has none."""
    found: dict[str, Place] = {}
    for backup in backups:
        for repository in (backup.repository, *backup.copies) if backup.repository.name else ():
            cause = cause_of(repository, backup.host)
            host = backup.host if repository.per_host else None
            place = found.get(cause) or Place(cause=cause, repository=repository, host=host)
            if repository.name == backup.repository.name:
                found[cause] = dataclasses.replace(place, saved=(*place.saved, backup))
            else:
                found[cause] = dataclasses.replace(place, copied=(*place.copied, backup))
    return found


def needs_upkeep(place: Place) -> bool:
    """Whether anything is to be done there besides saving."""
    return bool(place.repository.check or place.repository.prune or place.copied)


def claims(place: Place, source: Backup | None, held: Collection[str]) -> list[str] | None:
    """The names to hold for work on a repository, by those that are held already; None while it is taken.

    The repository for oneself alone, and one that is copied from (where `source` is) beside others: backups hold a
    numbered place below those names (berths), and take none while the name itself is held.
    """
    lock, whole = _lock(place.repository, place.host or "")
    if {lock, whole} & set(held) or any(name.startswith((f"{lock}#", f"{lock}@")) for name in held):
        return None
    if source is None:
        return [lock]
    own, first = _lock(source.repository, source.host)
    return None if {own, first} & set(held) else [lock, f"{own}#to-{place.repository.name}"]


def _lock(repository: Repository, host: str) -> tuple[str, str]:
    """The names of a repository, and of all the hosts' together."""
    whole = REPOSITORY + repository.name
    return f"{whole}@{host}" if repository.per_host else whole, whole
