"""What the functions of this room are given: an open transaction to write in, or anything to read from."""

import dataclasses
from collections.abc import Callable

from sqlalchemy import Connection

from agent.clock import Clock

Failpoint = Callable[[str], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Tx:
    """One open write transaction. All that is written through it becomes durable together, or not at all."""

    connection: Connection
    clock: Clock
    failpoint: Failpoint


Reader = Connection | Tx


def reading(reader: Reader) -> Connection:
    """The connection to read from, in a transaction or a snapshot."""
    return reader.connection if isinstance(reader, Tx) else reader
