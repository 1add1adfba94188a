"""The outbox, on real SQLite: one message per key, in order per incident, settled once."""

import dataclasses

import pytest

from agent.clock import SystemClock
from agent.errors import StoreError
from agent.model.outbox import Message
from agent.store import (
    outbox,
)
from agent.store.outbox import MessageState
from agent.store.tx import Tx

CLOCK = SystemClock()


def message(number: int, *, sink: str = "log", order_key: str = "INC1", next_at_us: int = 0) -> Message:
    return Message(
        id=f"id{number}", sink=sink, key=f"key{number}", order_key=order_key, payload={"n": number},
        created_at_us=100 + number, next_at_us=next_at_us,
    )  # fmt: skip


def due(tx: Tx, now_us: int = 1_000) -> list[str]:
    return [one.id for one in outbox.due(tx, now_us, 10)]


def test_a_message_of_the_same_key_is_taken_once(tx: Tx) -> None:
    assert outbox.add(tx, message(1))
    assert not outbox.add(tx, dataclasses.replace(message(1), id="another"))
    assert outbox.due(tx, 0, 10) == [message(1)]
    outbox.delivered(tx, "id1")
    assert not outbox.add(tx, dataclasses.replace(message(1), id="another"))
    assert due(tx) == []


def test_messages_of_one_incident_leave_in_order_and_do_not_hold_up_others(tx: Tx) -> None:
    for one in (message(3), message(2), message(4, sink="hook"), message(1, order_key="INC2")):
        outbox.add(tx, one)
    assert due(tx) == ["id3", "id4", "id1"]
    outbox.postpone(tx, "id3", 5_000, "timed out")
    assert due(tx) == ["id4", "id1"], "the next of INC1 must not overtake the postponed one"
    assert outbox.due(tx, 5_000, 1) == [
        dataclasses.replace(message(3), attempts=1, next_at_us=5_000, last_error="timed out")
    ]
    outbox.delivered(tx, "id3")
    assert due(tx) == ["id2", "id4", "id1"]


def test_a_message_given_up_no_longer_blocks_and_is_counted(tx: Tx) -> None:
    for number in (1, 2, 3):
        outbox.add(tx, message(number))
    assert outbox.oldest_waiting_us(tx) == 101
    outbox.dead(tx, "id1", "refused")
    outbox.delivered(tx, "id2")
    assert due(tx) == ["id3"]
    assert outbox.counts(tx) == {MessageState.WAITING: 1, MessageState.DELIVERED: 1, MessageState.DEAD: 1}
    assert outbox.oldest_waiting_us(tx) == 103


def test_what_was_delivered_long_ago_is_dropped_and_what_waits_or_was_given_up_stays(tx: Tx) -> None:
    """Each is a document of two kilobytes, and nobody ever reads it again."""
    for number in (1, 2, 3):
        outbox.add(tx, message(number))
    outbox.delivered(tx, "id1")
    outbox.dead(tx, "id2", "refused")
    assert outbox.forget_delivered(tx, CLOCK.now() - 60_000_000) == 0
    assert outbox.forget_delivered(tx, CLOCK.now() + 60_000_000) == 1
    assert outbox.counts(tx) == {MessageState.WAITING: 1, MessageState.DELIVERED: 0, MessageState.DEAD: 1}


def test_a_message_is_settled_once(tx: Tx) -> None:
    outbox.add(tx, message(1))
    outbox.delivered(tx, "id1")
    with pytest.raises(StoreError, match="no message id1 waits"):
        outbox.dead(tx, "id1", "late")
    with pytest.raises(StoreError, match="no message"):
        outbox.postpone(tx, "id1", 1, "late")


def test_an_empty_outbox_counts_nothing(tx: Tx) -> None:
    assert set(outbox.counts(tx).values()) == {0}
    assert outbox.oldest_waiting_us(tx) is None
