"""Ansible's inventory as hosts, and what the host patterns of policies mean. Ansible itself runs in a child process."""

from agent.inventory.reading import Inventory
from agent.inventory.snapshot import Snapshot

__all__ = ["Inventory", "Snapshot"]
