"""What `doctor` finds: it looks at what is configured, not at what happens to be installed."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from agent.cli.context import Parts
from agent.cli.examination import Finding, _lending, everything, named_secrets, unread
from agent.clock import SystemClock
from tests.fakes import policies

SAYS_A_VERSION = "#!/bin/sh\necho restic {} compiled with go1.22\n"


def first_finding(config: Path) -> Finding:
    """What is said of restic."""
    loaded = policies.load_with(config, {})
    assert loaded.policies is not None
    parts = SimpleNamespace(clock=SystemClock, config_path=lambda: config, load=lambda: loaded)
    return next(everything(cast("Parts", parts)))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A home whose config.yaml names a restic of its own, beside it."""
    path = policies.new_home(tmp_path)
    path.write_text(f"{path.read_text()}\nbackups: {{restic: own-restic}}\n")
    return path


@pytest.mark.parametrize(
    ("script", "state", "says"),
    [
        (SAYS_A_VERSION.format("0.99.1"), "ok", "restic 0.99.1, as {own}"),
        (SAYS_A_VERSION.format("0.9.6"), "fail", "restic 0.9.6 is too old: 0.14.0 or newer is needed"),
        ("#!/bin/sh\nexit 3\n", "fail", "ends with 3: "),
        (None, "fail", "cannot start {own}: No such file or directory"),
    ],
)
def test_the_restic_that_config_names_is_the_one_that_is_looked_at(
    config: Path, script: str | None, state: str, says: str
) -> None:
    own = config.parent / "own-restic"
    if script is not None:
        own.write_text(script)
        own.chmod(0o755)
    found = first_finding(config)
    assert (found.state, found.subject, found.says) == (state, "restic", says.format(own=own))
    assert ("backups: {restic: …}" in found.mend) is (state == "fail")


def test_without_one_it_is_that_on_the_path(config: Path) -> None:
    config.write_text(config.read_text().replace("backups: {restic: own-restic}", ""))
    found = first_finding(config)
    assert found.state == "ok"
    assert found.says.startswith("restic 0.")
    assert " as " not in found.says


def test_every_secret_is_looked_for_that_any_item_names(config: Path) -> None:
    """One that is missing would else be found out in the night, by the backup that needs it."""
    text = """
version: 1
service: shop
hosts: local
checks:
  orders: {sql: {url: "postgresql://reader@db/shop", password: {secret: reader}, query: SELECT 1}}
remedies:
  restart: {playbook: restart-service.yml, vars: {token: {secret: shop-token}}}
backups:
  orders:
    stream: {command: pg_dump shop, filename: shop.dump, environment: {PGPASSWORD: {secret: shop-db}}}
    every: 6h
    prepare: {playbook: restart-service.yml, vars: {deep: [{key: {secret: shop-lock}}]}}
"""
    loaded = policies.load_with(config, {"shop.yaml": text})
    assert loaded.policies is not None, loaded.problems
    assert named_secrets(loaded.policies) == ["reader", "restic-main", "shop-db", "shop-lock", "shop-token"]


@pytest.mark.parametrize("run_from", ["agent", "host"])
def test_what_lends_a_repository_is_looked_at_where_a_host_saves_itself(config: Path, run_from: str) -> None:
    text = f"""
version: 1
service: shop
hosts: web
backups:
  etc:
    files: {{paths: [/etc], run_from: {run_from}}}
    every: 6h
"""
    loaded = policies.load_with(config, {"shop.yaml": text})
    assert loaded.policies is not None, loaded.problems
    found = list(_lending(loaded.policies, SystemClock()))
    assert [one.subject for one in found] == ["rclone"] * (run_from == "host")
    assert all(one.says.startswith("rclone v1.") for one in found)


@pytest.mark.parametrize(("first", "copies", "names"), [("main", "offsite", ["offsite"]), ("offsite", "main", [])])
def test_copies_that_nothing_reads_again_are_named(config: Path, first: str, copies: str, names: list[str]) -> None:
    """Of these two only main has a check; whatever is the first is read by drills."""
    backup = f"{{files: {{paths: [/etc]}}, repository: {first}, copies: {copies}, every: 6h}}"
    text = f"version: 1\nservice: shop\nhosts: local\nbackups:\n  etc: {backup}\n"
    loaded = policies.load_with(config, {"shop.yaml": text})
    assert loaded.policies is not None, loaded.problems
    found = list(unread(loaded.policies))
    assert [(one.state, one.subject) for one in found] == [("warn", name) for name in names]
