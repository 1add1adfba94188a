"""When an incident opens, reopens, worsens and resolves, what priority it gets, and what people may do with it."""

import dataclasses
import itertools

import pytest

from agent.model.check import Rules
from agent.model.decision import Verb
from agent.model.incident import IncidentState
from agent.model.look import Verdict
from agent.model.service import Importance, Priority, Urgency
from agent.model.state import Mark, Phase
from agent.practices import incidents
from tests.unit.practices.telling import MINUTE, SECOND, START, Story, disks, letter, remedied, rules

WARNED = rules(fail_after=2, incident_from=Verdict.WARNING)


@pytest.mark.parametrize(
    ("its_rules", "seen", "told"),
    [
        (rules(fail_after=3), "cc", ".."),  # below the threshold: silence
        (rules(fail_after=3), "ccc", "..!"),  # the third in a row opens
        (rules(fail_after=3), "ccccc", "..!.."),  # once
        (rules(fail_after=3, recover_after=2), "cccoo", "..!.-"),  # two successes close
        (rules(fail_after=3), "cc?c", "...!"),  # unknown neither counts nor resets
        (rules(fail_after=2), "cc?????", ".!....."),  # and resolves nothing
        (rules(fail_after=2), "wwww", "...."),  # a warning is shown and counted, nothing is filed
        (rules(fail_after=2), "wwcc", "...!"),
        (rules(fail_after=2), "ccww", ".!.."),  # better, and not yet ok
        (rules(fail_after=2), "ccwwo", ".!..-"),
        (rules(fail_after=2), "ccwwcc", ".!...."),  # never any better than warning: the same episode
        (WARNED, "ww", ".!"),
        (WARNED, "wwcc", ".!.^"),  # worse
        (WARNED, "wwccc", ".!.^."),
        (WARNED, "wwccwwcc", ".!.^...."),  # not worse than it was
        (WARNED, "cw", ".!"),  # a critical counts as a warning
        (WARNED, "wwo", ".!-"),
        (rules(fail_after=1, incident_from=None), "cco", "..."),
        (rules(fail_after=1), "coco", "!-+-"),  # soon again: the same incident
        (rules(fail_after=1), "cocococo", "!-+-+-+-"),
        (rules(fail_after=1), "c" + "o" * 31 + "c", "!-" + "." * 30 + "!"),  # 31 minutes later: a new one
        (rules(fail_after=1), "c" + "o" * 30 + "c", "!-" + "." * 29 + "+"),  # within 30 minutes
    ],
)
def test_story(its_rules: Rules, seen: str, told: str) -> None:
    assert Story(its_rules).see(seen) == told


def test_an_incident_reopens_to_the_microsecond_within_its_time() -> None:
    for later, verb in ((1800 * SECOND, Verb.REOPEN), (1800 * SECOND + 1, Verb.OPEN)):
        story = Story(rules(fail_after=1))
        story.see("co")
        story.see("c", later)
        assert story.last[-1].verb is verb


def test_episodes_count_within_one_incident() -> None:
    story = Story(rules(fail_after=1))
    told: list[tuple[str, int]] = []
    for sign in "cococ" + "o" * 40 + "co":
        story.see(sign)
        told += [(one.verb.value, one.episode) for one in story.last if one.verb is not Verb.NOTE]
    assert told == [
        ("open", 1), ("resolve", 1), ("reopen", 2), ("resolve", 2), ("reopen", 3), ("resolve", 3), ("open", 1), ("resolve", 1),
    ]  # fmt: skip


def test_the_decision_to_open_says_what_was_seen_and_how_bad() -> None:
    story = Story(rules(fail_after=1))
    story.see("oc")
    opened = story.last[-1]
    assert (opened.verb, opened.severity, opened.hard, opened.why) == (Verb.OPEN, Verdict.CRITICAL, True, "seen")
    assert story.state.mark == Mark(open=True, severity=Verdict.CRITICAL, episode=1, opened_us=story.at_us)


def test_the_decision_to_resolve_says_what_is_seen_now() -> None:
    story = Story(rules(fail_after=1))
    story.see("co")
    assert story.why(Verb.RESOLVE) == f"{story.state.key} is ok again: seen"
    assert story.last[-1].severity is Verdict.CRITICAL
    mark = story.state.mark
    assert mark == Mark(
        open=False, severity=Verdict.CRITICAL, episode=1, opened_us=START + MINUTE, resolved_us=START + 2 * MINUTE
    )


def test_one_incident_lists_its_instances_the_worst_first_and_five_at_most() -> None:
    story = Story(rules(fail_after=1))
    story.look(disks(a="w", b="c", c="c", d="c", e="c", f="w", g="o"))
    assert story.why(Verb.OPEN) == "b is c; c is c; d is c; e is c; a is w"


def test_a_resolution_does_not_quote_what_is_about_to_fail_next() -> None:
    story = Story(rules(fail_after=2))
    for seen in (disks(a="c", b="o"), disks(a="c", b="o"), disks(a="o", b="c")):
        story.look(seen)
    assert story.why(Verb.RESOLVE) == f"{story.state.key} is ok again"


# silence, parents


@pytest.mark.parametrize(
    ("before", "during", "at_end", "told"),
    [
        ("", "ccc", "c", "!"),  # opens at its end if it still fails
        ("", "cco", "o", ""),
        ("", "c", "c", ""),  # soft at its end: not yet
        ("cc", "cco", "o", ""),  # what gets well in a silence is resolved at once
    ],
)
def test_a_silence_delays_an_incident_until_its_end(before: str, during: str, at_end: str, told: str) -> None:
    story = Story(rules(fail_after=2))
    story.see(before)
    story.window("shop/windows/nightly")
    assert "!" not in story.see(during)
    assert letter(story.state.raw) == at_end
    assert story.window("") == told


def test_what_gets_well_in_a_silence_is_resolved_at_once() -> None:
    story = Story(rules(fail_after=2))
    story.see("cc")
    story.window("shop/windows/nightly")
    assert story.see("co") == ".-"


def test_nothing_worsens_in_a_silence() -> None:
    story = Story(WARNED)
    story.see("ww")
    story.window("shop/windows/nightly")
    assert story.see("ccc") == "..."
    assert story.window("") == "^"


def test_the_end_of_a_silence_says_so() -> None:
    story = Story(rules(fail_after=1))
    assert story.window("shop/windows/nightly") == ""
    assert story.last[0].why == "silenced by shop/windows/nightly"
    assert story.window("shop/windows/nightly") == ""
    assert not story.last
    story.see("c")
    story.window("")
    assert [one.why for one in story.last] == [
        "the silence shop/windows/nightly is over",
        "it failed while it was silenced",
    ]


def test_nothing_opens_or_resolves_while_a_parent_fails() -> None:
    story = Story(rules(fail_after=1))
    story.parents("agent/checks/reach@web1")
    assert story.see("ccc") == "..."
    story.parents()
    assert story.see("c") == "!"
    story.parents("agent/checks/reach@web1")
    assert story.see("ooo") == "..."
    story.parents()
    assert story.see("o") == "-"


def test_what_waits_for_a_remedy_to_be_proven_is_not_resolved_yet() -> None:
    story = Story(remedied("shop/remedies/restart", recover_after=1, post_checks=(("shop/checks/basket@web1", 1, 3),)))
    assert story.see("c") == "[!T]"
    story.start()
    assert story.see("o") == "."
    story.end()
    assert story.see("o") == "."
    assert story.proof("o", begun=SECOND) == "P-"
    assert story.why(Verb.RESOLVE) == f"{story.state.key} is ok again"


def test_a_play_that_failed_does_not_keep_the_incident_of_a_check_that_is_ok() -> None:
    story = Story(remedied("shop/remedies/restart"))
    story.see("c")
    story.start()
    assert story.see("o") == "."
    assert story.end(ok=False) == "F-"


# people


def test_a_person_resolves_what_still_fails_and_is_left_alone() -> None:
    story = Story(rules(fail_after=1))
    story.see("c")
    assert story.person("resolve") == ""
    assert story.see("cccc") == "...."


def test_after_a_person_s_word_the_next_failure_counts_again() -> None:
    story = Story(rules(fail_after=1))
    story.see("c")
    story.person("resolve")
    assert story.see("co" + "o" * 40 + "c") == ".." + "." * 40 + "!"


def test_after_a_person_s_word_a_failure_soon_reopens() -> None:
    story = Story(rules(fail_after=1))
    story.see("c")
    story.person("resolve")
    assert story.see("oc") == ".+"


def test_a_person_s_word_holds_for_what_it_was_given_for_and_nothing_worse() -> None:
    story = Story(WARNED)
    story.see("ww")
    story.person("resolve")
    assert story.see("wwcc") == "...+"
    assert story.last[-1].severity is Verdict.CRITICAL


def test_a_person_s_word_is_about_what_is_seen_now() -> None:
    """It was critical, it is a warning, a person resolves it: critical again is worse than that."""
    story = Story(WARNED)
    story.see("ccww")
    story.person("resolve")
    assert story.see("wwcc") == "...+"


def test_a_person_who_resolves_what_is_ok_overrides_nothing() -> None:
    story = Story(remedied("shop/remedies/restart", post_checks=(("shop/checks/basket@web1", 1, 3),)))
    story.see("c")
    story.run()
    story.see("o")
    story.person("resolve")
    mark = story.state.mark
    assert mark is not None
    assert (mark.open, mark.overridden, mark.severity, mark.resolved_us) == (
        False, False, Verdict.CRITICAL, story.at_us,
    )  # fmt: skip


def test_what_a_person_reopens_is_not_resolved_by_the_next_look() -> None:
    story = Story(rules(fail_after=1))
    story.see("co")
    assert story.person("reopen") == ""
    assert story.see("ooo") == "..."
    assert story.person("resolve") == ""
    assert story.see("oc") == ".+"


def test_what_a_person_reopens_and_then_fails_resolves_as_usual() -> None:
    story = Story(rules(fail_after=1))
    story.see("co")
    story.person("reopen")
    assert story.see("occo") == "...-"
    assert story.last[-1].episode == 2


def test_what_a_person_reopens_and_fails_again_in_turn_is_worsened() -> None:
    story = Story(WARNED)
    story.see("wwo")
    story.person("reopen")
    assert story.see("cc") == ".^"
    mark = story.state.mark
    assert mark is not None
    assert not mark.held


def test_a_person_reopens_what_still_fails_as_the_next_episode() -> None:
    story = Story(rules(fail_after=1))
    story.see("c")
    story.person("resolve")
    story.person("reopen")
    mark = story.state.mark
    assert mark is not None
    assert (mark.open, mark.episode, mark.overridden, mark.held, mark.resolved_us) == (True, 2, False, False, None)
    assert story.see("co") == ".-"


@pytest.mark.parametrize(("seen", "verb"), [("c", "reopen"), ("co", "resolve"), ("", "resolve"), ("c", "comment")])
def test_a_verb_that_does_not_fit_changes_nothing(seen: str, verb: str) -> None:
    story = Story(rules(fail_after=1))
    story.see(seen)
    before = story.state
    assert story.person(verb) == ""
    assert story.state is before


@pytest.mark.parametrize("verb", ["resolve", "reopen"])
def test_a_new_episode_begins_with_a_new_ladder(verb: str) -> None:
    story = Story(remedied("shop/remedies/restart"))
    story.see("c")
    story.run(ok=False)
    assert story.climb.phase is Phase.EXHAUSTED
    if verb == "reopen":
        mark = story.state.mark
        assert mark is not None
        story.state = dataclasses.replace(story.state, mark=dataclasses.replace(mark, open=False, overridden=True))
    story.person(verb)
    assert story.state.climb is None


def test_what_runs_is_followed_to_its_end_whatever_a_person_says() -> None:
    story = Story(remedied("shop/remedies/restart"))
    story.see("c")
    story.start()
    story.person("resolve")
    assert story.climb.phase is Phase.RUNNING
    story.end()
    assert story.see("o") == "P"


def test_a_person_s_word_ends_with_the_failure_also_when_the_proof_that_was_waited_for_is_given_up() -> None:
    story = Story(remedied("shop/remedies/restart"))
    story.see("c")
    story.start()
    story.person("resolve")
    assert story.see("o") == "."
    story.reload(rules(fail_after=1))
    assert story.see("oc") == ".+"


# the matrix, the verbs


@pytest.mark.parametrize(
    ("importance", "priorities"),
    [
        (Importance.CRITICAL, "P1 P1 P2"),
        (Importance.HIGH, "P1 P2 P3"),
        (Importance.MEDIUM, "P2 P3 P4"),
        (Importance.LOW, "P3 P4 P5"),
    ],
)
def test_impact_and_urgency_give_the_priority(importance: Importance, priorities: str) -> None:
    urgencies = (Urgency.HIGH, Urgency.MEDIUM, Urgency.LOW)
    assert [incidents.priority(importance, urgency) for urgency in urgencies] == [
        Priority(text) for text in priorities.split()
    ]


@pytest.mark.parametrize(
    ("severity", "declared", "urgency"),
    [
        (Verdict.CRITICAL, None, Urgency.HIGH),
        (Verdict.WARNING, None, Urgency.LOW),
        (Verdict.CRITICAL, Urgency.LOW, Urgency.LOW),
        (Verdict.WARNING, Urgency.MEDIUM, Urgency.MEDIUM),
    ],
)
def test_the_urgency_is_declared_or_follows_the_severity(
    severity: Verdict, declared: Urgency | None, urgency: Urgency
) -> None:
    assert incidents.urgency_of(severity, declared) is urgency


ALLOWED = {
    ("ack", IncidentState.OPEN),
    ("assign", IncidentState.OPEN),
    ("assign", IncidentState.ACKNOWLEDGED),
    ("comment", IncidentState.OPEN),
    ("comment", IncidentState.ACKNOWLEDGED),
    ("comment", IncidentState.RESOLVED),
    ("comment", IncidentState.CLOSED),
    ("resolve", IncidentState.OPEN),
    ("resolve", IncidentState.ACKNOWLEDGED),
    ("reopen", IncidentState.RESOLVED),
}


@pytest.mark.parametrize(("verb", "state"), list(itertools.product(incidents.ALLOWED, IncidentState)))
def test_each_verb_in_each_state(verb: str, state: IncidentState) -> None:
    refusal = incidents.refusal(verb, state)
    assert (refusal == "") is ((verb, state) in ALLOWED)


def test_a_refusal_says_what_state_it_would_take() -> None:
    assert incidents.refusal("resolve", IncidentState.CLOSED) == (
        "an incident that is closed cannot be resolved: it must be acknowledged or open"
    )
