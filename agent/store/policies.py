"""The last good policies, as read: what runs on when the files are broken, and what the next set is compared with."""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import bindparam, delete, insert, select

from agent.store.tables import policy_files, policy_sets
from agent.store.tx import Reader, Tx, reading

KEPT = 10  # generations whose files are kept; their numbers and digests stay for good


class LastGood(NamedTuple):
    """A policy set that was in force: its number, the hash of all that went in, its files by relative name."""

    generation: int
    digest: str
    files: Mapping[str, bytes]


_NEWEST = select(policy_sets.c.generation, policy_sets.c.digest).order_by(policy_sets.c.generation.desc()).limit(1)
_ADD_SET = insert(policy_sets).returning(policy_sets.c.generation)
_ADD_FILES = insert(policy_files)
_FILES = select(policy_files.c.name, policy_files.c.content).where(
    policy_files.c.generation == bindparam("at_generation")
)
_DROP_FILES = delete(policy_files).where(policy_files.c.generation <= bindparam("up_to"))


def save(tx: Tx, *, digest: str, files: Mapping[str, bytes]) -> int:
    """Keep the set now in force and return its generation: the last one when the digest is the same, else the next."""
    newest = tx.connection.execute(_NEWEST).one_or_none()
    if newest is not None and newest.digest == digest:
        return int(newest.generation)
    row = {"digest": digest, "saved_at_us": tx.clock.now()}
    generation = int(tx.connection.execute(_ADD_SET, row).scalar_one())
    if files:
        rows = [{"generation": generation, "name": name, "content": content} for name, content in files.items()]
        tx.connection.execute(_ADD_FILES, rows)
    tx.connection.execute(_DROP_FILES, {"up_to": generation - KEPT})
    return generation


def last_good(reader: Reader) -> LastGood | None:
    """The set that was in force last; None before the first."""
    connection = reading(reader)
    newest = connection.execute(_NEWEST).one_or_none()
    if newest is None:
        return None
    files = connection.execute(_FILES, {"at_generation": newest.generation})
    return LastGood(newest.generation, newest.digest, {name: bytes(content) for name, content in files})
