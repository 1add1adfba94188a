"""A message that must leave: one incident event for one sink, at least once, under one key."""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any


class Delivery(enum.StrEnum):
    """How an attempt to deliver ended."""

    DELIVERED = "delivered"
    RETRY = "retry"
    REFUSED = "refused"  # the other side will never take it


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One row of the outbox. `payload` is the JSON document; `order_key` (the incident) is delivered in order."""

    id: str
    sink: str
    key: str  # idempotency key: hash(correlation_id, episode, revision, sink, verb)
    order_key: str
    payload: Mapping[str, Any]
    created_at_us: int
    attempts: int = 0
    next_at_us: int = 0
    last_error: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Delivered:
    """What a sink says of one attempt."""

    outcome: Delivery
    detail: str = ""
    retry_after_seconds: float | None = None
