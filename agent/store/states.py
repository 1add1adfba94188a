"""What `step` remembers of each check: one document per key, changed by compare-and-swap."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from agent.errors import ConflictError
from agent.store.canonical import dumps, loads
from agent.store.journal import head
from agent.store.tables import states
from agent.store.tx import Reader, Tx, reading

_INSERT = insert(states)
_UPDATE = (
    update(states)
    .where(states.c.key == bindparam("at_key"), states.c.revision == bindparam("expected"))
    .values(revision=bindparam("next"), document=bindparam("text"), at_seq=bindparam("seq"))
)
_DELETE = delete(states).where(states.c.key == bindparam("at_key"))
_ALL = select(states.c.key, states.c.revision, states.c.document)


class Saved(NamedTuple):
    """A document and the revision to name when it is saved again."""

    revision: int
    document: dict[str, Any]


def save(tx: Tx, key: str, document: Mapping[str, Any], *, revision: int) -> int:
    """Store the document over the given revision (0: there is none yet) and return the new one; else ConflictError."""
    # The number of the journal's *next* line: whoever has read up to the line before is bound to see this row,
    # whether this transaction appends before, after, or not at all.
    seq = head(tx).seq + 1
    text = dumps(document)
    if revision == 0:
        try:
            tx.connection.execute(_INSERT, {"key": key, "revision": 1, "document": text, "at_seq": seq})
        except IntegrityError as error:
            raise _conflict(key, revision) from error
        return 1
    values = {"at_key": key, "expected": revision, "next": revision + 1, "text": text, "seq": seq}
    if tx.connection.execute(_UPDATE, values).rowcount != 1:
        raise _conflict(key, revision)
    return revision + 1


def load_all(reader: Reader) -> dict[str, Saved]:
    """Every document, by key."""
    return {key: Saved(revision, loads(text)) for key, revision, text in reading(reader).execute(_ALL)}


def changed_since(reader: Reader, seq: int) -> dict[str, Saved]:
    """The documents saved since the journal's head was `seq`, by key; some already known may be among them.

    Read `journal.head` in the same snapshot: it is the `seq` for the next time.
    """
    rows = reading(reader).execute(_ALL.where(states.c.at_seq > seq))
    return {key: Saved(revision, loads(text)) for key, revision, text in rows}


def remove(tx: Tx, key: str) -> None:
    """Forget a key; nothing happens when it is not there."""
    tx.connection.execute(_DELETE, {"at_key": key})


def _conflict(key: str, revision: int) -> ConflictError:
    return ConflictError(f"{key}: its state is no longer at revision {revision}", hint="read it again")
