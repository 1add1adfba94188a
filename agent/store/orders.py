"""Orders: what a command asks of the daemon, and what came of it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from agent.errors import StoreError
from agent.store.canonical import clean, dumps, loads
from agent.store.ids import ulid
from agent.store.tables import orders
from agent.store.tx import Reader, Tx, reading


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """One request: a verb with its arguments, by whom. Taken: the daemon works on it."""

    id: str
    verb: str
    args: Mapping[str, Any]
    actor: str
    created_at_us: int
    taken_at_us: int | None = None


_ADD = insert(orders)
_WAITING = select(orders).where(orders.c.settled_at_us.is_(None)).order_by(orders.c.seq)
_TAKE = (
    update(orders)
    .where(orders.c.id == bindparam("at_id"), orders.c.taken_at_us.is_(None))
    .values(taken_at_us=bindparam("at_us"))
)
_SETTLE = (
    update(orders)
    .where(orders.c.id == bindparam("at_id"), orders.c.settled_at_us.is_(None))
    .values(settled_at_us=bindparam("at_us"), outcome=bindparam("text"))
)
_OUTCOME = select(orders.c.outcome).where(orders.c.id == bindparam("at_id"))


def add(tx: Tx, verb: str, args: Mapping[str, Any], actor: str) -> str:
    """File a request and return its id."""
    order_id = ulid(tx.clock)
    row = {"id": order_id, "verb": verb, "args": dumps(args), "actor": clean(actor), "created_at_us": tx.clock.now()}
    tx.connection.execute(_ADD, row)
    return order_id


def waiting(reader: Reader) -> list[Order]:
    """Requests without an outcome, the oldest first; those with `taken_at_us` were begun, maybe by a daemon that died."""
    return [
        Order(
            id=row["id"],
            verb=row["verb"],
            args=loads(row["args"]),
            actor=row["actor"],
            created_at_us=row["created_at_us"],
            taken_at_us=row["taken_at_us"],
        )
        for row in reading(reader).execute(_WAITING).mappings()
    ]


def take(tx: Tx, order_id: str) -> bool:
    """Note that work on a request has begun; False when it had begun before."""
    return tx.connection.execute(_TAKE, {"at_id": order_id, "at_us": tx.clock.now()}).rowcount == 1


def settle(tx: Tx, order_id: str, outcome: Mapping[str, Any]) -> None:
    """Give a request its outcome; StoreError when it has one."""
    values = {"at_id": order_id, "at_us": tx.clock.now(), "text": dumps(outcome)}
    if tx.connection.execute(_SETTLE, values).rowcount != 1:
        raise StoreError(f"order {order_id}: it is unknown or settled", hint="read it again")


def outcome(reader: Reader, order_id: str) -> dict[str, Any] | None:
    """What came of a request; None while it waits."""
    text = reading(reader).execute(_OUTCOME, {"at_id": order_id}).scalar_one_or_none()
    return None if text is None else dict(loads(text))
