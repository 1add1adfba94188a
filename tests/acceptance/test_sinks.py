"""Where incidents are filed: told in order and once, whatever the other side does meanwhile."""

import asyncio
import hashlib
import hmac
import json
import socket

import pytest

from agent.app import Builder
from agent.clock import NANOSECONDS, Deadline, SystemClock
from agent.model.decision import Decision, Verb
from agent.model.outbox import Delivered, Delivery, Message
from agent.runtime.dispatch import Dispatcher
from agent.secrets import Secrets
from agent.sinks import SinkContext
from agent.store import outbox
from tests.acceptance.world import World
from tests.fakes.receiver import Received, receiving

UP = "shop/checks/up@here"
BUSY = b"HTTP/1.1 500 Internal Server Error\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_signed(request: Received, secret: str) -> bool:
    """Whether the signature is what the documentation of the webhook says."""
    at, _, given = request.headers["x-watchkeeper-signature"].removeprefix("t=").partition(",v1=")
    return given == hmac.new(secret.encode(), f"{at}.".encode() + request.body, hashlib.sha256).hexdigest()


def test_a_webhook_that_was_down_and_then_failed_hears_everything_in_order_and_once(world: World) -> None:
    """Nobody listens while the incident opens and resolves; then the first answer is a 500."""
    port = free_port()
    hook = {"webhook": {"url": f"http://127.0.0.1:{port}/in", "secret": {"secret": "hook"}}}
    world.configure(sinks={"log": {"jsonl": {"path": "var/incidents.jsonl"}}, "hook": hook})
    world.policy("shop", labels={"site": "fra", "tier": "shop"}, checks={"up": world.check(labels={"tier": "front"})})
    daemon = world.run()
    world.until(lambda: world.is_open(UP), "it is down")
    world.until(lambda: waits(world), "the first attempt failed")
    (world.host / "up").touch()
    world.until(lambda: world.is_resolved(UP), "it is up")
    world.until(lambda: len(world.filed()) == 2, "the other sink does not wait for this one")

    with receiving(port=port) as receiver:
        receiver.answers.append(BUSY)
        world.until(lambda: len(receiver.requests) == 3, "all is delivered")
        assert daemon.stop() == 0
        bodies = [json.loads(request.body) for request in receiver.requests]
        assert [body["event"] for body in bodies] == ["opened", "opened", "resolved"]
        assert {body["incident"]["number"] for body in bodies} == {"INC0000001"}
        first, again, last = receiver.keys()
        assert first == again != last
        assert all(is_signed(request, world.canary) for request in receiver.requests)
        assert {body["key"] for body in bodies} == {first, last}
        assert [body["labels"] for body in bodies] == [{"site": "fra", "tier": "front"}] * 3


def waits(world: World) -> bool:
    """Whether the hook was tried and is to be tried again."""
    with world.store.read() as reader:
        return any(one.sink == "hook" and one.attempts for one in outbox.due(reader, 2**62, 10))


class Turning(SystemClock):
    """A clock that a delivery turns forward."""

    turned_ns = 0

    def boottime(self) -> int:
        return super().boottime() + self.turned_ns


@pytest.mark.parametrize(
    ("outcome", "seconds", "rounds"),
    [(Delivery.RETRY, 20, [1, 1, 1]), (Delivery.DELIVERED, 11, [1, 1, 1, 0]), (Delivery.DELIVERED, 1, [3, 0, 0, 0])],
)
def test_a_slow_or_mute_sink_never_makes_a_round_so_long_that_the_watchdog_bites(
    world: World, outcome: Delivery, seconds: int, rounds: list[int]
) -> None:
    clock, asked = Turning(), []

    class Slow:
        """A sink whose answer takes its time."""

        @staticmethod
        def deliver(message: Message, _options: object, _context: SinkContext, _deadline: Deadline) -> Delivered:
            asked.append(message.key)
            clock.turned_ns += seconds * NANOSECONDS
            return Delivered(outcome=outcome)

    world.policy("shop", checks={"up": world.check()})
    agent = Builder(world.config).agent(migrate=True)
    try:
        with agent.store.write() as tx:
            for name in ("a", "b", "c"):
                agent.desk.open(
                    tx, cause=f"agent/test/{name}@none", title=name, decided=Decision(verb=Verb.OPEN, why="x")
                )
        context = SinkContext(secrets=Secrets(world.folder / "secrets"), name="watch-test", home=world.folder)
        dispatcher = Dispatcher(
            store=agent.store, clock=clock, book=agent.book, desk=agent.desk, workers=agent.workers,
            sinks={"jsonl": Slow}, context=context,
        )  # fmt: skip
        assert [asyncio.run(turn(dispatcher, asked)) for _ in rounds] == rounds
    finally:
        agent.close()


async def turn(dispatcher: Dispatcher, asked: list[str]) -> int:
    """How many messages one round tried."""
    before = len(asked)
    await dispatcher.round()
    return len(asked) - before
