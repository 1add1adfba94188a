"""Inputs and decisions as plain values for the journal."""

import json
from types import MappingProxyType

import pytest

from agent.model.decision import (
    ActionEnded,
    ActionRefused,
    Decision,
    Gap,
    Input,
    Parents,
    Tick,
    Verb,
    WindowEdge,
    as_document,
)
from agent.model.look import Look, Result, Unit, Verdict


@pytest.mark.parametrize(
    ("value", "document"),
    [
        (Tick(at_us=5), {"input": "Tick", "at_us": 5}),
        (Tick(at_us=0), {"input": "Tick", "at_us": 0}),
        (Gap(at_us=5, from_us=3), {"input": "Gap", "at_us": 5, "from_us": 3}),
        (Parents(at_us=5, failing=("a@b",)), {"input": "Parents", "at_us": 5, "failing": ["a@b"]}),
        (Parents(at_us=5, failing=()), {"input": "Parents", "at_us": 5, "failing": []}),
        (WindowEdge(at_us=5, silenced=""), {"input": "WindowEdge", "at_us": 5}),
        (
            ActionRefused(at_us=5, gate="budget", reason="spent", until_us=9),
            {"input": "ActionRefused", "at_us": 5, "gate": "budget", "reason": "spent", "until_us": 9},
        ),
        (
            ActionEnded(at_us=5, exec_id="X1", ok=True, uncertain=False, summary=""),
            {"input": "ActionEnded", "at_us": 5, "exec_id": "X1", "ok": True},
        ),
        (Decision(verb=Verb.NOTE, why=""), {"verb": "note", "why": ""}),
        (
            Decision(verb=Verb.OPEN, why="it fails", severity=Verdict.CRITICAL, hard=True, episode=1),
            {"verb": "open", "why": "it fails", "severity": "critical", "hard": True, "episode": 1},
        ),
    ],
)
def test_a_value_says_what_it_is_and_leaves_out_what_is_empty(
    value: Input | Decision, document: dict[str, object]
) -> None:
    assert as_document(value) == document


def test_a_result_is_written_with_all_that_was_seen() -> None:
    inner = Look(
        verdict=Verdict.OK, summary="10 %", metrics={"used": 0.1}, units=MappingProxyType({"used": Unit.SHARE})
    )
    memory = object()  # for the next look, never written
    look = Look(verdict=Verdict.OK, summary="all well", instances=MappingProxyType({"/": inner}), memory=memory)
    document = as_document(Result(key="k", begun_us=1, ended_us=2, look=look))
    assert json.loads(json.dumps(document)) == {
        "input": "Result",
        "key": "k",
        "begun_us": 1,
        "ended_us": 2,
        "look": {
            "verdict": "ok", "summary": "all well", "metrics": {}, "units": {}, "evidence": "",
            "instances": {
                "/": {"verdict": "ok", "summary": "10 %", "metrics": {"used": 0.1}, "units": {"used": "share"},
                      "instances": {}, "evidence": ""},
            },
        },
    }  # fmt: skip
