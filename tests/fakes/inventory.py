"""The answer that Ansible gave once for tests/corpus/home, so that a loader's test need not wait for Ansible each time.

tests/integration/test_inventory.py asks Ansible again, and fails when it answers otherwise.
"""

import functools
import json
from pathlib import Path
from typing import Any

from agent.inventory import Snapshot, snapshot
from agent.model.config import Config

HOME = Path(__file__).resolve().parents[1] / "corpus" / "home"


@functools.cache
def recorded() -> dict[str, Any]:
    """The child's answer, as recorded."""
    answer: dict[str, Any] = json.loads((HOME / "answer.json").read_text())
    return answer


def ask(config: Config, patterns: frozenset[str]) -> Snapshot:
    """What the inventory says, whatever the configuration; a pattern that was not recorded means nothing."""
    return snapshot.of_answer(recorded(), patterns, config.home)
