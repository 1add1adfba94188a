"""One file per place where incidents are also filed. A sink makes one attempt; the outbox repeats, in order.

Delivery is at least once: a sink hands `message.key` over, so that the other side knows a repetition.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar

from agent.clock import Deadline
from agent.closed import ClosedModel
from agent.model.outbox import Delivered, Message
from agent.registry import stamp
from agent.secrets import Secrets

FAMILY = "sink"
Class = TypeVar("Class", bound=type)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SinkContext:
    """What every sink may know of the agent: where its secrets are, its name, the folder of its config.yaml."""

    secrets: Secrets
    name: str
    home: Path


class Sink(Protocol):
    """What every sink class carries. OPTIONS is the model of what stands behind its name in YAML."""

    OPTIONS: ClassVar[type[ClosedModel]]

    @staticmethod
    def deliver(message: Message, options: ClosedModel, context: SinkContext, deadline: Deadline, /) -> Delivered:
        """One attempt; blocks, in a thread, until the deadline at most.

        What the other side did is a value; an exception means that our side is wrong (a secret is missing).
        """


def sink(name: str) -> Callable[[Class], Class]:
    """Stamp a class as the sink of this name."""
    return stamp(FAMILY, name)


def document(message: Message, context: SinkContext) -> dict[str, object]:
    """What goes out: the incident's event, under the key of the message and the name of the agent that tells it."""
    return {**message.payload, "key": message.key, "agent": context.name}
