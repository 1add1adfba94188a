"""The one step: instances, unknowns, parents, gaps; the same object when nothing changed; and what holds for any story."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent.model.bounds import Bound, Relation
from agent.model.check import RemedyRules, Rules, Threshold
from agent.model.decision import Decision, Verb
from agent.model.decision import as_document as told_document
from agent.model.look import Look, Measure, Result, Verdict
from agent.model.state import CheckState, Phase, as_document, from_document
from agent.practices import story as practice
from agent.practices.story import step, wants_retry, wants_tick
from tests.unit.practices.telling import KEY, MINUTE, OTHER, SECOND, START, Story, disks, letter, look, remedied, rules

REACH = "agent/checks/reach@web1"
RESTART, FAILOVER, CLEAN = "shop/remedies/restart", "shop/remedies/failover", "shop/remedies/clean"


# notes


def test_each_change_is_told_once_and_in_words() -> None:
    story = Story(rules(fail_after=2))
    told = []
    for sign in "occco":
        story.see(sign)
        told.append([one.why for one in story.last if one.verb is Verb.NOTE])
    assert told == [
        ["ok, was pending: seen"],
        ["critical, was ok: seen"],
        ["hard critical, was ok: seen"],
        [],
        ["hard ok, was critical: seen"],
    ]


def test_a_note_says_how_bad_and_of_what() -> None:
    story = Story(rules(fail_after=2))
    for _ in range(2):
        story.look(disks(data="c"))
    soft_or_hard = story.last[0]
    assert (soft_or_hard.instance, soft_or_hard.severity, soft_or_hard.hard) == ("data", Verdict.CRITICAL, True)
    story.look(disks(data="w"))
    assert (story.last[0].severity, story.last[0].hard) == (Verdict.WARNING, True)


def test_the_bound_that_tripped_is_part_of_the_why() -> None:
    its_rules = rules(fail_after=1, crit=(("used", (Bound(relation=Relation.ABOVE, text="above 90%", operand=0.9),)),))
    story = Story(its_rules)
    inner = {"/": look("o", "95 % used", {"used": 0.95}), "data": look("o", "data: 96 % used", {"used": 0.96})}
    story.look(Look(verdict=Verdict.OK, summary="all well", instances=inner))
    assert story.why(Verb.OPEN) == (
        "/: 95 % used (used is 0.95, above 90% trips); data: 96 % used (used is 0.96, above 90% trips)"
    )


# what had better be its own failure


@pytest.mark.parametrize(
    ("fail_after", "before", "sign", "is_grave"),
    [
        (2, "o", "c", False),  # still soft
        (2, "oc", "c", True),
        (1, "o", "w", False),  # incidents are from critical on
        (1, "o", "c", True),
        (1, "c", "c", False),  # told already
        (1, "co", "c", True),  # opened again
        (1, "c", "o", False),
    ],
)
def test_what_is_told_or_acted_upon_is_grave(*, fail_after: int, before: str, sign: str, is_grave: bool) -> None:
    story = Story(rules(fail_after=fail_after))
    story.see(before)
    given = Result(key=KEY, begun_us=story.at_us, ended_us=story.at_us + SECOND, look=look(sign))
    assert practice.is_grave(story.state, given, story.rules) is is_grave


def test_a_remedy_is_grave_where_no_incident_is_wanted() -> None:
    story = Story(remedied(RESTART, incident_from=None))
    given = Result(key=KEY, begun_us=START, ended_us=START, look=look("c"))
    assert practice.is_grave(story.state, given, story.rules)


# instances


def test_instances_are_counted_each_for_itself_and_the_worst_speaks() -> None:
    story = Story(rules(fail_after=2))
    told = [
        story.look(seen)
        for seen in (disks(a="c", b="o"), disks(a="o", b="c"), disks(a="c", b="c"), disks(a="c", b="o"))
    ]
    assert told == ["", "", "!", ""]
    assert {name: letter(one.hard) for name, one in story.state.instances.items()} == {"a": "c", "b": "o"}
    assert (letter(story.state.raw), letter(story.state.hard)) == ("c", "c")


@pytest.mark.parametrize(
    ("fail_after", "absent", "kept"),
    [
        (Threshold(count=3), 1, True),
        (Threshold(count=3), 2, True),
        (Threshold(count=3), 3, False),
        (Threshold(count=1), 1, False),
        (Threshold(count=2, window=9), 1, True),
        (Threshold(count=2, window=9), 2, False),
    ],
)
def test_a_vanished_instance_is_kept_for_fail_after_results(fail_after: Threshold, absent: int, kept: bool) -> None:
    story = Story(rules(fail_after=fail_after))
    story.look(disks(a="o", b="o"))
    for _ in range(absent):
        story.look(disks(a="o"))
    assert ("b" in story.state.instances) is kept
    if not kept:
        assert [one.why for one in story.last] == [f"b is gone: {fail_after.count} results without it"]


def test_an_instance_that_comes_back_in_time_goes_on_where_it_was() -> None:
    story = Story(rules(fail_after=3))
    script = (disks(a="o", b="c"), disks(a="o", b="c"), disks(a="o"), disks(a="o"), disks(a="o", b="c"))
    told = [story.look(seen) for seen in script]
    assert told == ["", "", "", "", "!"]
    assert story.state.instances["b"].absent == 0


def test_results_without_it_are_counted_anew_when_an_instance_vanishes_again() -> None:
    story = Story(rules(fail_after=2))
    for seen in (disks(a="o", b="o"), disks(a="o"), disks(a="o", b="o"), disks(a="o")):
        story.look(seen)
    assert story.state.instances["b"].absent == 1


def test_an_incident_about_an_instance_that_is_gone_is_resolved_by_that() -> None:
    story = Story(rules(fail_after=2))
    for seen in (disks(a="o", b="c"), disks(a="o", b="c"), disks(a="o")):
        story.look(seen)
    assert letter(story.state.hard) == "c"
    assert story.look(disks(a="o")) == "-"
    assert story.why(Verb.RESOLVE) == f"{KEY} is ok again: b is gone: 2 results without it"


def test_the_whole_is_an_instance_like_others() -> None:
    story = Story(rules(fail_after=1))
    story.see("c")
    assert story.look(disks(a="o")) == "-"
    assert story.last[1].why == "the whole is gone: 1 results without it"


def test_an_unknown_look_is_one_of_every_instance_and_none_is_absent() -> None:
    story = Story(rules(fail_after=2))
    story.look(disks(a="o", b="c"))
    story.see("??")
    assert {name: letter(one.raw) for name, one in story.state.instances.items()} == {"a": "?", "b": "?"}
    assert story.look(disks(a="o", b="c")) == "!"


def test_an_unknown_instance_says_nothing_about_the_others() -> None:
    story = Story(rules(fail_after=2))
    story.look(disks(a="o", b="o"))
    story.look(disks(a="?", b="o"))
    assert {name: letter(one.raw) for name, one in story.state.instances.items()} == {"a": "?", "b": "o"}


def test_a_look_at_the_whole_says_nothing_about_the_instances() -> None:
    story = Story(rules(fail_after=2))
    story.look(disks(a="o"))
    story.see("c")
    assert {name: (letter(one.raw), one.absent) for name, one in story.state.instances.items()} == {
        "": ("c", 0),
        "a": ("o", 1),
    }


def test_what_stood_for_all_while_none_was_known_makes_room() -> None:
    story = Story(rules(fail_after=3))
    story.see("??")
    assert list(story.state.instances) == [""]
    story.look(disks(a="o"))
    assert list(story.state.instances) == ["a"]
    assert [one.why for one in story.last] == ["ok, was pending: a is o"]


def test_a_whole_that_was_seen_is_kept_like_any_other() -> None:
    story = Story(rules(fail_after=3))
    story.see("oc")
    story.look(disks(a="o"))
    assert list(story.state.instances) == ["a", ""]
    story = Story(rules(fail_after=1))
    story.see("c?")
    story.rules = rules(fail_after=3)
    story.look(disks(a="o"))
    assert list(story.state.instances) == ["a", ""]


# the same object


@pytest.mark.parametrize(
    "steady",
    [look("o"), look("c"), look("w"), look("?"), disks(a="o", b="c"), disks(a="?", b="o"), disks(a="?", b="w")],
    ids=["ok", "critical", "warning", "unknown", "instances", "one-unknown", "unknown-and-warning"],
)
@pytest.mark.parametrize("how", ["plain", "suppressed", "silenced", "resolved by a person", "reopened", "refused"])
def test_a_steady_result_gives_the_same_object_and_decides_nothing(steady: Look, how: str) -> None:
    story = Story(remedied(RESTART) if how == "refused" else rules(fail_after=2))
    for _ in range(4):
        story.look(steady)
    if how == "suppressed":
        story.parents(REACH)
    if how == "silenced":
        story.window("shop/windows/nightly")
    if how == "resolved by a person":
        story.person("resolve")
    if how == "reopened":
        story.see("cc")
        story.look(steady)
        story.look(steady)
        story.person("reopen")
    if how == "refused":
        story.refuse(waits=True)
    story.look(steady)
    before = story.state
    assert story.look(steady) == ""
    assert not story.last
    assert story.state is before


def test_instances_in_another_order_are_the_same_object() -> None:
    story = Story(rules(fail_after=2))
    story.look(disks(a="o", b="o"))
    before = story.state
    story.look(disks(b="o", a="o"))
    assert story.state is before


def test_a_vanished_instance_is_kept_as_it_is_while_a_parent_fails() -> None:
    story = Story(rules(fail_after=2))
    story.look(disks(a="o", b="c"))
    story.parents(REACH)
    story.look(disks(a="o"))
    before = story.state
    for _ in range(5):
        story.look(disks(a="o"))
    assert story.state is before
    assert "b" in before.instances


@pytest.mark.parametrize(
    "again",
    [
        lambda story: story.parents(),
        lambda story: story.window(""),
        lambda story: story.gap(),
        lambda story: story.reload(story.rules),
        lambda story: story.tick(),
        lambda story: story.person("comment"),
    ],
    ids=["parents", "window", "gap", "reload", "tick", "person"],
)
def test_an_input_that_brings_no_news_gives_the_same_object(again: Callable[[Story], str]) -> None:
    story = Story(rules(fail_after=2))
    story.see("o")
    again(story)
    before = story.state
    assert again(story) == ""
    assert story.state is before


# parents


def test_counters_stand_still_while_a_parent_fails_and_results_are_shown() -> None:
    story = Story(rules(fail_after=3))
    story.see("cc")
    story.parents(REACH)
    assert story.last[0].why == f"suppressed: {REACH} fails"
    frozen = story.state.instances[""]
    assert story.see("ccoc") == "...."
    assert letter(story.state.raw) == "c"
    assert story.state.instances[""].crit_run == frozen.crit_run
    assert letter(story.state.hard) == "o"


def test_when_no_parent_fails_any_more_what_was_soft_is_forgotten() -> None:
    story = Story(rules(fail_after=3))
    story.see("cc")
    story.parents(REACH)
    story.parents()
    assert story.last[0].why == "no longer suppressed"
    assert story.see("ccc") == "..!"


def test_what_is_hard_stays_hard_under_a_failing_parent() -> None:
    story = Story(rules(fail_after=3, recover_after=2))
    story.see("ccco")
    story.parents(REACH)
    story.see("oo")
    story.parents()
    assert letter(story.state.hard) == "c"
    assert story.see("oo") == ".-"


def test_a_second_parent_that_fails_is_told_and_forgets_nothing() -> None:
    story = Story(rules(fail_after=3))
    story.see("c")
    story.parents(REACH)
    before = story.state.instances
    story.parents(REACH, OTHER)
    assert story.last[0].why == f"suppressed: {REACH}, {OTHER} fails"
    assert story.state.instances is before


@pytest.mark.parametrize(
    ("seen", "failing"),
    [
        ("", False),
        ("o", False),
        ("w", False),
        ("c", True),
        ("ccc", True),
        ("ccco", True),
        ("cccoo", False),
        ("?", False),
    ],
)
def test_what_children_see_of_a_parent(seen: str, failing: bool) -> None:
    story = Story(rules(fail_after=3, recover_after=2))
    story.see(seen)
    assert story.state.is_failing is failing
    story.parents(REACH)
    assert story.state.is_failing  # suppressed itself


# unknown


def test_unknown_for_ten_minutes_is_one_incident_about_the_agent() -> None:
    story = Story(rules())
    story.see("o?")
    assert story.tick(600 * SECOND - 1) == ""
    assert story.tick(1) == "A"
    assert story.last[0].why == f"{KEY} could not be judged for 10 minutes: the probe cannot tell"
    assert story.last[0].severity is Verdict.WARNING
    assert story.tick(60 * MINUTE) == ""
    assert story.see("??") == ".."
    assert story.see("o") == "a"
    assert story.last[0].why == f"{KEY} can be judged again"
    assert not story.state.unknown_filed


def test_a_result_in_between_begins_the_ten_minutes_anew() -> None:
    story = Story(rules())
    assert story.see("?????????c?") == "..........."
    assert story.tick(9 * MINUTE) == ""
    assert story.tick(MINUTE) == "A"


def test_an_instance_that_cannot_be_judged_is_not_forgotten_for_the_others() -> None:
    story = Story(rules())
    for _ in range(11):
        story.look(disks(a="?", b="w"))
    assert story.tick() == "A"
    assert story.look(disks(a="o", b="w")) == "a"


@pytest.mark.parametrize("how", ["parents", "window"])
def test_nothing_is_filed_about_the_agent_while_suppressed_or_silenced(how: str) -> None:
    story = Story(rules())
    story.see("?")
    if how == "parents":
        story.parents(REACH)
    else:
        story.window("shop/windows/nightly")
    assert story.tick(60 * MINUTE) == ""


@pytest.mark.parametrize("how", ["parents", "gap", "reload"])
def test_the_ten_minutes_begin_anew_when_nobody_could_judge(how: str) -> None:
    """A host that was down for an hour: its check is not the agent's fault before it was looked at again."""
    story = Story(rules())
    story.see("?")
    story.parents(REACH)
    story.at_us += 60 * MINUTE
    if how == "parents":
        story.parents()
    else:
        story.state = CheckState(key=KEY, instances=story.state.instances, unknown_since_us=START)
        story.gap() if how == "gap" else story.reload(rules())
    assert story.tick() == ""
    story.see("?")
    assert story.tick(9 * MINUTE) == ""
    assert story.tick(MINUTE) == "A"


def test_what_was_filed_about_the_agent_is_resolved_after_a_gap_too() -> None:
    story = Story(rules())
    story.see("?")
    story.tick(10 * MINUTE)
    story.gap()
    assert story.tick(60 * MINUTE) == ""
    assert story.see("o") == "a"


def test_how_long_unknown_is_borne_is_a_rule() -> None:
    story = Story(rules(unknown_after_seconds=120.0))
    story.see("?")
    assert story.tick(2 * MINUTE) == "A"
    assert "for 2 minutes" in story.last[0].why


# gaps and other rules


@pytest.mark.parametrize("how", ["gap", "reload"])
@pytest.mark.parametrize(
    ("its_rules", "before", "after", "told"),
    [
        (rules(fail_after=3), "cc", "ccc", "..!"),
        (rules(fail_after=Threshold(count=2, window=3)), "c", "cc", ".!"),
        (rules(fail_after=Threshold(seconds=120.0)), "cc", "ccc", "..!"),
        (rules(fail_after=1, recover_after=2), "co", "oo", ".-"),
        (rules(fail_after=3, incident_from=Verdict.WARNING), "ww", "www", "..!"),
    ],
)
def test_after_a_gap_or_with_other_rules_counting_begins_anew(
    how: str, its_rules: Rules, before: str, after: str, told: str
) -> None:
    story = Story(its_rules)
    story.see(before)
    assert (story.gap() if how == "gap" else story.reload(its_rules)) == ""
    assert story.see(after) == told


def test_what_is_better_is_counted_anew_after_a_gap() -> None:
    story = Story(rules(fail_after=1, recover_after=2))
    story.see("cw")
    story.gap()
    assert story.hards("ww") == "cw"


def test_what_is_hard_stays_hard_over_a_gap() -> None:
    story = Story(rules(fail_after=3))
    story.see("ccc")
    story.gap()
    assert letter(story.state.hard) == "c"
    assert story.see("c") == "."


# what it wants of the scheduler


@pytest.mark.parametrize(
    ("seen", "retries"),
    [
        ("", False),
        ("o", False),
        ("c", True),
        ("cc", True),
        ("ccc", False),
        ("ccco", True),
        ("cccoo", False),
        ("?", False),
    ],
)
def test_what_is_on_its_way_is_looked_at_sooner(seen: str, retries: bool) -> None:
    story = Story(rules(fail_after=3, recover_after=2))
    story.see(seen)
    assert wants_retry(story.state) is retries
    story.parents(REACH)
    assert not wants_retry(story.state)


@pytest.mark.parametrize(("seen", "ticks"), [("", False), ("c", False), ("?", True), ("?o", False)])
def test_time_decides_about_what_cannot_be_judged(seen: str, ticks: bool) -> None:
    story = Story(rules(fail_after=3))
    story.see(seen)
    assert wants_tick(story.state) is ticks


def test_time_has_nothing_more_to_say_once_it_is_filed() -> None:
    story = Story(rules())
    story.see("?")
    story.tick(10 * MINUTE)
    assert not wants_tick(story.state)


# what holds for any story

SIGNS = some.sampled_from("owc?")
WHOLE = some.builds(look, SIGNS)
PARTS = some.dictionaries(some.sampled_from("ab"), SIGNS, min_size=1).map(lambda signs: disks(**signs))
MEASURED = some.builds(look, SIGNS, metrics=some.fixed_dictionaries({"used": some.sampled_from([1.0, 2.0, "up"])}))
LOOKS = WHOLE | PARTS | MEASURED
THRESHOLDS = some.sampled_from(
    [Threshold(count=1), Threshold(count=2), Threshold(count=2, window=3), Threshold(seconds=90)]
)
POST_CHECKS = some.sampled_from([(), ((OTHER, 1, 2),), ((KEY, 2, 2), (OTHER, 1, 1))])


@some.composite
def remedy_rules(draw: some.DrawFn) -> Rules:
    """Rules with ladders; remedies may be on both of them, or on none."""
    items = [RESTART, FAILOVER, CLEAN]
    remedies = tuple(
        RemedyRules(
            item=item,
            attempts=draw(some.integers(1, 2)),
            verify_within_seconds=draw(some.sampled_from([30.0, 300.0])),
            post_checks=draw(POST_CHECKS),
        )
        for item in items
    )
    ladder = some.lists(some.sampled_from(items), unique=True, max_size=2).map(tuple)
    changed = ((("used", (Bound(relation=Relation.CHANGED, text="changed"),)),),)
    return Rules(
        key=KEY,
        fail_after=draw(THRESHOLDS),
        recover_after=draw(some.integers(1, 2)),
        incident_from=draw(some.sampled_from([None, Verdict.WARNING, Verdict.CRITICAL])),
        ladder_warning=draw(ladder),
        ladder_critical=draw(ladder),
        remedies=remedies,
        crit=draw(some.sampled_from([(), *changed])),
    )


def act(story: Story, verb: str, seen: Look, its_rules: Rules) -> str:
    """One of the things that can happen, whether it makes sense now or not."""
    acts: dict[str, Callable[[], str]] = {
        "look": lambda: story.look(seen),
        "tick": lambda: story.tick(MINUTE),
        "long": lambda: story.tick(20 * MINUTE),
        "start": lambda: story.start("X1"),
        "refuse": story.refuse,
        "wait": lambda: story.refuse(waits=True),
        "cancel": lambda: story.refuse("restarted", exec_id="X1", until_us=story.at_us),
        "ended": story.end,
        "failed": lambda: story.end(ok=False),
        "uncertain": lambda: story.end(ok=False, uncertain=True),
        "proof": lambda: story.proof("o", begun=SECOND),
        "disproof": lambda: story.proof("c", begun=SECOND),
        "parent": lambda: story.parents(REACH),
        "no parent": story.parents,
        "silence": lambda: story.window("shop/windows/nightly"),
        "no silence": lambda: story.window(""),
        "resolve": lambda: story.person("resolve"),
        "reopen": lambda: story.person("reopen"),
        "reload": lambda: story.reload(its_rules),
        "gap": story.gap,
    }
    if verb == "change":  # other rules, and nobody said so
        story.rules = its_rules
        return ""
    return acts[verb]()


VERBS = (
    *("look",) * 6, "tick", "long", "start", "start", "refuse", "wait", "cancel", "ended", "failed", "uncertain", "proof",
    "disproof", "parent", "no parent", "silence", "no silence", "resolve", "reopen", "reload", "change", "gap",
)  # fmt: skip
SCRIPTS = some.lists(some.tuples(some.sampled_from(VERBS), LOOKS, remedy_rules()), max_size=25)


def spelled(value: Any) -> str:
    """The one spelling of a document."""
    return json.dumps(value, sort_keys=True)


@settings(max_examples=60)
@given(remedy_rules(), SCRIPTS)
def test_any_inputs_in_any_order_never_raise_and_told_twice_give_the_same_bytes(
    its_rules: Rules, script: list[tuple[str, Look, Rules]]
) -> None:
    stories = Story(its_rules), Story(its_rules)
    for verb, seen, others in script:
        first, second = (act(story, verb, seen, others) for story in stories)
        assert first == second
        documents = [
            spelled([as_document(story.state), [told_document(one) for one in story.last]]) for story in stories
        ]
        assert documents[0] == documents[1]


@settings(max_examples=60)
@given(remedy_rules(), SCRIPTS)
def test_a_state_comes_back_from_its_document_as_it_was_and_goes_on_as_it_would_have(
    its_rules: Rules, script: list[tuple[str, Look, Rules]]
) -> None:
    kept, read = Story(its_rules), Story(its_rules)
    for verb, seen, others in script:
        read.state = from_document(json.loads(spelled(as_document(read.state))))
        assert read.state == kept.state
        assert act(kept, verb, seen, others) == act(read, verb, seen, others)


@settings(max_examples=60)
@given(remedy_rules(), SCRIPTS)
def test_the_same_object_means_that_nothing_changed_and_another_that_something_did(
    its_rules: Rules, script: list[tuple[str, Look, Rules]]
) -> None:
    story = Story(its_rules)
    for verb, seen, others in script:
        before = story.state
        act(story, verb, seen, others)
        assert (story.state is before) is (story.state == before)


class Telling(RuleBasedStateMachine):
    """A check with remedies, a world that answers each question, and what must hold after every input."""

    @initialize(its_rules=remedy_rules())
    def begin(self, its_rules: Rules) -> None:
        self.story = Story(its_rules)
        self.asked: Decision | None = None
        self.running: Decision | None = None
        self.starts: dict[tuple[str, str], int] = {}
        self.runs = 0
        self.is_open = False
        self.is_filed = False

    def learn(self) -> None:
        """Keep the books on what was just decided."""
        for one in self.story.last:
            self.keep_incident(one)
            if one.verb is Verb.REMEDY_PROVEN:
                self.starts.clear()
            if one.verb is Verb.TRY_REMEDY:
                assert self.asked is None, "asked again before there was an answer"
                assert self.running is None, "asked while a play runs"
                self.asked = one
        if self.story.state.climb is None and self.story.state.hard is Verdict.OK:
            self.starts.clear()

    def keep_incident(self, one: Decision) -> None:
        """Opened and resolved alternate, and worse is only what is open; the agent's own incident likewise."""
        assert (one.verb in {Verb.OPEN, Verb.REOPEN}) <= (not self.is_open)
        assert (one.verb in {Verb.RESOLVE, Verb.WORSEN}) <= self.is_open
        assert (one.verb is Verb.OPEN_AGENT) <= (not self.is_filed)
        assert (one.verb is Verb.RESOLVE_AGENT) <= self.is_filed
        self.is_open = one.verb in {Verb.OPEN, Verb.REOPEN} or (self.is_open and one.verb is not Verb.RESOLVE)
        self.is_filed = one.verb is Verb.OPEN_AGENT or (self.is_filed and one.verb is not Verb.RESOLVE_AGENT)

    @rule(seen=LOOKS)
    def look(self, seen: Look) -> None:
        self.story.look(seen)
        self.learn()

    @rule(sign=some.sampled_from("owc"), times=some.integers(2, 4))
    def last(self, sign: str, times: int) -> None:
        for _ in range(times):
            self.look(look(sign))

    @rule(minutes=some.sampled_from([1, 6, 15]))
    def wait(self, minutes: int) -> None:
        self.story.tick(minutes * MINUTE)
        self.learn()

    @precondition(lambda self: self.asked)
    @rule(yes=some.sampled_from([True, True, False]), waits=some.booleans())
    def answer(self, yes: bool, waits: bool) -> None:
        asked, self.asked = self.asked, None
        assert asked is not None
        if not yes:
            self.story.refuse(waits=waits)
            self.learn()
            return
        self.runs += 1
        self.running = asked
        name = (str(asked.severity), asked.remedy)
        self.starts[name] = self.starts.get(name, 0) + 1
        allowed = self.story.rules.remedy(asked.remedy).attempts
        assert self.starts[name] <= allowed, f"{name} was started {self.starts[name]} times, {allowed} are allowed"
        self.story.start(f"X{self.runs}")
        self.learn()

    @precondition(lambda self: self.running)
    @rule(ok=some.booleans(), uncertain=some.booleans())
    def end(self, ok: bool, uncertain: bool) -> None:
        self.running = None
        self.story.end(ok=ok, uncertain=uncertain, exec_id=f"X{self.runs}")
        self.learn()

    @precondition(lambda self: self.running)
    @rule()
    def cancel(self) -> None:
        running, self.running = self.running, None
        assert running is not None
        name = (str(running.severity), running.remedy)
        if name in self.starts:
            self.starts[name] -= 1
        self.story.refuse("the agent was restarted", exec_id=f"X{self.runs}", until_us=self.story.at_us)
        self.learn()

    @rule(sign=some.sampled_from("occ?"))
    def prove(self, sign: str) -> None:
        self.story.at_us += MINUTE
        self.story.proof(sign, begun=-SECOND)
        self.learn()

    @rule(fails=some.booleans())
    def parent(self, fails: bool) -> None:
        self.story.parents(*([REACH] if fails else []))
        self.learn()

    @rule(silent=some.booleans())
    def window(self, silent: bool) -> None:
        self.story.window("shop/windows/nightly" if silent else "")
        self.learn()

    @rule()
    def miss(self) -> None:
        self.story.gap()
        self.learn()

    @rule(verb=some.sampled_from(["resolve", "reopen"]))
    def decide(self, verb: str) -> None:
        mark = self.story.state.mark
        self.story.person(verb)
        if mark is not None:
            self.is_open = verb == "reopen" if mark.open is (verb == "resolve") else self.is_open
            if self.story.state.climb is None:
                self.starts.clear()
        self.learn()

    @invariant()
    def the_mark_is_open_when_the_last_word_was_open(self) -> None:
        mark = self.story.state.mark
        assert (mark is not None and mark.open) is self.is_open

    @invariant()
    def what_was_filed_about_the_agent_is_known(self) -> None:
        assert self.story.state.unknown_filed is self.is_filed

    @invariant()
    def a_question_is_open_when_it_says_so(self) -> None:
        climb = self.story.state.climb
        assert (climb is not None and climb.phase is Phase.ASKED) is (self.asked is not None)
        assert (climb is not None and climb.phase is Phase.RUNNING) is (self.running is not None)


Telling.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestTelling = Telling.TestCase


def test_a_result_that_changes_nothing_reaches_no_decision() -> None:
    state = CheckState(key=KEY)
    story = Story(rules(), state)
    story.see("o")
    steady = story.state
    assert step(steady, story.inputs[-1], story.rules) == (steady, ())


ABOVE = (("used", (Bound(relation=Relation.ABOVE, text="above 90%", operand=0.9),)),)
CHANGED = (("word", (Bound(relation=Relation.CHANGED, text="changed"),)),)


@pytest.mark.parametrize(
    "its_rules",
    [
        rules(),
        rules(recover_after=2),
        rules(fail_after=Threshold(count=1, seconds=90)),
        rules(crit=ABOVE, warn=CHANGED),
    ],
)
def test_a_check_that_stays_well_takes_the_short_way(its_rules: Rules) -> None:
    """Not taking it would come to the same; a thousand hosts would pay for it every minute."""
    story = Story(its_rules)
    story.see("coo")
    assert practice._stays_well(story.state, look("o"), its_rules)


def test_what_trips_a_bound_or_is_to_be_remembered_goes_the_long_way() -> None:
    its_rules = rules(crit=ABOVE, warn=CHANGED, recover_after=1)
    story = Story(its_rules)
    calm: dict[str, Measure] = {"used": 0.5, "word": "up"}
    for _ in range(2):
        story.look(look("o", "seen", calm))
    assert practice._stays_well(story.state, look("o", "seen", calm), its_rules)
    for other in ({"used": 0.95}, {"word": "down"}):
        assert not practice._stays_well(story.state, look("o", "seen", calm | other), its_rules)


@pytest.mark.parametrize(
    "left", [{"calm_run": 1}, {"warn_run": 1}, {"crit_run": 1}, {"recent": "c"}, {"absent": 1}, {"warn_first_us": 1},
             {"crit_first_us": 1}, {"ok_run": 0}],
)  # fmt: skip
def test_a_check_with_something_left_of_worse_days_goes_the_long_way(left: dict[str, Any]) -> None:
    story = Story(rules())
    story.see("oo")
    one = dataclasses.replace(story.state.instances[""], **left)
    state = dataclasses.replace(story.state, instances={"": one})
    assert not practice._stays_well(state, look("o"), story.rules)


def measuring(sign: str) -> Look:
    """A look that is well and measures what bounds speak of, for some signs."""
    words: dict[str, dict[str, Measure]] = {
        "u": {"word": "up", "used": 0.5}, "l": {"word": "down", "used": 0.5}, "h": {"word": "up", "used": 0.95}
    }  # fmt: skip
    return look("o", "seen", words[sign]) if sign in words else look(sign)


@given(
    signs=some.text("ooocw?dpPsSnulh", max_size=40),
    its_rules=some.builds(
        rules,
        fail_after=some.sampled_from([1, 2, Threshold(count=2, window=4), Threshold(count=1, seconds=90.0)]),
        recover_after=some.integers(1, 3),
        incident_from=some.sampled_from([None, Verdict.WARNING, Verdict.CRITICAL]),
        crit=some.sampled_from([(), ABOVE]),
        warn=some.sampled_from([(), CHANGED]),
    ),
)
def test_the_short_way_of_a_check_that_stays_well_ends_where_the_long_one_does(signs: str, its_rules: Rules) -> None:
    story, others = Story(its_rules), {"p": "reach", "P": "", "s": "upgrade", "S": ""}
    for sign in signs:
        if sign in "pP":
            story.parents(*filter(None, [others[sign]]))
        elif sign in "sS":
            story.window(others[sign])
        elif sign == "n":
            story.gap()
        else:
            before, seen = story.state, disks(root="o", home="c") if sign == "d" else measuring(sign)
            story.look(seen)
            if practice._stays_well(before, seen, its_rules):
                [*_, last] = story.inputs
                assert isinstance(last, Result)
                assert practice._weighed(before, last, its_rules) == (before, ())
