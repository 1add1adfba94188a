"""What the composition root hands to the commands; nothing heavy is imported before it is asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    import typer

    from agent.clock import Clock
    from agent.policy.catalogue import Catalogue
    from agent.policy.load import Loaded
    from agent.runtime.agent import Agent
    from agent.store.engine import Store


class Parts(Protocol):
    """Builders, called by the command that needs them."""

    def config_path(self) -> Path:
        """The config file in use: `--config`, else $WATCHKEEPER_CONFIG, else ./config.yaml, else /etc/watchkeeper."""

    def clock(self) -> "Clock":
        """The clock."""

    def catalogue(self) -> "Catalogue":
        """Every probe, engine and sink there is."""

    def load(self) -> "Loaded":
        """Everything an operator wrote, validated; problems included, nothing in force yet."""

    def state(self) -> Path:
        """The configured state folder, whether it exists or not."""

    def store(self) -> "Store":
        """The store of the configured state folder; AgentError when it was never made (the agent never ran)."""

    def agent(self, *, migrate: bool = False) -> "Agent":
        """The whole agent, with the policies in force and all states read, for a command that does something."""

    def found(self) -> Path | None:
        """Begin the record of an agent that never ran, and start nothing; the new state folder, None where there is one."""


def parts_of(ctx: "typer.Context") -> Parts:
    """The builders, from the context that every command gets."""
    return cast("Parts", ctx.obj)


@contextmanager
def the_agent(ctx: "typer.Context", *, migrate: bool = False, found: bool = False) -> "Iterator[Agent]":
    """The whole agent for the length of a block; with `found` also where it never ran, as after the loss of its machine."""
    from agent.cli import output

    if found and (state := parts_of(ctx).found()) is not None:
        output.note(f"the agent never ran here: its record begins in {state}")
    agent = parts_of(ctx).agent(migrate=migrate)
    try:
        yield agent
    finally:
        agent.close()


@contextmanager
def the_store(ctx: "typer.Context") -> "Iterator[Store]":
    """The store for the length of a block."""
    store = parts_of(ctx).store()
    try:
        yield store
    finally:
        store.close()
