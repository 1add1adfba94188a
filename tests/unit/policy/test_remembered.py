"""What was read before is not read again, unless its bytes are others; with it or without, a load says the same."""

from pathlib import Path

import pytest

from agent.policy.load import load
from agent.policy.remembered import Remembered
from tests.fakes import inventory
from tests.fakes.policies import catalogue, new_home

SOUND = "version: 1\nservice: {0}\nhosts: web\nchecks:\n  up: {{load: , every: {1}s}}\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    config = new_home(tmp_path)
    for path in (tmp_path / "policies").glob("*.yaml"):
        path.unlink()
    for name in ("one", "two"):
        (tmp_path / f"policies/{name}.yaml").write_text(SOUND.format(name, 60), encoding="utf-8")
    return config


def test_only_files_with_other_bytes_are_read_again() -> None:
    remembered = Remembered(catalogue())
    first = remembered.document("policies/one.yaml", SOUND.format("one", 60).encode())
    assert remembered.document("policies/one.yaml", SOUND.format("one", 60).encode()) is first
    assert remembered.document("policies/one.yaml", SOUND.format("one", 30).encode()) is not first
    again = remembered.document("policies/one.yaml", SOUND.format("one", 60).encode())
    assert again is not first
    assert again == first
    remembered.forget_others({"policies/two.yaml"})
    assert remembered.document("policies/one.yaml", SOUND.format("one", 60).encode()) is not again


@pytest.mark.parametrize(
    "edit", ["service: one\nchecks: {up: {nothing: }}\n", SOUND.format("one", 30)], ids=["bad", "good"]
)
def test_a_load_says_the_same_whether_files_are_remembered_or_not(home: Path, edit: str) -> None:
    remembered = Remembered(catalogue())
    before = load(home, catalogue=catalogue(), inventory=inventory.ask, remembered=remembered)
    assert before.policies is not None
    (home.parent / "policies/one.yaml").write_text(edit, encoding="utf-8")
    (home.parent / "policies/two.yaml").unlink()
    sources = before.policies.sources
    kept, fresh = (
        load(home, catalogue=catalogue(), inventory=inventory.ask, last_good=sources, remembered=one)
        for one in (remembered, None)
    )
    assert kept == fresh
