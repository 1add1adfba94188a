"""The state of a check, and the document that it becomes in the store."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from agent.model.look import Verdict
from agent.model.state import CheckState, Climb, Instance, Mark, Phase, as_document, from_document

OPTIONAL = some.none() | some.integers(0, 2**53)
VERDICTS = some.sampled_from(Verdict)
COUNTS = some.integers(0, 9)
INSTANCES = some.builds(
    Instance, raw=some.none() | VERDICTS, hard=VERDICTS, since_us=some.integers(0), hard_since_us=some.integers(0),
    ok_run=COUNTS, calm_run=COUNTS, warn_run=COUNTS, crit_run=COUNTS, warn_first_us=OPTIONAL, crit_first_us=OPTIONAL,
    recent=some.text("owc", max_size=5), absent=COUNTS, remembered=some.lists(some.tuples(some.text(), some.text())).map(tuple),
)  # fmt: skip
MARKS = some.builds(
    Mark, open=some.booleans(), severity=VERDICTS, episode=COUNTS, opened_us=some.integers(0), resolved_us=OPTIONAL,
    overridden=some.booleans(), held=some.booleans(),
)  # fmt: skip
CLIMBS = some.builds(
    Climb, severity=VERDICTS, rung=COUNTS, attempt=COUNTS, remedy=some.text(), phase=some.sampled_from(Phase),
    exec_id=some.text(), ended_us=OPTIONAL, verify_until_us=OPTIONAL, uncertain=some.booleans(),
    proofs=some.lists(some.tuples(some.text(), COUNTS, COUNTS)).map(tuple), ask_again_us=OPTIONAL, refusal=some.text(),
)  # fmt: skip
STATES = some.builds(
    CheckState, key=some.text(), instances=some.dictionaries(some.text(), INSTANCES, max_size=3),
    parents=some.lists(some.text()).map(tuple), silenced=some.text(), unknown_since_us=OPTIONAL,
    unknown_filed=some.booleans(), mark=some.none() | MARKS, climb=some.none() | CLIMBS,
)  # fmt: skip


@settings(max_examples=50)
@given(STATES)
def test_a_state_survives_its_document(state: CheckState) -> None:
    text = json.dumps(as_document(state), sort_keys=True)
    read = from_document(json.loads(text))
    assert read == state
    assert json.dumps(as_document(read), sort_keys=True) == text


def test_a_document_of_before_a_field_was_added_is_still_read() -> None:
    state = CheckState(
        key="shop/checks/web@web1",
        instances={"": Instance(raw=Verdict.OK)},
        mark=Mark(open=True, severity=Verdict.CRITICAL, episode=2, opened_us=5),
        climb=Climb(severity=Verdict.CRITICAL, rung=0, attempt=1, remedy="shop/remedies/restart", phase=Phase.ASKED),
    )
    document = as_document(state)
    del document["mark"]["held"], document["mark"]["overridden"], document["climb"]["refusal"]
    del document["instances"][""]["absent"]
    assert from_document(document) == state


@pytest.mark.parametrize(
    ("raws", "worst"),
    [
        ((), None),
        ((None,), None),
        ((None, Verdict.OK), Verdict.OK),
        ((Verdict.OK, Verdict.UNKNOWN), Verdict.UNKNOWN),
        ((Verdict.WARNING, Verdict.UNKNOWN), Verdict.WARNING),
        ((Verdict.WARNING, Verdict.CRITICAL, Verdict.OK), Verdict.CRITICAL),
    ],
)
def test_the_worst_of_all_instances_speaks(raws: tuple[Verdict | None, ...], worst: Verdict | None) -> None:
    state = CheckState(key="k", instances={str(number): Instance(raw=raw) for number, raw in enumerate(raws)})
    assert state.raw is worst


@pytest.mark.parametrize(
    ("hards", "worst"),
    [((), "ok"), (("ok",), "ok"), (("ok", "warning"), "warning"), (("critical", "warning"), "critical")],
)
def test_the_worst_hard_state_counts(hards: tuple[str, ...], worst: str) -> None:
    state = CheckState(key="k", instances={str(i): Instance(hard=Verdict(hard)) for i, hard in enumerate(hards)})
    assert state.hard.value == worst


@pytest.mark.parametrize(
    ("raw", "hard", "parents", "failing"),
    [
        (Verdict.OK, Verdict.OK, (), False),
        (Verdict.WARNING, Verdict.WARNING, (), False),
        (Verdict.CRITICAL, Verdict.OK, (), True),
        (Verdict.OK, Verdict.CRITICAL, (), True),
        (Verdict.UNKNOWN, Verdict.OK, (), False),
        (Verdict.OK, Verdict.OK, ("p",), True),
    ],
)
def test_what_fails_for_those_that_need_it(
    raw: Verdict, hard: Verdict, parents: tuple[str, ...], failing: bool
) -> None:
    state = CheckState(key="k", instances={"": Instance(raw=raw, hard=hard)}, parents=parents)
    assert state.is_failing is failing
