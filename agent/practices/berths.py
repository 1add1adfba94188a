"""Which backups may run beside each other: one per host, so many per repository, so many in all."""

import dataclasses
import itertools
from collections.abc import Collection

SAVING, REPOSITORY, ALL = "saving:", "repository:", "backups"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """Who wants to work: on which host ("" for none), on which repository ("" for none), beside how many others.

    `unhindered`: a person waits for it, and only the host counts.
    """

    host: str
    repository: str
    at_once: int
    everywhere: int
    unhindered: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Full:
    """There is no room, and where not."""

    why: str


def choose(wish: Wish, held: Collection[str]) -> tuple[str, ...] | Full:
    """The names to take, all of them together, when these are held already; or where there is no room."""
    names = [SAVING + wish.host] if wish.host else []
    if names and names[0] in held:
        return Full(why=f"another job works on {wish.host}")
    work = f"{REPOSITORY}{wish.repository}"
    upkeep = {work, f"{work}@{wish.host}"} & set(held)  # whoever changes a repository holds its very name
    if wish.repository and upkeep:
        return Full(why=f"{upkeep.pop()} is being looked after")
    if wish.repository and wish.host:
        names.append(f"{work}@{wish.host}#1")
    if wish.unhindered:
        return tuple(names)
    free = _free(ALL, wish.everywhere, held)
    if free is None:
        return Full(why=f"{wish.everywhere} jobs run, which is as many as may")
    names.append(free)
    if wish.repository:
        free = _free(work, wish.at_once, held)
        if free is None:
            return Full(why=f"repository {wish.repository} has no room for another job")
        names.append(free)
    return tuple(names)


def _free(group: str, at_most: int, held: Collection[str]) -> str | None:
    """The first free place of a group; those above `at_most`, from before it was lowered, count as well."""
    if _taken(group, held) >= at_most:
        return None
    return next(name for name in (f"{group}#{number}" for number in itertools.count(1)) if name not in held)


def _taken(group: str, held: Collection[str]) -> int:
    return sum(name.startswith(f"{group}#") for name in held)
