"""A quorum counts what is well, and says of the rest why it is not."""

from collections.abc import Mapping

import pytest

from agent.model.look import Verdict
from agent.model.state import CheckState, Instance
from agent.practices.quorum import standing, tally
from tests.unit.practices.telling import LETTERS


def state(signs: str, *, parents: tuple[str, ...] = ()) -> CheckState:
    """A state by letters: per instance its last verdict and its hard one, `-` for none."""
    instances = {
        str(number): Instance(raw=LETTERS.get(pair[0]), hard=LETTERS[pair[1]])
        for number, pair in enumerate(signs.split())
    }
    return CheckState(key="shop/checks/front@web-1", instances=instances, parents=parents)


@pytest.mark.parametrize(
    ("signs", "word"),
    [
        ("oo", "ok"),
        ("oo oo", "ok"),
        ("", "pending"),
        ("-o", "pending"),
        ("co", "critical"),  # soft: it counts from the first result
        ("oc", "critical"),  # recovering: it counts to the end
        ("wo", "warning"),
        ("ow", "warning"),
        ("wc", "critical"),
        ("?o", "unknown"),
        ("?c", "unknown"),
        ("oo wo", "warning"),
        ("oo ?o", "unknown"),
        ("-o oo", "ok"),
    ],
)
def test_a_member_is_well_when_its_last_result_is_and_it_is_not_recovering(signs: str, word: str) -> None:
    assert standing(state(signs)) == word


def test_a_member_behind_a_failing_parent_is_suppressed() -> None:
    assert standing(state("oo", parents=("agent/checks/reach@web-1",))) == "suppressed"
    assert standing(state("", parents=("agent/checks/reach@web-1",))) == "suppressed"


@pytest.mark.parametrize(
    ("words", "verdict", "summary", "metrics"),
    [
        ("ok ok ok", Verdict.OK, "3 of 3 ok", {"ok": 3, "total": 3, "share": 1}),
        ("ok critical warning critical", Verdict.OK, "1 of 4 ok (2 critical, 1 warning)", {"ok": 1, "share": 0.25}),
        ("suppressed unknown", Verdict.OK, "0 of 2 ok (1 unknown, 1 suppressed)", {"ok": 0, "share": 0}),
        ("ok pending", Verdict.UNKNOWN, "1 of 2 ok (1 not looked at yet)", {"ok": 1, "total": 2}),
    ],
)
def test_members_are_counted(words: str, verdict: Verdict, summary: str, metrics: Mapping[str, float]) -> None:
    look = tally(words.split())
    assert (look.verdict, look.summary) == (verdict, summary)
    assert dict(look.metrics) | dict(metrics) == dict(look.metrics)


def test_of_nothing_nobody_can_tell() -> None:
    assert tally([]).verdict is Verdict.UNKNOWN
