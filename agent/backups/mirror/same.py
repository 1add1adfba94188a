"""Sees at one look that nothing has changed on a target: most pulls end so, and need not read a million entries for it."""

import dataclasses
import hashlib

from agent.backups.mirror import listing
from agent.backups.mirror.listing import Item, Listing
from agent.backups.restic.wanted import Wanted


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """How many files and folders a target has."""

    files: int
    folders: int


def fingerprint(told: Listing, wanted: Wanted) -> str:
    """What was asked and what was answered, as one word: the next answer with the same one tells of no change.

    Folders above the sources change whenever anything beside these does: of them only what lasts counts.
    """
    higher = [(item.path, lasting(item)) for item in listing.items(told.heads)]
    asked = (told.sources, wanted.paths, wanted.exclude, wanted.one_file_system, higher)
    digest = hashlib.sha256(repr(asked).encode())
    digest.update(told.tree)
    return digest.hexdigest()


def above(sources: tuple[str, ...]) -> set[str]:
    """The folders above these paths, up to the top."""
    return {source[:at] or "/" for source in sources for at, sign in enumerate(source) if sign == "/"}


def lasting(item: Item) -> tuple[str, int, int, int]:
    """What of a folder does not change with what is in it: kind, mode, owner, group."""
    return item.kind, item.mode, item.uid, item.gid
