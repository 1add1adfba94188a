"""What every backup engine promises: its options are documented, and what it saved comes back byte by byte."""

import dataclasses
import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from pydantic import ValidationError

import agent.backups
from agent.backups import FAMILY, Job, Kind, Outcome, Setting
from agent.closed import ClosedModel
from agent.registry import scan
from tests.vault import Vault, furnish

ENGINES: Mapping[str, Any] = scan(agent.backups, FAMILY)
# What an operator may write behind the engine's name, given a folder; an engine without an example fails.
EXAMPLES: Mapping[str, Any] = MappingProxyType(
    {
        "device_config": lambda _: {"hide_secrets": "true", "ignore": "^! up since "},
        "files": lambda source: {"paths": [str(source)], "exclude": "*.tmp"},
        "stream": lambda source: {"command": f"cat {source}/tool", "filename": "tool.dump"},
    }
)


def test_every_engine_has_an_example() -> None:
    assert ENGINES.keys() == EXAMPLES.keys()


@pytest.mark.parametrize("name", ENGINES)
def test_options_are_closed_and_every_one_is_described(name: str) -> None:
    model = ENGINES[name].OPTIONS
    assert issubclass(model, ClosedModel)
    assert all(field.description for field in model.model_fields.values())
    with pytest.raises(ValidationError, match=r"[Ee]xtra"):
        model.model_validate(EXAMPLES[name]("/srv") | {"no_such_option": "1"})


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("kind", list(Kind))
def test_an_engine_offers_every_kind_of_job_and_says_what_it_does(name: str, kind: Kind) -> None:
    method = getattr(ENGINES[name], kind.value)
    assert list(inspect.signature(method).parameters) == ["job", "setting"]
    assert inspect.getdoc(method)


def told(folder: Path) -> dict[str, Any]:
    """Everything below a folder, by name: bytes, links, modes, owners, times."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        seen = path.lstat()
        link = os.readlink(path) if path.is_symlink() else ""  # noqa: PTH115  # a Path would tidy the text up
        text = link or (path.read_bytes() if path.is_file() else b"")
        found[str(path.relative_to(folder))] = (seen.st_mode, seen.st_uid, seen.st_gid, seen.st_mtime_ns, text)
    return found


def tree(source: Path, back: Path) -> tuple[object, object]:
    """What a folder was and is, without what was excluded."""
    before = told(source)
    del before["junk.tmp"]
    return before, told(Path(f"{back}{source}"))


def output(source: Path, back: Path) -> tuple[object, object]:
    """What a command wrote and what is back."""
    return (source / "tool").read_bytes(), (back / "tool.dump").read_bytes()


RETURNS: Mapping[str, Any] = MappingProxyType({"files": (tree, 12), "stream": (output, 1)})  # and how many entries


@pytest.mark.parametrize("name", RETURNS)
def test_what_was_saved_is_listed_proven_and_comes_back(tmp_path: Path, name: str) -> None:
    source = tmp_path / "source"
    furnish(source)
    vault = Vault(folder=tmp_path, source=source).found()
    engine, options = ENGINES[name], EXAMPLES[name](source)

    def run(kind: Kind, exec_id: str, **other: Any) -> Any:
        job: Job = dataclasses.replace(vault.job(kind, exec_id, **other), engine=name, options=options)
        setting: Setting = vault.setting(job)
        return getattr(engine, kind.value)(job, setting)

    saved = run(Kind.BACKUP, "01A")
    assert (saved.outcome, saved.faults, saved.torn) == (Outcome.OK, (), 0)
    listed = run(Kind.SNAPSHOTS, "01B")
    assert [(one.id, one.exec_id, one.at_us) for one in listed.snapshots] == [(saved.snapshot, "01A", saved.at_us)]
    drilled = run(Kind.DRILL, "01C", snapshot=saved.snapshot, manifest=saved.manifest)
    assert (drilled.outcome, drilled.passed, drilled.faults) == (Outcome.OK, True, ())
    compare, entries = RETURNS[name]
    assert drilled.compared == entries
    returned = run(Kind.RESTORE, "01D", target=str(tmp_path / "back"))
    assert (returned.outcome, returned.faults) == (Outcome.OK, ())
    due, there = compare(source, tmp_path / "back")
    assert there == due
