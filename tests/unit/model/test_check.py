"""Names of facts, and the small words of nouns."""

import pytest

from agent.model.check import host_of, item_of, key_of, reach_key
from agent.model.look import Verdict
from agent.model.policy import Problem
from agent.model.remedy import Budget, Mode, Risk


@pytest.mark.parametrize(
    ("item", "host", "key"),
    [
        ("shop/checks/web", "web1", "shop/checks/web@web1"),
        ("shop/checks/certificate", None, "shop/checks/certificate@none"),
        ("shop/checks/odd", "user@host", "shop/checks/odd@user@host"),
    ],
)
def test_a_fact_is_called_item_at_host(item: str, host: str | None, key: str) -> None:
    assert key_of(item, host) == key
    if host is None or "@" not in host:
        assert (item_of(key), host_of(key)) == (item, host)


def test_a_connection_is_a_fact_of_the_agent() -> None:
    assert reach_key("web1") == "agent/checks/reach@web1"


def test_verdicts_are_ordered_by_badness() -> None:
    ordered = sorted(Verdict, key=lambda verdict: verdict.weight)
    assert ordered == [Verdict.OK, Verdict.UNKNOWN, Verdict.WARNING, Verdict.CRITICAL]


def test_risks_and_modes_are_ordered() -> None:
    assert max(Risk) is Risk.IRREVERSIBLE
    assert max(Mode) is Mode.AUTO


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        (Budget(count=3, seconds=86400), "3 per 1d"),
        (Budget(count=3, seconds=5400), "3 per 90m"),
        (Budget(count=20, seconds=3600), "20 per 1h"),
        (Budget(count=1, seconds=90), "1 per 90s"),
        (Budget(count=1, seconds=0.5), "1 per 0.5s"),
    ],
)
def test_a_budget_is_told_as_it_is_written(budget: Budget, words: str) -> None:
    assert str(budget) == words


def test_a_problem_names_its_place() -> None:
    problem = Problem(file="shop.yaml", line=3, column=5, message="unknown key 'chekcs'")
    assert str(problem) == "shop.yaml:3:5: unknown key 'chekcs'"
