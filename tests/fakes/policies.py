"""Loads policies the way the agent does, over the home in tests/corpus and with every plug-in there is."""

import functools
import shutil
from collections.abc import Mapping
from pathlib import Path

from agent import backups, checks, sinks
from agent.policy.catalogue import Catalogue
from agent.policy.load import Ask, Loaded, load
from agent.registry import scan
from tests.fakes import inventory


@functools.cache
def catalogue() -> Catalogue:
    """All probes, engines and sinks."""
    return Catalogue(
        probes=scan(checks, checks.FAMILY), engines=scan(backups, backups.FAMILY), sinks=scan(sinks, sinks.FAMILY)
    )


def new_home(folder: Path) -> Path:
    """A copy of the home, without policies; returns its config.yaml."""
    shutil.copytree(inventory.HOME, folder, dirs_exist_ok=True)
    return folder / "config.yaml"


def load_with(
    config: Path,
    policies: Mapping[str, str | bytes],
    *,
    last_good: Mapping[str, bytes] | None = None,
    ask: Ask = inventory.ask,
) -> Loaded:
    """Load a home with these policy files and no others."""
    folder = config.parent / "policies"
    for path in folder.glob("*.yaml"):
        path.unlink()
    for name, text in policies.items():
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(config, catalogue=catalogue(), inventory=ask, last_good=last_good)
