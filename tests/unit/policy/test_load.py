"""Loading a whole configuration: all errors at once, and the last good version of what is broken."""

from pathlib import Path

import pytest

from agent.errors import InventoryError
from agent.inventory import Snapshot
from agent.model.config import Config
from agent.model.policy import PolicySet
from agent.policy.load import Loaded, load, state_of
from tests.fakes import inventory, policies

CORPUS = Path(__file__).resolve().parents[2] / "corpus"
SHOP = "version: 1\nservice: shop\nhosts: web\nchecks:\n  front: {tcp: 443}\n"
DATABASE = "version: 1\nservice: database\nhosts: db\nchecks:\n  port: {tcp: 5432}\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return policies.new_home(tmp_path)


def told(loaded: Loaded) -> list[str]:
    """The problems as an operator sees them."""
    return [str(problem) for problem in loaded.problems]


def in_force(loaded: Loaded) -> PolicySet:
    """The set that a load gave; there must be one."""
    assert loaded.policies is not None, told(loaded)
    return loaded.policies


def test_the_part_of_the_language_that_is_built_loads_clean(config: Path) -> None:
    loaded = policies.load_with(config, {"shop.yaml": (CORPUS / "example.yaml").read_bytes()})
    assert told(loaded) == []
    assert len(in_force(loaded).checks) == 21


def test_the_whole_example_shows_exactly_what_is_not_built_yet(config: Path) -> None:
    """The list shrinks with every part of the language that is added."""
    loaded = policies.load_with(config, {"shop.yaml": (CORPUS / "whole-example.yaml").read_bytes()})
    expected = (CORPUS / "whole-example.expected").read_text(encoding="utf-8")
    assert "".join(f"{problem}\n" for problem in loaded.problems) == expected


def test_errors_of_all_files_come_at_once_and_in_order(config: Path) -> None:
    config.write_text(config.read_text().replace("owner: web-team", "owner: wbe-team"))
    loaded = policies.load_with(config, {"b.yaml": SHOP + "x: 1\n", "a.yaml": DATABASE + "y: 2\n  z: 3\n"})
    assert told(loaded) == [
        "config.yaml:4:8: unknown team 'wbe-team'; did you mean 'web-team'?",
        "policies/a.yaml:7:4: ': ' cannot stand here: check the indentation, or, if this is text, put quotes around it",
        "policies/b.yaml:6:1: unknown key 'x'",
    ]


def test_two_files_cannot_be_one_service(config: Path) -> None:
    loaded = policies.load_with(config, {"a.yaml": SHOP, "b.yaml": SHOP})
    assert told(loaded) == ["policies/b.yaml:2:10: service 'shop' is already in policies/a.yaml"]


def test_a_reference_into_a_broken_file_is_no_second_error(config: Path) -> None:
    broken = "version: 1\nservice: database\nhosts: db\nchecks:\n  port: {tcp: 5432\n"
    needing = SHOP.replace("{tcp: 443}", "{tcp: 443, needs: database/checks/port}")
    loaded = policies.load_with(config, {"a.yaml": broken, "b.yaml": needing + "depends_on: [database]\n"})
    assert [problem.file for problem in loaded.problems] == ["policies/a.yaml"]


def test_a_file_that_everybody_may_write_is_refused(config: Path) -> None:
    config.chmod(0o666)
    loaded = policies.load_with(config, {"shop.yaml": SHOP})
    assert told(loaded) == ["config.yaml: everybody may write this file, so it is not read: chmod o-w config.yaml"]
    assert loaded.policies is None


def test_what_editors_leave_lying_about_is_no_policy(config: Path) -> None:
    folder = config.parent / "policies"
    for name in (".shop.yaml.swp", "shop.yaml~", "#shop.yaml#", ".#shop.yaml", "notes.txt"):
        (folder / name).write_text("[")
    assert told(policies.load_with(config, {"shop.yaml": SHOP})) == []


def test_a_pipe_among_the_policies_does_not_hang_the_load(config: Path) -> None:
    import os

    os.mkfifo(config.parent / "policies" / "pipe.yml")
    loaded = policies.load_with(config, {"shop.yaml": SHOP})
    assert told(loaded) == ["policies/pipe.yml: this is not a file"]


def test_a_missing_configuration_is_said(tmp_path: Path) -> None:
    loaded = load(tmp_path / "config.yaml", catalogue=policies.catalogue(), inventory=inventory.ask)
    assert told(loaded)[0] == "config.yaml: cannot be read: No such file or directory"


def test_an_inventory_that_cannot_be_read_is_an_error_of_the_configuration(config: Path) -> None:
    def broken(_config: Config, _patterns: frozenset[str]) -> Snapshot:
        raise InventoryError("it is on fire", hint="call somebody")

    loaded = policies.load_with(config, {"shop.yaml": SHOP}, ask=broken)
    assert told(loaded) == ["config.yaml:5:12: it is on fire; call somebody"]


def test_the_inventory_is_asked_once_for_all_patterns(config: Path) -> None:
    asked: list[frozenset[str]] = []

    def counting(config: Config, patterns: frozenset[str]) -> Snapshot:
        asked.append(patterns)
        return inventory.ask(config, patterns)

    policies.load_with(config, {"a.yaml": SHOP, "b.yaml": DATABASE}, ask=counting)
    assert asked == [frozenset({"web", "db"})]


def test_the_digest_follows_every_byte_that_went_in(config: Path) -> None:
    first = in_force(policies.load_with(config, {"shop.yaml": SHOP})).digest
    assert in_force(policies.load_with(config, {"shop.yaml": SHOP})).digest == first
    assert in_force(policies.load_with(config, {"shop.yaml": SHOP + "# more\n"})).digest != first
    config.write_text(config.read_text() + "# more\n")
    assert in_force(policies.load_with(config, {"shop.yaml": SHOP})).digest != first


def test_the_last_good_version_of_a_broken_file_stays_in_force(config: Path) -> None:
    good = in_force(policies.load_with(config, {"shop.yaml": SHOP, "db.yaml": DATABASE}))
    changed = DATABASE.replace("5432", "5433")
    loaded = policies.load_with(config, {"shop.yaml": SHOP + "oops: 1\n", "db.yaml": changed}, last_good=good.sources)
    assert told(loaded) == ["policies/shop.yaml:6:1: unknown key 'oops'"]
    mixed = in_force(loaded)
    assert mixed.sources["policies/shop.yaml"] == SHOP.encode()
    assert mixed.sources["policies/db.yaml"] == changed.encode()


def test_a_new_file_that_is_broken_is_left_out(config: Path) -> None:
    good = in_force(policies.load_with(config, {"shop.yaml": SHOP}))
    loaded = policies.load_with(config, {"shop.yaml": SHOP, "db.yaml": "[" * 999}, last_good=good.sources)
    assert set(in_force(loaded).sources) == {"config.yaml", "policies/shop.yaml"}
    assert len(loaded.problems) == 1


def test_a_broken_configuration_keeps_its_last_good_version_and_takes_new_policies(config: Path) -> None:
    good = in_force(policies.load_with(config, {"shop.yaml": SHOP}))
    before = config.read_bytes()
    config.write_bytes(before + b"oops: 1\n")
    loaded = policies.load_with(config, {"shop.yaml": SHOP, "db.yaml": DATABASE}, last_good=good.sources)
    assert told(loaded) == ["config.yaml:22:1: unknown key 'oops'"]
    assert in_force(loaded).sources["config.yaml"] == before
    assert "policies/db.yaml" in in_force(loaded).sources


def test_a_file_that_refers_to_nothing_any_more_is_taken_back(config: Path) -> None:
    good = in_force(policies.load_with(config, {"shop.yaml": SHOP, "db.yaml": DATABASE}))
    renamed = SHOP.replace("{tcp: 443}", "{tcp: 443, needs: database/checks/prot}")
    loaded = policies.load_with(config, {"shop.yaml": renamed, "db.yaml": DATABASE}, last_good=good.sources)
    assert told(loaded) == ["policies/shop.yaml:5:28: unknown check of database 'prot'; did you mean 'port'?"]
    assert in_force(loaded).sources["policies/shop.yaml"] == SHOP.encode()


def test_a_change_that_breaks_an_unchanged_file_gives_the_whole_last_good_set(config: Path) -> None:
    needing = SHOP.replace("{tcp: 443}", "{tcp: 443, needs: database/checks/port}")
    good = in_force(policies.load_with(config, {"shop.yaml": needing, "db.yaml": DATABASE}))
    renamed = DATABASE.replace("port:", "listener:")
    loaded = policies.load_with(config, {"shop.yaml": needing, "db.yaml": renamed}, last_good=good.sources)
    assert told(loaded) == ["policies/shop.yaml:5:28: unknown check of database 'port' (known: listener)"]
    assert in_force(loaded).sources == good.sources
    assert in_force(loaded).digest == good.digest


def test_without_a_last_good_version_nothing_is_in_force(config: Path) -> None:
    assert policies.load_with(config, {"shop.yaml": SHOP + "oops: 1\n"}).policies is None


@pytest.mark.parametrize(
    ("text", "state"),
    [
        pytest.param("version: 1\nname: [\n", "var/", id="broken where it says nothing of the state"),
        pytest.param("state: elsewhere\nname: [\n", "elsewhere", id="broken below"),
        pytest.param("state: elsewhere\nnmae: x\n", "elsewhere", id="with an unknown key"),
        pytest.param("name: [\nstate: elsewhere\n", None, id="broken above"),
    ],
)
def test_a_broken_configuration_says_where_the_state_is_or_nothing_is_taken_for_it(
    tmp_path: Path, text: str, state: str | None
) -> None:
    (tmp_path / "config.yaml").write_text(text)
    assert state_of(tmp_path / "config.yaml") == (None if state is None else tmp_path / state)
