"""What `plan` shows."""

from pathlib import Path

import pytest

from agent.policy import explain
from agent.policy.explain import Line
from tests.fakes import policies

EXAMPLE = (Path(__file__).resolve().parents[2] / "corpus" / "example.yaml").read_bytes()


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Line]:
    config = policies.new_home(tmp_path_factory.mktemp("explain"))
    found = policies.load_with(config, {"shop.yaml": EXAMPLE}).policies
    assert found is not None
    assert explain.safety(found) == (("global", "20 per 1h"), ("breaker cooldown", "10m"))
    return {line.item: line for line in explain.lines(found)}


def test_each_item_is_one_line_with_all_its_hosts(lines: dict[str, Line]) -> None:
    storefront = lines["shop/checks/storefront"]
    assert (storefront.section, storefront.kind, storefront.hosts) == ("checks", "http", ("web-1", "web-2"))
    assert (storefront.when, storefront.owner, storefront.title) == ("30s", "web-team", "The front page")
    assert storefront.notes == (
        "from the agent",
        "hard after 3",
        "crit time above 2s",
        "remedy restart-nginx",
        "remedy clean",
    )


def test_the_limits_in_force_are_shown_also_when_nobody_wrote_them(lines: dict[str, Line]) -> None:
    assert lines["shop/remedies/clean"].notes == (
        "risk reversible",
        "mode propose",
        "per_host 3 per 1d",
        "per_policy 10 per 1h",
        "at_once 1",
        "stop_if_failing 20%",
        "cooldown 15m",
        "same_symptom 3 per 4h",
    )


@pytest.mark.parametrize(
    ("item", "when", "notes"),
    [
        ("shop/checks/port", "15m, workday at 08:00", ("from the agent", "hard after 10m")),
        ("shop/checks/script", "1m", ("from the host", "hard after 3", "paused: being moved")),
        ("shop/backups/files", "day at 02:00", ("to main", "rpo 26h", "drill monday at 05:00")),
        ("shop/windows/nightly", "day at 01:00 for 4h", ()),
        ("shop/windows/holidays", "once", ()),
        ("agent/checks/reach", "30s", ("from the agent", "hard after 3")),
    ],
)
def test_when_and_how_in_the_words_of_the_policy(
    lines: dict[str, Line], item: str, when: str, notes: tuple[str, ...]
) -> None:
    assert (lines[item].when, lines[item].notes) == (when, notes)


def test_what_is_kept_where_and_when_it_is_removed_is_shown(tmp_path: Path) -> None:
    policy = (
        "version: 1\nservice: shop\nhosts: web\nbackups:\n  files: {files: {paths: [/srv]}, repository: main, every: 6h,"
        " copies: [offsite], keep: {last: 2, daily: 7}}\n"
    )
    found = policies.load_with(policies.new_home(tmp_path), {"shop.yaml": policy}).policies
    assert found is not None
    told = [line for line in explain.lines(found) if line.section in {"backups", "repositories"}]
    assert [(line.item, line.kind, line.when, line.notes) for line in told] == [
        ("shop/backups/files", "files", "6h", ("to main", "copies in offsite", "keep last 2 daily 7 within 7d")),
        ("agent/repositories/main", "check", "day at 12:00", ("all of it within 30d",)),
        ("agent/repositories/main", "prune", "sunday at 12:00", ()),
    ]
    assert {line.hosts for line in told} == {("web-1", "web-2")}
