"""What the tests of the store share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.store.engine import Store
from agent.store.tx import Tx


@pytest.fixture
def tx(tmp_path: Path) -> Iterator[Tx]:
    """One open transaction of a new store; reads inside it see its own writes."""
    store = Store.open(tmp_path / "state", SystemClock(), migrate=True)
    with store.write() as opened:
        yield opened
    store.close()
