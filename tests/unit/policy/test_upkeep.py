"""keep, copies, check and prune: from YAML to values, and each mistake at its place."""

from pathlib import Path

import pytest

from agent.model.cadence import At, Every
from agent.model.check import RunFrom
from agent.model.upkeep import FLOOR_SECONDS, Keep
from tests.fakes import policies

PASSWORD = "password: {secret: p}"


def config(tmp_path: Path, *repositories: str) -> Path:
    found = policies.new_home(tmp_path)
    lines = "".join(f"  {one}\n" for one in repositories)
    found.write_text(f"version: 1\nname: x\nowner: us\nteams: {{us: {{}}}}\nrepositories:\n{lines}")
    return found


def backup(more: str) -> dict[str, bytes]:
    text = (
        f"version: 1\nservice: shop\nhosts: local\nbackups: {{etc: {{files: {{paths: [/etc]}}, every: 6h, {more}}}}}\n"
    )
    return {"shop.yaml": text.encode()}


def test_the_words_of_upkeep_become_values(tmp_path: Path) -> None:
    home = config(
        tmp_path,
        f"main: {{url: var/a, {PASSWORD}, check: {{every: 12h, cover: 14d}}, prune: {{every: sunday at 12:00}}}}",
        f"offsite: {{url: var/b, {PASSWORD}, check: {{every: 1h}}}}",
    )
    loaded = policies.load_with(home, backup("repository: main, copies: offsite, keep: {daily: 7, yearly: 2}"))
    assert not loaded.problems
    assert loaded.policies is not None
    found = loaded.policies.backups["shop/backups/etc@local"]
    assert found.keep == Keep(daily=7, yearly=2, within_seconds=FLOOR_SECONDS)
    assert [one.name for one in found.copies] == ["offsite"]
    check = found.repository.check
    assert check is not None
    assert (check.every, check.cover_seconds) == ((Every(seconds=43200.0),), 14 * 86400.0)
    assert [rule.weekdays for rule in found.repository.prune if isinstance(rule, At)] == [(6,)]
    watched = loaded.policies.checks["agent/repositories/offsite@local"]
    assert (watched.run_from, watched.owner, watched.service) == (RunFrom.AGENT, "us", "agent")


@pytest.mark.parametrize(
    ("first", "second", "more", "told"),
    [
        ("check: {cover: 30d}", "", "", "'every' is missing"),
        ("check: {every: 1h, cover: 0d}", "", "", "'0d' is no time at all"),
        ("prune: {}", "", "", "'every' is missing"),
        ("prune: sunday at 12:00", "", "", "a mapping is expected here"),
        ("url: 'sftp:a:/x'", "url: 'sftp:b:/x'", "copies: second", "only when one of them is not sftp:"),
        ("", "url: var/first", "copies: second", "'second' is the same place as 'first'"),
    ],
    ids=["no-every", "no-time", "no-prune-every", "no-mapping", "two-sftp", "same-place"],
)
def test_a_mistake_is_told(tmp_path: Path, first: str, second: str, more: str, told: str) -> None:
    one = ", ".join(filter(None, ["" if "url" in first else "url: var/first", PASSWORD, first]))
    two = ", ".join(filter(None, ["" if "url" in second else "url: var/second", PASSWORD, second]))
    home = config(tmp_path, f"first: {{{one}}}", f"second: {{{two}}}")
    told_of = [str(one) for one in policies.load_with(home, backup(f"repository: first, {more}")).problems]
    assert [told in one for one in told_of] == [True], told_of
