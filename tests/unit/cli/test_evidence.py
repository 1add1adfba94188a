"""The one sentence of `check why`: why a state is so, and why there is an incident or none."""

import dataclasses

import pytest

from agent.cli import evidence, facts
from agent.cli.wording import local
from agent.model.bounds import Bound, Relation
from agent.model.cadence import Every
from agent.model.check import Check, Rules, RunFrom, Threshold
from agent.model.look import Unit, Verdict
from agent.model.state import CheckState, Instance, Mark
from agent.store.looks import LatestLook

KEY = "shop/checks/web@web1"
SECOND = 1_000_000
NOW = 1_000 * SECOND
RULES = Rules(key=KEY, fail_after=Threshold(count=3), recover_after=2)
CHECK = Check(
    key=KEY, item="shop/checks/web", service="shop", host="web1", kind="http", options=None, run_from=RunFrom.AGENT,
    every=(Every(seconds=30),), timeout_seconds=10, retry_every_seconds=10, rules=RULES,
)  # fmt: skip


def state(raw: Verdict, hard: Verdict = Verdict.OK, **more: object) -> CheckState:
    given = CheckState(key=KEY, instances={"": Instance(raw=raw, hard=hard, crit_run=2, calm_run=1)})
    return dataclasses.replace(given, **more)  # type: ignore[arg-type]  # fields by name


def seen(verdict: Verdict, seconds_ago: int = 1) -> LatestLook:
    at_us = NOW - seconds_ago * SECOND
    return LatestLook(key=KEY, at_us=at_us, begun_us=at_us, verdict=verdict, summary="as seen")


OK, CRITICAL, UNKNOWN, WARNING = Verdict.OK, Verdict.CRITICAL, Verdict.UNKNOWN, Verdict.WARNING


@pytest.mark.parametrize(
    ("before", "look", "word", "told"),
    [
        (CheckState(key=KEY), None, "pending", "nothing is known"),
        (state(OK), seen(OK), "ok", "within every bound"),
        (state(OK), seen(OK, 200), "stale", "is the agent running?"),
        (state(UNKNOWN), seen(UNKNOWN), "unknown", "neither counts nor resets"),
        (state(CRITICAL), seen(CRITICAL), "critical", "not long enough: hard after 3"),
        (state(OK, CRITICAL), seen(OK), "ok", "2 in a row end the hard critical"),
        (state(CRITICAL, CRITICAL), seen(CRITICAL), "critical", "its incident is open"),
        (state(CRITICAL, CRITICAL, parents=("p@web1",)), seen(CRITICAL), "suppressed", "suppressed by p@web1"),
    ],
)
def test_every_state_has_its_reason(before: CheckState, look: LatestLook | None, word: str, told: str) -> None:
    present = facts.check(CHECK, before, look, NOW)
    assert present["state"] == word
    assert told in evidence.because(CHECK, before, present, before.hard is CRITICAL)


@pytest.mark.parametrize(
    ("rules", "more", "hard", "told"),
    [
        ({"incident_from": None}, {}, CRITICAL, "incident none"),
        ({}, {"silenced": "shop/windows/night"}, CRITICAL, "shop/windows/night silences it"),
        ({}, {}, WARNING, "incidents are filed from critical on"),
        ({}, {"mark": Mark(open=False, severity=CRITICAL, episode=1, opened_us=1, overridden=True)}, CRITICAL, "a person resolved"),
    ],
)  # fmt: skip
def test_why_there_is_no_incident(rules: dict[str, object], more: dict[str, object], hard: Verdict, told: str) -> None:
    check = dataclasses.replace(CHECK, rules=dataclasses.replace(RULES, **rules))  # type: ignore[arg-type]  # by name
    before = state(hard, hard, **more)
    present = facts.check(check, before, seen(hard), NOW)
    assert told in evidence.because(check, before, present, has_incident=False)


def test_counters_are_told_in_words() -> None:
    soft = state(CRITICAL).instances[""]
    back = state(OK, CRITICAL).instances[""]
    assert facts.counting(soft, CHECK) == "soft: 2 of 3 before it is hard"
    assert facts.counting(back, CHECK) == "recovering: 1 of 2"
    assert facts.counting(state(OK).instances[""], CHECK) == ""


def test_a_summary_names_the_instances_that_a_bound_finds_bad() -> None:
    names = ("mail", "pdf", "post", "print", "web")
    instances = {name: Instance(raw=OK if name == "mail" else WARNING) for name in names}
    looked = {name: {"summary": f"{name}: 120", "verdict": "ok"} for name in names}
    look = dataclasses.replace(seen(OK), summary="5 rows", instances=looked)
    told = facts.check(CHECK, CheckState(key=KEY, instances=instances), look, NOW)
    assert told["summary"] == "pdf: 120; post: 120; print: 120 and 1 more (5 rows)"
    calm = dict.fromkeys(names, Instance(raw=OK))
    assert facts.check(CHECK, CheckState(key=KEY, instances=calm), look, NOW)["summary"] == "5 rows"


def journaled(verdict: Verdict, evidence_: str) -> list[dict[str, object]]:
    look = {"verdict": verdict.value, "evidence": evidence_, "units": {"lag": "s"}}
    return [{"input": {"input": "Gap"}}, {"input": {"input": "Result", "look": look}}, {"input": None}]


@pytest.mark.parametrize(
    ("verdict", "said", "told"),
    [
        (CRITICAL, "watchkeeper host trust web1", "watchkeeper host trust web1"),
        (CRITICAL, "as seen", ""),  # the summary once more
        (OK, "from before it failed", ""),
    ],
)
def test_what_a_probe_had_to_say_beside_its_summary_is_evidence(verdict: Verdict, said: str, told: str) -> None:
    present = facts.check(CHECK, state(CRITICAL), seen(CRITICAL), NOW)
    assert evidence.evidence(journaled(verdict, said), present) == told


@pytest.mark.parametrize(
    ("verdict", "why", "told"),
    [
        (OK, "unknown, was pending: x (lag is measured as a time: above 50% does not fit it)", "lag is measured as a time"),
        (UNKNOWN, "unknown, was ok: x", ""),
        (OK, "counted", ""),
    ],
)  # fmt: skip
def test_a_bound_of_another_unit_is_the_reason_why_nobody_can_tell(verdict: Verdict, why: str, told: str) -> None:
    lines = [{**line, "why": why} for line in journaled(verdict, "")]
    found = evidence.clash(lines, facts.check(CHECK, state(UNKNOWN), seen(OK), NOW))
    assert bool(found) is bool(told)
    assert told in found
    assert evidence.clash(lines, facts.check(CHECK, state(OK), seen(OK), NOW)) == ""


def test_a_metric_of_a_bound_that_was_not_measured_is_named() -> None:
    bound = Bound(relation=Relation.BELOW, text="below 3d", operand=259_200.0, unit=Unit.SECONDS)
    rules = dataclasses.replace(RULES, warn=(("full_in", (bound,)), ("time", (bound,))))
    look = dataclasses.replace(seen(OK), metrics={"time": 0.1})
    check = dataclasses.replace(CHECK, rules=rules)
    assert evidence.unmeasured(check, facts.check(check, state(OK), look, NOW)) == ["full_in"]
    assert evidence.unmeasured(check, facts.check(check, CheckState(key=KEY), None, NOW)) == []


def test_what_was_measured_is_told_with_its_unit_and_every_moment_in_one_clock(
    capsys: pytest.CaptureFixture[str],
) -> None:
    look = dataclasses.replace(seen(CRITICAL), metrics={"time": 0.36836, "expires_in": 7_775_877.67, "lag": 0.003})
    present = facts.check(CHECK, state(CRITICAL), look, NOW)
    evidence.tell(
        {
            **present, "because": "so", "units": {"expires_in": "s", "lag": "s"}, "unmeasured": ["full_in"],
            "evidence": "type this", "rules": [], "counters": {}, "parents": [], "windows": [], "incident": None,
            "remedy": None, "refusals": [], "journal": [],
        }
    )  # fmt: skip
    told = capsys.readouterr().out
    for words in (
        "expires_in = 90d",
        "lag = 3ms",
        "time = 368.4ms",
        "evidence type this",
        "no bound on it can trip: full_in",
    ):
        assert words in told
    assert f"({local(look.at_us)})" in told
