"""The repositories that need upkeep: each with the backups that are made there, and those that are copied there."""

import dataclasses
from collections.abc import Iterable

from agent.model.backup import Backup, Repository
from agent.model.check import key_of

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
