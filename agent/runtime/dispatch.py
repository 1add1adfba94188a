"""The dispatcher: what the outbox holds goes to its sinks, in order per incident, until they have it."""

import asyncio
import logging
import random
from collections.abc import Mapping
from typing import Any

from agent.clock import MICROSECONDS, Clock, Deadline
from agent.model.config import SinkSpec
from agent.model.decision import Decision, Verb
from agent.model.look import Verdict
from agent.model.outbox import Delivered, Delivery, Message
from agent.runtime.book import Book
from agent.runtime.desk import Desk
from agent.runtime.workers import Workers, guard
from agent.sinks import SinkContext
from agent.store import outbox
from agent.store.engine import Store
from agent.store.tx import Tx

logger = logging.getLogger(__name__)
DELIVERY_SECONDS = 20.0
ROUND_SECONDS = 10.0  # after which no further delivery is begun
FIRST_RETRY_SECONDS = 2.0
LONGEST_RETRY_SECONDS = 900.0
GIVE_UP_SECONDS = 86400.0
AT_ONCE = 50  # messages in one round


class Dispatcher:
    """Delivers at least once; every message carries the key by which the other side knows it again."""

    def __init__(  # noqa: PLR0913  it joins these
        self,
        *,
        store: Store,
        clock: Clock,
        book: Book,
        desk: Desk,
        workers: Workers,
        sinks: Mapping[str, type],
        context: SinkContext,
    ) -> None:
        self._store = store
        self._clock = clock
        self._book = book
        self._desk = desk
        self._workers = workers
        self._sinks: Mapping[str, Any] = sinks
        self._context = context
        self.has_waiting = True

    async def round(self) -> int:
        """Try everything that is due; how many were delivered."""
        due, self.has_waiting = await self._workers.look(self._due)
        by_sink: dict[str, list[Message]] = {}
        for message in due:
            by_sink.setdefault(message.sink, []).append(message)
        counts = await asyncio.gather(*(self._to_sink(name, messages) for name, messages in by_sink.items()))
        return sum(counts)

    def _due(self) -> tuple[list[Message], bool]:
        """What is to be told now, and whether anything waits at all."""
        with self._store.read() as reader:
            return outbox.due(reader, self._clock.now(), AT_ONCE), outbox.oldest_waiting_us(reader) is not None

    async def _to_sink(self, name: str, messages: list[Message]) -> int:
        """Deliver in order; a sink that is in trouble or slow gets its next message in the next round.

        A round must end in time, or the heartbeat takes a mute sink for an agent that hangs.
        """
        patience = Deadline.after(self._clock, ROUND_SECONDS)
        spec = next((sink for sink in self._book.policies.config.sinks if sink.name == name), None)
        done = 0
        for message in messages:
            answer = Delivered(outcome=Delivery.REFUSED, detail="this sink is no longer configured")
            if spec is not None:
                answer = await self._deliver(spec, message)
            await self._workers.write(self._settle, message, answer)
            done += answer.outcome is Delivery.DELIVERED
            if answer.outcome is Delivery.RETRY or patience.is_over():
                break
        return done

    async def _deliver(self, spec: SinkSpec, message: Message) -> Delivered:
        sink = self._sinks[spec.kind]
        deadline = Deadline.after(self._clock, DELIVERY_SECONDS)
        answer: Delivered = await guard(
            f"sink {spec.name}",
            self._workers.look(sink.deliver, message, spec.options, self._context, deadline),
            otherwise=lambda error: Delivered(outcome=Delivery.RETRY, detail=str(error) or type(error).__name__),
        )
        return answer

    def _settle(self, message: Message, answer: Delivered) -> None:
        now_us = self._clock.now()
        with self._store.write() as tx:
            if answer.outcome is Delivery.DELIVERED:
                outbox.delivered(tx, message.id)
            elif answer.outcome is Delivery.REFUSED or now_us - message.created_at_us > GIVE_UP_SECONDS * MICROSECONDS:
                logger.warning("sink %s will not get message %s: %s", message.sink, message.id, answer.detail)
                outbox.dead(tx, message.id, answer.detail)
                self._tell(tx, message, answer.detail)
            else:
                pause = answer.retry_after_seconds or retry_seconds(message.attempts)
                outbox.postpone(tx, message.id, now_us + int(pause * MICROSECONDS), answer.detail)

    def _tell(self, tx: Tx, message: Message, detail: str) -> None:
        """Whoever was not told outside is told here."""
        why = f"{message.payload.get('event')} of {message.order_key} was not delivered: {detail}"
        decided = Decision(verb=Verb.OPEN, why=why, severity=Verdict.WARNING)
        title = f"the sink {message.sink} does not take what it is told"
        self._desk.open(tx, cause=f"agent/sinks/{message.sink}@none", title=title, decided=decided)


def retry_seconds(attempts: int) -> float:
    """Doubled after each attempt, at most a quarter of an hour, with a tenth of jitter."""
    pause: float = min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2 ** min(attempts, 20))
    return pause * random.uniform(0.9, 1.1)  # noqa: S311  jitter needs no secrecy
