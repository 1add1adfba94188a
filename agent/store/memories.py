"""What looks left for the next look at the same thing, for a restart; as text that only the probe itself understands."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.sqlite import insert

from agent.store.tables import memories
from agent.store.tx import Reader, Tx, reading


class Row(NamedTuple):
    """What a look at `key` left; `digest` is of what was asked, `boot_id` and `at_us` say when it was written down."""

    key: str
    digest: str
    boot_id: str
    at_us: int
    document: str


_UPSERT = insert(memories)
_UPSERT = _UPSERT.on_conflict_do_update(
    index_elements=[memories.c.key],
    set_={name: _UPSERT.excluded[name] for name in ("digest", "boot_id", "at_us", "document")},
)
_ONE = select(memories).where(memories.c.key == bindparam("at_key"))
_FORGET = delete(memories).where(memories.c.key == bindparam("at_key"))


def write(tx: Tx, rows: Iterable[Row]) -> None:
    """Keep these, each in place of what there was of its key."""
    values = [row._asdict() for row in rows]
    if values:
        tx.connection.execute(_UPSERT, values)


def read(reader: Reader) -> dict[str, Row]:
    """All that is kept, by key."""
    return {row.key: Row(*row) for row in reading(reader).execute(select(memories))}


def get(reader: Reader, key: str) -> Row | None:
    """What is kept of one key; None when nothing is."""
    found = reading(reader).execute(_ONE, {"at_key": key}).one_or_none()
    return None if found is None else Row(*found)


def forget(tx: Tx, keys: Collection[str]) -> None:
    """Drop what was kept of keys that no policy names any more."""
    if keys:
        tx.connection.execute(_FORGET, [{"at_key": key} for key in keys])
