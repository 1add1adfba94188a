"""What is on record of a backup, for stories about it: whether a drill has passed, and what its check says."""

from agent.store import backups
from tests.acceptance.world import World


def proven(world: World, key: str) -> bool:
    """Whether any drill of a backup has passed."""
    with world.store.read() as reader:
        return backups.last_passed_proof(reader, key) is not None


def summary(world: World, key: str) -> str:
    """What the check of a backup says; "" before its first look."""
    seen = world.last_look(key)
    return seen.summary if seen else ""
