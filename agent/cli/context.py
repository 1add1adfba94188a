"""What the composition root hands to the commands; nothing heavy is imported before it is asked for."""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from agent.clock import Clock
    from agent.policy.load import Loaded
    from agent.runtime.agent import Agent
    from agent.store.engine import Store


class Parts(Protocol):
    """Builders, called by the command that needs them."""

    def config_path(self) -> Path:
        """The config file in use: `--config`, else $WATCHKEEPER_CONFIG, else ./config.yaml, else /etc/watchkeeper."""

    def clock(self) -> "Clock":
        """The clock."""

    def load(self) -> "Loaded":
        """Everything an operator wrote, validated; problems included, nothing in force yet."""

    def store(self) -> "Store":
        """The store of the configured state folder; AgentError when it was never made (the agent never ran)."""

    def agent(self, *, migrate: bool = False) -> "Agent":
        """The whole agent, with the policies in force and all states read, for a command that does something."""
