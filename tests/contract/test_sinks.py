"""What every sink promises, asked of all that the registry finds."""

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from pydantic import ValidationError

import agent.sinks
from agent.clock import Deadline, SystemClock
from agent.closed import ClosedModel
from agent.model.outbox import Delivered, Delivery, Message
from agent.registry import scan
from agent.secrets import Secrets
from agent.sinks import FAMILY, SinkContext
from tests.fakes.receiver import Receiver, receiving

SINKS: Mapping[str, Any] = scan(agent.sinks, FAMILY)
# What an operator may write behind the sink's name; a sink without an example here fails the first test.
EXAMPLES: Mapping[str, dict[str, Any]] = MappingProxyType(
    {
        "jsonl": {"path": "var/incidents.jsonl"},
        "webhook": {"url": "http://127.0.0.1:{port}/in", "secret": {"secret": "hook"}},
    }
)
SECRET = "tell-nobody"


@pytest.fixture
def context(tmp_path: Path) -> SinkContext:
    """A home with one secret."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "hook").touch(mode=0o600)
    (folder / "hook").write_text(SECRET)
    return SinkContext(secrets=Secrets(folder), name="watch-1", home=tmp_path)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Whoever listens for a sink that goes over the network."""
    with receiving() as listening:
        yield listening


def message(key: str = "k1", /, **payload: object) -> Message:
    return Message(id="m", sink="s", key=key, order_key="i", payload={"number": "INC-1", **payload}, created_at_us=1)


def options_of(name: str, receiver: Receiver) -> ClosedModel:
    text = json.dumps(EXAMPLES[name]).replace("{port}", str(receiver.port))
    valid: ClosedModel = SINKS[name].OPTIONS.model_validate_json(text)
    return valid


def received(name: str, context: SinkContext, receiver: Receiver) -> list[dict[str, Any]]:
    """The documents that arrived, wherever this sink brings them."""
    if name == "jsonl":
        return [json.loads(line) for line in (context.home / "var/incidents.jsonl").read_text().splitlines()]
    return [json.loads(request.body) for request in receiver.requests]


@pytest.mark.parametrize("name", list(SINKS))
class TestEverySink:
    def test_has_an_example_here(self, name: str) -> None:
        assert EXAMPLES.get(name)

    def test_is_named_like_its_file(self, name: str) -> None:
        assert SINKS[name].__module__ == f"agent.sinks.{name}"

    def test_has_closed_options_that_explain_themselves(self, name: str, receiver: Receiver) -> None:
        model = SINKS[name].OPTIONS
        with pytest.raises(ValidationError, match="extra_forbidden"):
            model.model_validate({**EXAMPLES[name], "nonsense": "1"})
        assert all(told.get("description") for told in model.model_json_schema()["properties"].values())

    def test_delivers_the_document_with_its_key_and_the_agents_name(
        self, name: str, context: SinkContext, receiver: Receiver
    ) -> None:
        options = options_of(name, receiver)
        odd = {"text": "quotes \" ' \u2028 \x00 \ud800 ä\n", "nested": {"list": [1, None, True]}}
        for sent in (message("k1", **odd), message("k2", key="not this one")):
            done = SINKS[name].deliver(sent, options, context, Deadline.after(SystemClock(), 5))
            assert (type(done), done.outcome) == (Delivered, Delivery.DELIVERED), done
        first, second = received(name, context, receiver)
        assert (first["key"], first["agent"], first["number"], first["nested"]) == (
            "k1",
            "watch-1",
            "INC-1",
            odd["nested"],
        )
        assert second["key"] == "k2"

    def test_repeats_under_the_same_key(self, name: str, context: SinkContext, receiver: Receiver) -> None:
        options = options_of(name, receiver)
        for _ in range(3):
            done = SINKS[name].deliver(message(), options, context, Deadline.after(SystemClock(), 5))
            assert done.outcome is Delivery.DELIVERED
        assert {each["key"] for each in received(name, context, receiver)} == {"k1"}
        assert len(set(receiver.keys())) <= 1

    def test_works_in_a_thread_beside_a_running_loop(self, name: str, context: SinkContext, receiver: Receiver) -> None:
        async def run() -> Delivered:
            deadline = Deadline.after(SystemClock(), 5)
            done: Delivered = await asyncio.to_thread(
                SINKS[name].deliver, message(), options_of(name, receiver), context, deadline
            )
            return done

        assert asyncio.run(run()).outcome is Delivery.DELIVERED
        assert threading.main_thread().is_alive()
