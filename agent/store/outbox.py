"""The outbox: messages written down with the change they tell of, and kept until their sink has them."""

import enum
from collections.abc import Mapping
from typing import Any

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from agent.errors import StoreError
from agent.model.outbox import Message
from agent.store.canonical import clean, dumps, loads
from agent.store.tables import outbox
from agent.store.tx import Reader, Tx, reading


class MessageState(enum.StrEnum):
    """Where a message stands."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"  # given up; nothing waits behind it any more


_FORGET = delete(outbox).where(
    outbox.c.state == str(MessageState.DELIVERED), outbox.c.ended_at_us < bindparam("before_us")
)
_WAITING = outbox.c.state == str(MessageState.WAITING)
_ADD = insert(outbox).on_conflict_do_nothing(index_elements=[outbox.c.key])
_earlier = outbox.alias("earlier")
_DUE = (
    select(outbox)
    .where(
        _WAITING,
        outbox.c.next_at_us <= bindparam("now_us"),
        outbox.c.seq
        == select(func.min(_earlier.c.seq))
        .where(
            _earlier.c.state == str(MessageState.WAITING),
            _earlier.c.sink == outbox.c.sink,
            _earlier.c.order_key == outbox.c.order_key,
        )
        .scalar_subquery(),
    )
    .order_by(outbox.c.seq)
    .limit(bindparam("at_most"))
)
_THIS = (outbox.c.id == bindparam("at_id"), _WAITING)
_END = (
    update(outbox)
    .where(*_THIS)
    .values(
        state=bindparam("to_state"),
        attempts=outbox.c.attempts + 1,
        last_error=bindparam("error"),
        ended_at_us=bindparam("at_us"),
    )
)
_POSTPONE = (
    update(outbox)
    .where(*_THIS)
    .values(next_at_us=bindparam("next_us"), attempts=outbox.c.attempts + 1, last_error=bindparam("error"))
)


def add(tx: Tx, message: Message) -> bool:
    """Put a message in; False when one of the same key is, or was, there."""
    row = {
        "id": message.id,
        "sink": message.sink,
        "key": message.key,
        "order_key": message.order_key,
        "payload": dumps(message.payload),
        "created_at_us": message.created_at_us,
        "attempts": message.attempts,
        "next_at_us": message.next_at_us,
        "last_error": clean(message.last_error),
        "state": str(MessageState.WAITING),
    }
    return tx.connection.execute(_ADD, row).rowcount == 1


def due(reader: Reader, now_us: int, limit: int) -> list[Message]:
    """Messages to deliver now: per sink and order key only the oldest, for the next must not overtake it."""
    rows = reading(reader).execute(_DUE, {"now_us": now_us, "at_most": limit}).mappings()
    return [_message(row) for row in rows]


def delivered(tx: Tx, message_id: str) -> None:
    """The sink has it."""
    _end(tx, message_id, MessageState.DELIVERED, "")


def dead(tx: Tx, message_id: str, error: str) -> None:
    """It will never be taken; those behind it may go."""
    _end(tx, message_id, MessageState.DEAD, error)


def postpone(tx: Tx, message_id: str, next_at_us: int, error: str) -> None:
    """The attempt failed; the next is not before `next_at_us`."""
    values = {"at_id": message_id, "next_us": next_at_us, "error": clean(error)}
    _require(tx.connection.execute(_POSTPONE, values).rowcount, message_id)


def forget_delivered(tx: Tx, before_us: int) -> int:
    """Drop what its sink has had since before a moment; how many messages. What was given up stays, to be looked at."""
    return tx.connection.execute(_FORGET, {"before_us": before_us}).rowcount


def counts(reader: Reader) -> dict[MessageState, int]:
    """How many messages stand where."""
    rows = reading(reader).execute(select(outbox.c.state, func.count()).group_by(outbox.c.state))
    found = {MessageState(state): number for state, number in rows}
    return {state: found.get(state, 0) for state in MessageState}


def oldest_waiting_us(reader: Reader) -> int | None:
    """When the oldest undelivered message was written; None when none waits."""
    oldest = reading(reader).execute(select(func.min(outbox.c.created_at_us)).where(_WAITING)).scalar_one()
    return None if oldest is None else int(oldest)


def _end(tx: Tx, message_id: str, state: MessageState, error: str) -> None:
    values = {"at_id": message_id, "to_state": str(state), "error": clean(error), "at_us": tx.clock.now()}
    _require(tx.connection.execute(_END, values).rowcount, message_id)


def _require(changed: int, message_id: str) -> None:
    if changed != 1:
        raise StoreError(f"outbox: no message {message_id} waits", hint="it was settled before; read the outbox again")


def _message(row: Mapping[Any, Any]) -> Message:
    return Message(
        id=row["id"],
        sink=row["sink"],
        key=row["key"],
        order_key=row["order_key"],
        payload=loads(row["payload"]),
        created_at_us=row["created_at_us"],
        attempts=row["attempts"],
        next_at_us=row["next_at_us"],
        last_error=row["last_error"],
    )
