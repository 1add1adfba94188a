"""Numbers for people: INC0000042, without gaps or repeats, counted in the transaction that uses them."""

from sqlalchemy.dialects.sqlite import insert

from agent.store.tables import counters
from agent.store.tx import Tx

_NEXT = (
    insert(counters)
    .values(value=1)
    .on_conflict_do_update(index_elements=[counters.c.prefix], set_={"value": counters.c.value + 1})
    .returning(counters.c.value)
)


def next_number(tx: Tx, prefix: str) -> str:
    """The next number under a prefix, from 1."""
    value = tx.connection.execute(_NEXT, {"prefix": prefix}).scalar_one()
    return f"{prefix}{value:07d}"
