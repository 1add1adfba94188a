"""The page about repositories is true: what it shows loads, and its tables are the code's."""

import re
from pathlib import Path

from agent.app import Builder
from agent.backups import Outcome
from agent.backups.restic.location import CREDENTIALS
from agent.policy.schema_config import RepositorySpec

TEXT = (Path(__file__).resolve().parents[2] / "docs/repositories.md").read_text(encoding="utf-8")
USUAL = "version: 1\nname: docs\nowner: us\nteams: {us: {}}\n"


def cells(title: str, column: int) -> list[str]:
    """One column of the table below a title."""
    _, _, below = TEXT.partition(title)
    table = re.search(r"^\|.*?\n\n", below, re.MULTILINE | re.DOTALL)
    assert table is not None
    return [line.strip("|").split(" | ")[column].strip() for line in table[0].strip().splitlines()[2:]]


def test_the_repositories_shown_load(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    for folder in ("policies", "playbooks", "inventory"):
        (tmp_path / folder).mkdir()
    (tmp_path / "inventory/hosts").write_text("web1\n")
    (tmp_path / "config.yaml").write_text(USUAL + example)
    loaded = Builder(tmp_path / "config.yaml").load()
    assert not loaded.problems
    assert loaded.policies is not None
    found = loaded.policies.config.repositories
    assert list(found) == ["main", "vault", "offsite", "cloud", "elsewhere"]
    assert (found["vault"].limit_bits, found["vault"].at_once, found["offsite"].lock_wait_seconds) == (1e8, 2, 300.0)
    assert found["elsewhere"].secrets == ("restic-elsewhere", "elsewhere-url")


def test_the_tables_are_the_codes() -> None:
    keys = [key.strip("`") for cell in cells("# Repositories", 0) for key in cell.split(", ")]
    assert keys == list(RepositorySpec.model_fields)
    told = re.findall(r"`([A-Z_]+)`", "".join(cells("## Credentials", 1)))
    assert told == [name for names in CREDENTIALS.values() for name in names]
    outcomes = ",".join(cells("## How a job may end", 0)).replace(", ", ",").replace(" ", "_").split(",")
    assert sorted(outcomes) == sorted(Outcome)
