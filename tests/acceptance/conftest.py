"""The fixture `world`: a folder with a configuration, which at the end is searched for the canary and verified."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.inventory import Inventory
from agent.store.engine import Store
from tests.acceptance.world import HERE, USUAL_HOSTS, Begun, World
from tests.vault import Vault


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory, canary: str) -> Begun:
    """What the first start of a daemon leaves, and what Ansible says of the usual inventory: two seconds of each start."""
    folder, clock = tmp_path_factory.mktemp("begun"), SystemClock()
    Store.open(folder / "var", clock, migrate=True).close()
    (folder / "hosts.yml").write_text(json.dumps({"all": {"hosts": {"here": HERE}}}))
    return Begun(
        state=folder / "var",
        repository=Vault(folder=folder / "vault", source=folder, secret=canary).found().repository,
        inventory=Inventory(folder / "hosts.yml", clock=clock)._ask(USUAL_HOSTS),
    )


@pytest.fixture
def world(tmp_path: Path, canary: str, begun: Begun) -> Iterator[World]:
    """A world of its own for a test."""
    made = World(tmp_path, canary, begun)
    try:
        yield made
    finally:
        made.end()
