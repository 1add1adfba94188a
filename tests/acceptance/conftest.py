"""The fixture `world`: a folder with a configuration, which at the end is searched for the canary and verified."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.world import World


@pytest.fixture
def world(tmp_path: Path, canary: str) -> Iterator[World]:
    """A world of its own for a test."""
    made = World(tmp_path, canary)
    try:
        yield made
    finally:
        made.end()
