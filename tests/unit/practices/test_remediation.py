"""The ladder of remedies: attempts, rungs, refusals, restarts, verification, what is uncertain."""

import dataclasses

import pytest

from agent.model.check import RemedyRules, Rules, Threshold
from agent.model.decision import Verb
from agent.model.look import Verdict
from agent.model.state import CheckState, Phase
from agent.practices import remediation
from agent.practices.story import wants_retry, wants_tick
from tests.unit.practices.telling import KEY, MINUTE, OTHER, SECOND, Story, disks, remedied, rules

RESTART, FAILOVER, CLEAN = "shop/remedies/restart", "shop/remedies/failover", "shop/remedies/clean"


def asked(story: Story) -> tuple[str, int, int]:
    """Which remedy was just asked for, on which rung, which attempt."""
    (one,) = [decision for decision in story.last if decision.verb is Verb.TRY_REMEDY]
    return one.remedy, one.rung, one.attempt


# asking


@pytest.mark.parametrize(
    ("its_rules", "seen", "told"),
    [
        (rules(fail_after=1), "ccc", "!.."),  # no ladder
        (remedied(RESTART), "ccc", "[!T].."),  # asked once, until there is an answer
        (remedied(RESTART, fail_after=3), "ccc", "..[!T]"),  # only what is hard
        (remedied(RESTART), "www", "..."),  # at critical unless given per severity
        (remedied(warn=(CLEAN,)), "www", "T.."),
        (remedied(warn=(CLEAN,)), "ccc", "!.."),  # and the other way round
        (remedied(RESTART, incident_from=None), "c", "T"),  # without an incident too
        (remedied(RESTART), "c?", "[!T]."),
    ],
)
def test_a_remedy_is_asked_for(its_rules: Rules, seen: str, told: str) -> None:
    assert Story(its_rules).see(seen) == told


def test_the_question_says_what_and_why() -> None:
    story = Story(remedied(RESTART))
    story.see("c")
    story.refuse()
    assert story.see("oc") == "-[+T]"
    assert asked(story) == (RESTART, 0, 1)
    question = story.last[-1]
    assert (question.severity, question.episode, question.why) == (Verdict.CRITICAL, 2, "seen")


def test_a_question_without_an_incident_is_about_the_first_episode() -> None:
    story = Story(remedied(RESTART, incident_from=None))
    story.see("c")
    assert story.last[-1].episode == 1


@pytest.mark.parametrize("how", ["parents", "window"])
def test_nothing_is_asked_while_it_is_suppressed_or_silenced(how: str) -> None:
    story = Story(remedied(RESTART, fail_after=2))
    story.see("c")
    if how == "window":
        story.window("shop/windows/nightly")
        assert story.see("cc") == ".."
        assert story.window("") == "!T"
    else:
        story.parents("agent/checks/reach@web1")
        assert story.see("cc") == ".."
        assert story.parents() == ""
        assert story.see("cc") == ".[!T]"


def test_nothing_is_asked_after_a_person_s_word_unless_it_gets_worse() -> None:
    story = Story(remedied(RESTART, incident_from=Verdict.WARNING, warn=(CLEAN,)))
    story.see("w")
    story.refuse()
    story.person("resolve")
    assert story.see("ww") == ".."
    assert story.tick(2 * MINUTE) == ""
    assert story.see("c") == "[+T]"


@pytest.mark.parametrize(
    ("between", "told"), [("o", "."), ("?", "."), ("w", "."), ("c", "T")], ids=["ok", "unknown", "warning", "critical"]
)
def test_a_refused_remedy_is_asked_for_again_only_while_the_last_result_is_as_bad(between: str, told: str) -> None:
    story = Story(remedied(RESTART, recover_after=3))
    story.see("c")
    story.refuse()
    story.see(between, SECOND)
    assert (story.tick(MINUTE) or ".") == told


def test_what_just_passed_is_not_remedied_though_the_window_is_still_bad() -> None:
    """Two of three are critical still, and the last one is ok: the remedy that was just proven is not asked for anew."""
    story = Story(remedied(RESTART, fail_after=Threshold(count=2, window=3)))
    assert story.see("cc") == ".[!T]"
    story.run()
    assert story.see("o") == "P"
    assert story.see("o") == "-"


# the answers of the gates


def test_a_refusal_without_a_moment_is_asked_again_after_a_minute() -> None:
    story = Story(remedied(RESTART))
    story.see("c")
    assert story.refuse() == ""
    assert story.climb.phase is Phase.REFUSED
    assert story.tick(MINUTE - 1) == ""
    assert story.tick(1) == "T"
    assert asked(story) == (RESTART, 0, 1)  # no attempt was used
    assert story.why(Verb.TRY_REMEDY) == "it still fails"


def test_a_refusal_names_the_moment_of_the_next_question() -> None:
    story = Story(remedied(RESTART))
    story.see("c")
    story.refuse(until_us=story.at_us + 10 * MINUTE)
    assert story.tick(10 * MINUTE - 1) == ""
    assert story.tick(1) == "T"


def test_a_result_may_bring_the_question_as_well_as_time() -> None:
    story = Story(remedied(RESTART))
    story.see("c")
    story.refuse()
    assert story.see("c") == "T"


def test_the_same_refusal_is_told_once() -> None:
    story = Story(remedied(RESTART))
    story.see("c")
    told = []
    for reason in ("spent", "spent", "locked", "spent"):
        story.refuse(reason)
        told.append([one.why for one in story.last])
        story.tick(MINUTE)
    assert told == [
        [f"{RESTART} was refused by budget: spent"],
        [],
        [f"{RESTART} was refused by budget: locked"],
        [f"{RESTART} was refused by budget: spent"],
    ]


def test_a_refusal_tells_what_it_needs() -> None:
    story = Story(remedied(RESTART))
    story.see("c")
    story.refuse("mode propose", needs="watchkeeper playbook run restart.yml", waits=True)
    assert (
        story.why(Verb.COMMENT)
        == f"{RESTART} was refused by budget: mode propose; watchkeeper playbook run restart.yml"
    )


def test_what_waits_for_a_person_is_not_asked_again_until_the_rules_are_others() -> None:
    story = Story(remedied(RESTART))
    story.see("c")
    story.refuse(waits=True)
    assert story.climb.phase is Phase.WAITING
    assert story.tick(60 * MINUTE) == ""
    assert story.see("c") == "."
    assert story.reload(remedied(RESTART, attempts=2)) == ""
    assert story.tick() == "T"


def test_a_refused_remedy_is_forgotten_when_the_check_is_ok() -> None:
    story = Story(remedied(RESTART))
    story.see("c")
    story.refuse()
    assert story.see("o") == "-"
    assert story.state.climb is None


@pytest.mark.parametrize("exec_id", ["", "X2"])
def test_a_refusal_of_something_else_changes_nothing(exec_id: str) -> None:
    story = Story(remedied(RESTART))
    story.see("c")
    story.start("X1")
    before = story.state
    assert story.refuse(exec_id=exec_id) == ""
    assert story.state is before


def test_a_play_cancelled_before_it_began_uses_no_attempt() -> None:
    """The gates had said yes, and the agent was restarted before the first packet."""
    story = Story(remedied(RESTART, FAILOVER))
    story.see("c")
    story.start("X1")
    story.refuse("the agent was restarted", exec_id="X1", until_us=story.at_us)
    assert (story.climb.phase, story.climb.exec_id) == (Phase.REFUSED, "")
    assert story.tick() == "T"
    assert asked(story) == (RESTART, 0, 1)


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.ASKED])
def test_a_start_that_nobody_asked_for_changes_nothing(phase: Phase) -> None:
    story = Story(remedied(RESTART))
    story.see("c")
    story.state = dataclasses.replace(story.state, climb=dataclasses.replace(story.climb, phase=phase))
    before = story.state
    assert story.start("X9") == ""
    assert story.state is before


def test_nothing_that_happens_to_a_remedy_matters_without_one() -> None:
    story = Story(remedied(RESTART))
    before = story.state
    assert story.start() + story.refuse() + story.end() + story.proof("o") + story.tick() == ""
    assert story.state is before


# verification


def test_a_remedy_worked_when_the_check_that_asked_passes() -> None:
    story = Story(remedied(RESTART, recover_after=2))
    story.see("c")
    assert story.run() == ""
    assert story.why(Verb.COMMENT) == f"{RESTART}: it ended; the play is over"
    assert story.see("oo") == ".[P-]"
    assert story.why(Verb.REMEDY_PROVEN) == f"{RESTART} worked: its post-checks pass ({KEY})"
    assert [one.exec_id for one in story.last if one.verb is Verb.REMEDY_PROVEN] == ["X1"]
    assert story.state.climb is None


def test_a_check_that_is_at_rest_by_its_counters_still_proves() -> None:
    story = Story(remedied(RESTART, incident_from=None, post_checks=((KEY, 3, 9),)))
    story.see("c")
    story.run()
    assert story.see("ooo") == "..P"


def test_a_result_begun_before_the_end_proves_nothing() -> None:
    story = Story(remedied(RESTART, recover_after=1))
    story.see("c")
    story.run()
    assert story.see("o", SECOND) == "."  # it began at the very moment of the end
    assert story.see("o", 2 * SECOND) == "[P-]"


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        ("oo", ".[P-]"),
        ("coco", "...."),
        ("ccc", "..F"),  # a hard failure
        ("c?cc", "...F"),  # unknown neither counts nor resets
        ("o?o", "..[P-]"),
        ("ccocc", "....."),  # not three in a row
        ("www", "..F"),  # a warning is no pass
        ("wcw", "..F"),
    ],
)
def test_what_proves_a_remedy(seen: str, told: str) -> None:
    story = Story(remedied(RESTART, fail_after=3, recover_after=2, verify_within_seconds=3600.0))
    story.see("ccc")
    story.run()
    assert story.see(seen, 10 * SECOND) == told


def test_with_a_threshold_in_time_only_time_says_that_it_failed() -> None:
    story = Story(remedied(RESTART, fail_after=Threshold(seconds=60.0)))
    assert story.see("cc") == ".[!T]"
    story.run()
    assert story.see("cccccccc", 10 * SECOND) == "........"
    assert story.tick(5 * MINUTE) == "F"


def test_post_checks_of_others_decide_and_the_asking_check_does_not() -> None:
    story = Story(remedied(RESTART, post_checks=((OTHER, 2, 3),)))
    story.see("c")
    story.run()
    assert story.see("oo") == ".."
    assert story.proof("o", begun=SECOND) == ""
    assert story.proof("o", begun=SECOND) == "P-"
    assert story.why(Verb.REMEDY_PROVEN) == f"{RESTART} worked: its post-checks pass ({OTHER})"


def test_all_post_checks_must_pass_and_one_that_is_hard_is_enough_to_fail() -> None:
    both = remedied(RESTART, post_checks=((OTHER, 1, 2), (KEY, 2, 9)))
    story = Story(both)
    story.see("c")
    story.run()
    assert story.proof("o", begun=SECOND) == ""
    assert story.see("oo") == ".[P-]"
    story = Story(both)
    story.see("c")
    story.run()
    assert story.see("o") == "."
    assert story.proof("c", begun=SECOND) + story.proof("o", begun=SECOND) + story.proof("c", begun=SECOND) == ""
    assert story.proof("c", begun=SECOND) == "F-"
    assert story.why(Verb.REMEDY_FAILED) == f"{RESTART} did not work: {OTHER} still fails after it"


@pytest.mark.parametrize(
    ("key", "sign", "begun"), [(OTHER, "o", 0), (OTHER, "?", SECOND), ("shop/checks/else@web1", "o", SECOND)]
)
def test_a_proof_that_is_none_changes_nothing(key: str, sign: str, begun: int) -> None:
    story = Story(remedied(RESTART, post_checks=((OTHER, 1, 3),)))
    story.see("c")
    story.run()
    before = story.state
    assert story.proof(sign, key, begun) == ""
    assert story.state is before


def test_nothing_is_proven_and_nothing_fails_while_a_parent_fails() -> None:
    story = Story(remedied(RESTART))
    story.see("c")
    story.run()
    story.parents("agent/checks/reach@web1")
    assert story.see("ccco", SECOND) == "...."
    story.parents()
    assert story.see("o") == "[P-]"


def test_what_is_not_proven_in_time_has_failed() -> None:
    story = Story(remedied(RESTART, verify_within_seconds=300.0, post_checks=((OTHER, 1, 3),)))
    story.see("c")
    story.run()
    assert story.tick(300 * SECOND - 1) == ""
    assert story.tick(1) == "F"
    assert story.why(Verb.REMEDY_FAILED) == f"{RESTART} did not work: its post-checks did not pass in time"


def test_results_of_all_instances_prove_a_remedy() -> None:
    story = Story(remedied(RESTART))
    story.look(disks(a="o", b="c"))
    story.run()
    assert story.look(disks(a="w", b="o")) == "F"


# attempts and rungs


def test_attempts_come_first_then_the_next_rung_then_a_person() -> None:
    story = Story(remedied(RESTART, FAILOVER, attempts=2))
    questions = []
    told = story.see("c")
    for exec_id in ("X1", "X2", "X3", "X4"):
        assert "T" in told
        questions.append(asked(story))
        story.run(exec_id)
        told = story.see("c")
    assert questions == [(RESTART, 0, 1), (RESTART, 0, 2), (FAILOVER, 1, 1), (FAILOVER, 1, 2)]
    assert told == "F"
    assert story.climb.phase is Phase.EXHAUSTED
    assert story.why(Verb.COMMENT) == "no remedy is left to try: a person is needed"
    assert story.see("ccc") == "..."
    assert story.tick(60 * MINUTE) == ""


def test_a_ladder_of_three_is_climbed_rung_by_rung() -> None:
    story = Story(remedied(RESTART, CLEAN, FAILOVER))
    story.see("c")
    questions = [asked(story)]
    for exec_id in ("X1", "X2"):
        story.run(exec_id)
        story.see("c")
        questions.append(asked(story))
    assert questions == [(RESTART, 0, 1), (CLEAN, 1, 1), (FAILOVER, 2, 1)]


def test_a_failed_attempt_says_which_it_was() -> None:
    story = Story(remedied(RESTART, attempts=2))
    story.see("c")
    story.run("X1")
    assert story.see("c") == "[FT]"
    failed = story.last[0]
    assert (failed.verb, failed.remedy, failed.exec_id, failed.attempt) == (Verb.REMEDY_FAILED, RESTART, "X1", 1)


def test_a_playbook_that_failed_is_a_failed_attempt_and_the_next_is_asked_for_in_a_moment() -> None:
    story = Story(remedied(RESTART, FAILOVER))
    story.see("c")
    assert story.run(ok=False) == "F"
    assert story.why(Verb.REMEDY_FAILED) == f"{RESTART} did not work: the playbook failed: the play is over"
    assert story.tick() == "T"
    assert asked(story) == (FAILOVER, 1, 1)


def test_the_refusal_of_one_attempt_is_told_again_for_the_next_rung() -> None:
    story = Story(remedied(RESTART, FAILOVER))
    story.see("c")
    story.run(ok=False)
    story.tick()
    story.refuse()
    assert story.why(Verb.COMMENT) == f"{FAILOVER} was refused by budget: spent"


def test_an_end_that_is_uncertain_is_verified_and_never_blindly_repeated() -> None:
    story = Story(remedied(RESTART, FAILOVER, attempts=3))
    story.see("c")
    assert story.run(ok=False, uncertain=True) == ""
    assert story.why(Verb.COMMENT) == f"{RESTART}: its end is uncertain; the play is over"
    assert story.see("c") == "F"
    assert story.climb.phase is Phase.EXHAUSTED
    assert story.why(Verb.COMMENT) == "its end is uncertain, so nothing more is tried: a person is needed"
    assert story.see("cc") == ".."


def test_an_uncertain_end_may_be_proven_all_the_same() -> None:
    story = Story(remedied(RESTART))
    story.see("c")
    story.run(uncertain=True)
    assert story.see("o") == "[P-]"


def test_the_end_of_another_play_or_a_second_end_changes_nothing() -> None:
    story = Story(remedied(RESTART))
    story.see("c")
    story.start("X1")
    assert story.end(exec_id="X2") == ""
    assert story.climb.phase is Phase.RUNNING
    story.end(exec_id="X1")
    before = story.state
    assert story.end(exec_id="X1", ok=False) == ""
    assert story.state is before


def test_when_the_check_is_ok_after_a_failed_attempt_nothing_more_is_tried() -> None:
    story = Story(remedied(RESTART, FAILOVER, post_checks=((OTHER, 1, 1),)))
    story.see("c")
    story.run()
    story.see("o")
    assert story.proof("c", begun=SECOND) == "F-"
    assert story.state.climb is None


def test_the_next_episode_begins_at_the_first_rung() -> None:
    story = Story(remedied(RESTART, FAILOVER))
    story.see("c")
    story.run(ok=False)
    story.tick()
    story.run("X2", ok=False)
    assert story.climb.phase is Phase.EXHAUSTED
    assert story.see("oc") == "-[+T]"
    assert asked(story) == (RESTART, 0, 1)


# two severities


def test_worse_climbs_the_other_ladder_when_nothing_is_under_way() -> None:
    story = Story(remedied(RESTART, warn=(CLEAN,)))
    assert story.see("w") == "T"
    assert asked(story) == (CLEAN, 0, 1)
    story.refuse()
    assert story.see("c") == "[!T]"
    assert asked(story) == (RESTART, 0, 1)


@pytest.mark.parametrize("phase", [Phase.ASKED, Phase.RUNNING, Phase.VERIFYING])
def test_worse_waits_for_what_is_under_way(phase: Phase) -> None:
    """Two questions without an answer in between would mix up their answers."""
    story = Story(remedied(RESTART, warn=(CLEAN,), fail_after=2, verify_within_seconds=600.0))
    story.see("ww")
    if phase is not Phase.ASKED:
        story.start()
    if phase is Phase.VERIFYING:
        story.end()
    assert story.climb.phase is phase
    assert story.see("c") + story.see("c")[:2] == (".[F" if phase is Phase.VERIFYING else ".!")


def test_worse_is_tried_after_the_other_ladder_is_exhausted() -> None:
    story = Story(remedied(RESTART, warn=(CLEAN,)))
    story.see("w")
    story.run(ok=False)
    assert story.climb.phase is Phase.EXHAUSTED
    assert story.see("c") == "[!T]"
    assert asked(story) == (RESTART, 0, 1)


def test_a_remedy_for_critical_is_not_run_at_a_warning() -> None:
    story = Story(remedied(RESTART, warn=(CLEAN,)))
    story.see("c")
    story.refuse()
    assert story.see("ww") == ".."
    assert story.tick(MINUTE) == ""
    assert story.see("c") == "T"
    assert asked(story) == (RESTART, 0, 1)


def test_a_remedy_for_warning_may_still_run_when_it_is_worse_and_there_is_no_other() -> None:
    story = Story(remedied(warn=(CLEAN,)))
    story.see("w")
    story.refuse()
    assert story.see("c") == "[!T]"
    assert asked(story) == (CLEAN, 0, 1)


def test_better_and_worse_again_does_not_begin_the_ladder_anew() -> None:
    story = Story(remedied(RESTART, warn=(CLEAN,)))
    story.see("c")
    story.run(ok=False)
    assert story.see("wcwc") == "...."
    assert story.climb.phase is Phase.EXHAUSTED


# other rules, and gaps


@pytest.mark.parametrize("phase", list(Phase))
def test_a_remedy_that_is_gone_is_left(phase: Phase) -> None:
    story = Story(remedied(RESTART))
    story.see("c")
    story.state = dataclasses.replace(story.state, climb=dataclasses.replace(story.climb, phase=phase))
    story.reload(remedied(FAILOVER))
    assert story.state.climb is None
    assert story.see("c") == "T"
    assert asked(story) == (FAILOVER, 0, 1)


def test_the_place_on_the_ladder_is_where_the_remedy_stands_now() -> None:
    story = Story(remedied(RESTART, FAILOVER))
    story.see("c")
    story.start()
    story.reload(remedied(FAILOVER, RESTART))
    story.end(ok=False)
    assert story.climb.phase is Phase.EXHAUSTED


def test_a_reload_keeps_the_counts_of_the_post_checks_that_stay() -> None:
    story = Story(remedied(RESTART, post_checks=((OTHER, 2, 3),)))
    story.see("c")
    story.run()
    story.proof("o", begun=SECOND)
    story.reload(remedied(RESTART, post_checks=((KEY, 1, 3), (OTHER, 2, 3))))
    assert story.climb.proofs == ((KEY, 0, 0), (OTHER, 1, 0))
    assert story.see("o") == "."
    assert story.proof("o", begun=SECOND) == "P-"


def test_a_reload_that_changes_nothing_for_a_ladder_leaves_it_as_it_is() -> None:
    its_rules = remedied(RESTART)
    story = Story(its_rules)
    story.see("c")
    story.reload(its_rules)
    before = story.state
    story.reload(its_rules)
    assert story.state is before


@pytest.mark.parametrize("ok", [True, False])
def test_rules_without_the_remedy_never_raise_even_when_nobody_said_so(ok: bool) -> None:
    story = Story(remedied(RESTART))
    story.see("c")
    story.start()
    story.rules = remedied(FAILOVER)
    assert story.end(ok=ok) == ("" if ok else "F")
    story = Story(remedied(RESTART))
    story.see("c")
    story.run()
    story.rules = remedied(FAILOVER)
    assert story.see("o" if ok else "c") == "."
    assert story.tick(60 * MINUTE)[:1] == "F"


def test_post_checks_that_changed_without_a_word_never_raise() -> None:
    story = Story(remedied(RESTART))
    story.see("c")
    story.run()
    story.rules = remedied(RESTART, post_checks=((OTHER, 1, 1), (KEY, 1, 1)))
    assert story.see("o") == "."
    assert story.see("c") == "F"
    story = Story(remedied(RESTART))
    story.see("c")
    story.run()
    story.rules = remedied(RESTART, post_checks=((OTHER, 1, 1), (KEY, 1, 9)))
    assert story.see("c") == "."  # no word of the other one is no failure of it


def test_a_gap_gives_a_proof_its_whole_time_again() -> None:
    """The agent was down for an hour: that the remedy was not proven meanwhile is no failure of the remedy."""
    story = Story(remedied(RESTART, verify_within_seconds=300.0))
    story.see("c")
    story.run()
    story.at_us += 60 * MINUTE
    story.gap()
    assert story.tick(300 * SECOND - 1) == ""
    assert story.tick(1) == "F"


@pytest.mark.parametrize(("hours", "first"), [(-2, "."), (2, "[P-]")])
def test_a_proof_is_found_after_the_clock_was_set(hours: int, first: str) -> None:
    """Set back, the end of the play lies in the future: what begins after the clock was set proves it."""
    story = Story(remedied(RESTART))
    story.see("c")
    story.run()
    story.at_us += hours * 60 * MINUTE
    story.gap()
    assert story.see("o", SECOND) == first
    assert (story.see("o", 2 * SECOND) == "[P-]") is (first == ".")


def test_after_a_gap_what_was_refused_is_asked_again_at_once() -> None:
    story = Story(remedied(RESTART))
    story.see("c")
    story.refuse(until_us=story.at_us + 60 * MINUTE)
    story.gap()
    assert story.tick() == "T"


@pytest.mark.parametrize("phase", [Phase.ASKED, Phase.WAITING, Phase.RUNNING, Phase.EXHAUSTED])
def test_a_gap_changes_nothing_else_of_a_ladder(phase: Phase) -> None:
    story = Story(remedied(RESTART))
    story.see("c")
    story.state = dataclasses.replace(story.state, climb=dataclasses.replace(story.climb, phase=phase))
    before = story.climb
    story.gap()
    assert story.climb is before


def test_a_gap_with_a_remedy_that_is_gone_changes_nothing() -> None:
    story = Story(remedied(RESTART))
    story.see("c")
    story.run()
    before = story.climb
    story.rules = remedied(FAILOVER)
    story.gap()
    assert story.climb is before


@pytest.mark.parametrize(
    ("phase", "retries", "ticks"),
    [
        (Phase.ASKED, False, False),
        (Phase.REFUSED, False, True),
        (Phase.WAITING, False, False),
        (Phase.RUNNING, False, False),
        (Phase.VERIFYING, True, True),
        (Phase.EXHAUSTED, False, False),
    ],
)
def test_what_a_ladder_wants_of_time(phase: Phase, retries: bool, ticks: bool) -> None:
    story = Story(remedied(RESTART))
    story.see("c")
    story.state = dataclasses.replace(story.state, climb=dataclasses.replace(story.climb, phase=phase))
    assert (wants_retry(story.state), wants_tick(story.state)) == (retries, ticks)
    assert not wants_retry(dataclasses.replace(story.state, parents=("agent/checks/reach@web1",)))


@pytest.mark.parametrize(
    ("severity", "rungs"),
    [
        (Verdict.OK, ()),
        (Verdict.UNKNOWN, ()),
        (Verdict.WARNING, (CLEAN,)),
        (Verdict.CRITICAL, (RESTART, FAILOVER)),
    ],
)
def test_each_severity_has_its_ladder(severity: Verdict, rungs: tuple[str, ...]) -> None:
    assert remediation.ladder(remedied(RESTART, FAILOVER, warn=(CLEAN,)), severity) == rungs


def test_a_remedy_that_is_on_no_ladder_has_no_rules() -> None:
    with pytest.raises(KeyError):
        rules(remedies=(RemedyRules(item=RESTART),)).remedy(FAILOVER)


def test_a_check_that_was_never_seen_asks_for_nothing() -> None:
    state = CheckState(key=KEY)
    assert remediation.follow(state, remedied(RESTART), 0, "") == (state, ())
