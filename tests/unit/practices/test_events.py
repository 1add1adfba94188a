"""What a look means under the bounds, and when bad is hard."""

from typing import Any

import pytest

from agent import units
from agent.model.bounds import Bound, Bounds, Relation
from agent.model.check import Threshold
from agent.model.look import Look, Measure, Unit, Verdict
from agent.model.state import Instance
from agent.practices import events
from tests.unit.practices.telling import LETTERS, MINUTE, SECOND, START, Story, letter, look, rules


@pytest.mark.parametrize(
    ("fail_after", "recover_after", "seen", "hard"),
    [
        (3, 1, "ccc", "ooc"),  # the third in a row is hard
        (3, 1, "ccocc", "ooooo"),  # an ok begins anew
        (3, 1, "ccc?", "oocc"),
        (3, 1, "cc?c", "oooc"),  # unknown neither counts nor resets
        (3, 1, "c?o?cc", "oooooo"),
        (1, 1, "cocwo", "cocwo"),  # one is enough: hard follows every result
        (3, 1, "wcw", "oow"),  # a critical counts as a warning too
        (3, 1, "ccw", "oow"),
        (3, 1, "cccw", "oocw"),  # better for recover_after results: no longer critical
        (3, 2, "cccww", "ooccw"),
        (3, 2, "cccwcw", "oocccc"),  # not two in a row
        (3, 1, "wwwc", "ooww"),  # worse is soft first
        (3, 1, "wwwccc", "oowwwc"),
        (3, 1, "wwwcwcc", "oowwwww"),  # a warning between breaks the run of criticals
        (2, 2, "ccoo", "occo"),  # two successes close
        (2, 2, "ccocoo", "occcco"),  # not two in a row
        (2, 2, "cco?o", "occco"),  # unknown does not break the run of successes either
        (2, 2, "ccowow", "occwww"),  # ok and warning in turn: no longer critical, never ok
        (2, 2, "ccwow", "occww"),
        (1, 3, "cooo", "ccco"),
        (1, 3, "wooo", "wwwo"),
        (2, 1, "?????", "ooooo"),
    ],
)
def test_results_in_a_row(fail_after: int, recover_after: int, seen: str, hard: str) -> None:
    assert Story(rules(fail_after=fail_after, recover_after=recover_after)).hards(seen) == hard


@pytest.mark.parametrize(
    ("threshold", "recover_after", "seen", "hard"),
    [
        (Threshold(count=2, window=3), 1, "coc", "ooc"),
        (Threshold(count=2, window=3), 1, "cooc", "oooo"),  # the first has left the window
        (Threshold(count=2, window=3), 1, "c?o?c", "ooooc"),  # unknown takes no place in it
        (Threshold(count=2, window=3), 1, "ccoo", "occo"),  # two of three were still bad
        (Threshold(count=2, window=3), 1, "cocoo", "oocoo"),
        (Threshold(count=2, window=3), 3, "cocooo", "ooccco"),  # the window is clear, three successes are wanted
        (Threshold(count=2, window=3), 1, "wocow", "oowow"),  # both count as warnings
        (Threshold(count=2, window=3), 1, "ccw", "occ"),  # two of three are critical still
        (Threshold(count=2, window=3), 1, "ccww", "occw"),
        (Threshold(count=2, window=2), 1, "cowc", "ooow"),
    ],
)
def test_so_many_of_so_many(threshold: Threshold, recover_after: int, seen: str, hard: str) -> None:
    assert Story(rules(fail_after=threshold, recover_after=recover_after)).hards(seen) == hard


@pytest.mark.parametrize(
    ("seen", "hard"),
    [
        ("ccccc", "ooocc"),  # three minutes from the first to the fourth
        ("c??c", "oooc"),  # unknown does not stop the time
        ("c???", "oooo"),  # but is no evidence that it lasts
        ("cocccc", "oooooc"),  # an ok begins anew
        ("wccw", "ooow"),  # a critical counts as a warning too
        ("ccwc", "ooow"),  # the criticals begin anew
        ("ccccwc", "ooocww"),
        ("cccco", "oooco"),
    ],
)
def test_bad_for_so_long_judged_on_results(seen: str, hard: str) -> None:
    assert Story(rules(fail_after=Threshold(seconds=180.0))).hards(seen) == hard


def test_time_alone_makes_nothing_hard() -> None:
    story = Story(rules(fail_after=Threshold(seconds=180.0)))
    story.see("c")
    assert story.tick(60 * MINUTE) == ""
    assert story.state.hard is Verdict.OK


def test_a_span_is_measured_to_the_microsecond() -> None:
    story = Story(rules(fail_after=Threshold(seconds=180.0)))
    story.see("c")
    story.look(look("c"), 180 * SECOND - 1)
    assert letter(story.state.hard) == "o"
    story.look(look("c"), 1)
    assert letter(story.state.hard) == "c"


@pytest.mark.parametrize(
    "threshold", [Threshold(count=3), Threshold(count=2, window=4), Threshold(seconds=180.0)], ids=str
)
@pytest.mark.parametrize("sign", ["o", "w", "c", "?"])
def test_a_steady_world_gives_the_same_object(threshold: Threshold, sign: str) -> None:
    story = Story(rules(fail_after=threshold, recover_after=2))
    story.see(sign * 8)
    for _ in range(3):
        before = story.state
        story.see(sign)
        assert story.state is before


def test_since_is_the_moment_of_the_last_change() -> None:
    story = Story(rules(fail_after=2))
    story.see("occc")
    one = story.state.instances[""]
    assert one.since_us == START + 2 * MINUTE
    assert one.hard_since_us == START + 3 * MINUTE


def test_an_unknown_is_shown_and_counts_nothing() -> None:
    one = events.advance(Instance(), Verdict.CRITICAL, START, rules())
    shown = events.advance(one, Verdict.UNKNOWN, START + 1, rules())
    assert (shown.raw, shown.since_us) == (Verdict.UNKNOWN, START + 1)
    assert (shown.crit_run, shown.warn_run, shown.crit_first_us) == (1, 1, START)


def test_what_was_seen_last_time_is_seen_as_the_same_object() -> None:
    one = Instance(raw=Verdict.CRITICAL)
    assert events.seen(one, Verdict.CRITICAL, START) is one


@pytest.mark.parametrize(
    ("raw", "hard", "soft"),
    [
        (None, "o", False),
        ("o", "o", False),
        ("c", "o", True),  # on its way to hard
        ("w", "c", True),
        ("o", "c", True),  # on its way back
        ("c", "c", False),
        ("?", "c", False),
        ("?", "o", False),
    ],
)
def test_soft_is_what_may_change_with_the_next_results(raw: str | None, hard: str, soft: bool) -> None:
    assert events.is_soft(Instance(raw=LETTERS[raw] if raw else None, hard=LETTERS[hard])) is soft


# bounds


def bound(relation: Relation, **more: Any) -> Bound:
    return Bound(relation=relation, text=f"{relation} it", **more)


def bounds(relation: Relation, **more: Any) -> Bounds:
    return (("used", (bound(relation, **more),)),)


@pytest.mark.parametrize(
    ("its_bounds", "value", "trips"),
    [
        (bounds(Relation.ABOVE, operand=0.8), 0.8, False),
        (bounds(Relation.ABOVE, operand=0.8), 0.81, True),
        (bounds(Relation.BELOW, operand=7.0), 7.0, False),
        (bounds(Relation.BELOW, operand=7.0), 6.9, True),
        (bounds(Relation.AT_LEAST, operand=2.0), 2.0, True),
        (bounds(Relation.AT_LEAST, operand=2.0), 1.0, False),
        (bounds(Relation.AT_MOST, operand=5.0), 5.0, True),
        (bounds(Relation.AT_MOST, operand=5.0), 6.0, False),
        (bounds(Relation.IS, operand="up"), "up", True),
        (bounds(Relation.IS, operand="up"), "down", False),
        (bounds(Relation.IS, operand=200.0), 200.0, True),
        (bounds(Relation.NOT, operand="up"), "up", False),
        (bounds(Relation.NOT, operand="up"), "down", True),
        (bounds(Relation.NOT, operand=200.0), 200, False),
        (bounds(Relation.INSIDE, low=3.0, high=5.0), 3.0, True),
        (bounds(Relation.INSIDE, low=3.0, high=5.0), 5.0, True),
        (bounds(Relation.INSIDE, low=3.0, high=5.0), 2.9, False),
        (bounds(Relation.INSIDE, low=3.0, high=5.0), 5.1, False),
        (bounds(Relation.OUTSIDE, low=1.0, high=8.0), 0.9, True),
        (bounds(Relation.OUTSIDE, low=1.0, high=8.0), 8.1, True),
        (bounds(Relation.OUTSIDE, low=1.0, high=8.0), 1.0, False),
        (bounds(Relation.OUTSIDE, low=1.0, high=8.0), 8.0, False),
        (bounds(Relation.INSIDE, low=1.0, high=8.0), "up", False),  # a word is inside of nothing
        (bounds(Relation.OUTSIDE, low=1.0, high=8.0), "up", True),
        (bounds(Relation.ABOVE, operand=0.8), "much", False),  # a word is above nothing
        (bounds(Relation.ABOVE, operand="much"), 0.9, False),
        (bounds(Relation.ABOVE, other="limit"), 0.9, True),  # limit is 0.5
        (bounds(Relation.BELOW, other="limit"), 0.9, False),
        (bounds(Relation.ABOVE, other="nowhere"), 0.9, False),  # what was not measured trips nothing
        (bounds(Relation.NOT, other="nowhere"), 0.9, False),
        (bounds(Relation.CHANGED), "a", False),  # seen for the first time
        ((("free", (bound(Relation.BELOW, operand=1.0),)),), 0.9, False),  # another metric, not measured
        ((("used", (bound(Relation.ABOVE, operand=2.0), bound(Relation.BELOW, operand=1.0))),), 0.9, True),  # any
        ((("free", ()), ("used", (bound(Relation.BELOW, operand=1.0),))), 0.9, True),
    ],
)
def test_a_bound_trips(its_bounds: Bounds, value: Measure, trips: bool) -> None:
    seen = look("o", metrics={"used": value, "limit": 0.5})
    assert bool(events.tripped(its_bounds, seen, Instance())) is trips


@pytest.mark.parametrize(
    ("sign", "warns", "crits", "verdict", "by_bound"),
    [
        ("o", False, False, "o", False),
        ("o", True, False, "w", True),
        ("o", False, True, "c", True),
        ("o", True, True, "c", True),
        ("w", False, False, "w", False),
        ("w", True, False, "w", False),  # the probe said so itself
        ("w", True, True, "c", True),
        ("c", True, True, "c", False),  # the probe said so itself
        ("?", True, True, "?", False),  # what could not be seen is not judged
    ],
)
def test_bounds_add_to_the_verdict_of_the_probe(
    sign: str, warns: bool, crits: bool, verdict: str, by_bound: bool
) -> None:
    def above(trips: bool) -> Bounds:
        return bounds(Relation.ABOVE, operand=0.0 if trips else 9.0)

    seen = look(sign, metrics={"used": 1.0})
    judged, why = events.judge(seen, rules(warn=above(warns), crit=above(crits)), Instance())
    assert letter(judged) == verdict
    assert bool(why) is by_bound


def test_without_bounds_the_verdict_of_the_probe_stands() -> None:
    assert events.judge(look("w", metrics={"used": 1.0}), rules(), Instance()) == (Verdict.WARNING, "")


@pytest.mark.parametrize(
    ("value", "shown"), [(0.912345, "used is 0.9123, above it trips"), (3.0, "used is 3, above it trips")]
)
def test_a_tripped_bound_is_told_in_words(value: float, shown: str) -> None:
    its_rules = rules(crit=bounds(Relation.ABOVE, operand=0.5))
    assert events.judge(look("o", metrics={"used": value}), its_rules, Instance()) == (Verdict.CRITICAL, shown)


@pytest.mark.parametrize(
    ("bound", "units", "value", "shown"),
    [
        (Bound(relation=Relation.BELOW, text="below 100d", operand=8.64e6, unit=Unit.SECONDS), {}, 7.776e6, "used is 90d, below 100d trips"),
        (Bound(relation=Relation.ABOVE, text="above 90%", operand=0.9, unit=Unit.SHARE), {}, 0.95, "used is 95%, above 90% trips"),
        (Bound(relation=Relation.ABOVE, text="above 5", operand=5.0), {"used": Unit.SECONDS}, 90.0, "used is 90s, above 5 trips"),
    ],
)  # fmt: skip
def test_a_tripped_bound_is_told_in_the_unit_of_its_metric(
    bound: Bound, units: dict[str, Unit], value: float, shown: str
) -> None:
    its_rules = rules(crit=(("used", (bound,)),))
    seen = Look(verdict=Verdict.OK, summary="", metrics={"used": value}, units=units)
    assert events.judge(seen, its_rules, Instance()) == (Verdict.CRITICAL, shown)


def test_a_word_is_told_as_it_is() -> None:
    its_rules = rules(warn=bounds(Relation.NOT, operand="up"))
    assert events.judge(look("o", metrics={"used": "down"}), its_rules, Instance())[1] == "used is down, not it trips"


# units that only the look knows


def measured(sign: str, *, metrics: dict[str, Measure], units: dict[str, Unit]) -> Look:
    """A look of a probe that does not know before what it will measure."""
    return Look(verdict=LETTERS[sign], summary="seen", metrics=metrics, units=units)


@pytest.mark.parametrize(
    ("unit", "text", "verdict"),
    [
        (Unit.SECONDS, "above 1s", "c"),
        (Unit.SECONDS, "above 9s", "o"),
        (Unit.SECONDS, "above 1", "c"),  # bare: in the metric's own unit
        (Unit.SECONDS, "above 1B", "?"),
        (Unit.BYTES, "below 1s", "?"),
        (Unit.BYTES, "below 1KB", "c"),
        (Unit.SHARE, "above 1%", "c"),
        (Unit.SHARE, "above 1", "?"),  # 1 %, or 100 %?
        (Unit.SHARE, "outside 0..1", "?"),
        (Unit.NUMBER, "above 1", "c"),
        (Unit.NUMBER, "above 1%", "?"),
        (Unit.NUMBER, "inside 1s..3s", "?"),
        (Unit.NUMBER, "is up", "o"),
        (Unit.NUMBER, "not up", "c"),
        (Unit.NUMBER, "changed", "o"),
        (Unit.NUMBER, "is 5s", "?"),
        (Unit.TEXT, "is 2", "o"),
        (Unit.TEXT, "not 2", "c"),
        (Unit.TEXT, "above 1", "?"),
        (Unit.TEXT, "outside 1..3", "?"),
        (Unit.PER_SECOND, "above 1/s", "c"),
        (Unit.PER_SECOND, "above 1", "c"),
        (Unit.PER_SECOND, "above 1bit/s", "?"),
        (Unit.NUMBER, "above other", "?"),
        (Unit.BYTES, "above other", "c"),
        (Unit.NUMBER, "above absent", "o"),
    ],
)  # fmt: skip
def test_a_bound_of_another_unit_is_not_compared_but_told(unit: Unit, text: str, verdict: str) -> None:
    its_bounds = (("used", (units.bound(text, None, frozenset({"other", "absent"})),)),)
    value: Measure = "up" if unit is Unit.TEXT else 2.0
    seen = measured("o", metrics={"used": value, "other": 1.0}, units={"used": unit, "other": Unit.BYTES})
    judged, why = events.judge(seen, rules(crit=its_bounds), Instance())
    assert letter(judged) == verdict
    assert ("does not fit it" in why) is (verdict == "?")
    assert letter(events.judge(seen, rules(warn=its_bounds), Instance())[0]) == verdict.replace("c", "w")


def test_where_the_look_names_no_unit_the_probe_has_named_it_before() -> None:
    seen = measured("o", metrics={"used": 2.0}, units={})
    for unit, above in ((Unit.BYTES, 1.0), (Unit.SHARE, 1.0), (Unit.SECONDS, 3.0)):
        judged, _ = events.judge(seen, rules(crit=bounds(Relation.ABOVE, operand=above, unit=unit)), Instance())
        assert letter(judged) == ("c" if above < 2 else "o")


def test_what_does_not_fit_hides_nothing_that_is_bad() -> None:
    odd, bad = bounds(Relation.ABOVE, operand=0.0), bounds(Relation.ABOVE, operand=1.0, unit=Unit.BYTES)
    its_rules = rules(crit=odd, warn=bad)
    seen = measured("o", metrics={"used": 2.0}, units={"used": Unit.BYTES})
    assert letter(events.judge(seen, its_rules, Instance())[0]) == "c"
    seen = measured("w", metrics={"used": 2.0}, units={"used": Unit.SHARE})
    assert letter(events.judge(seen, its_rules, Instance())[0]) == "w", "the probe said so itself"
    seen = measured("o", metrics={"used": 2.0}, units={"used": Unit.SHARE})
    why = "used is measured as a share: above it does not fit it"
    assert events.judge(seen, its_rules, Instance()) == (Verdict.UNKNOWN, why)


# changed

CHANGED = rules(crit=bounds(Relation.CHANGED), fail_after=1)


def digests(story: Story, *values: str) -> str:
    """The letters of what is hard, for one value of the metric after the other; "?" could not be seen, "-" is missing."""
    told = []
    for value in values:
        metrics: dict[str, Measure] = {} if value in {"?", "-"} else {"used": value}
        story.look(Look(verdict=LETTERS["?" if value == "?" else "o"], summary=value, metrics=metrics))
        told.append(letter(story.state.hard))
    return "".join(told)


@pytest.mark.parametrize(
    ("values", "hard"),
    [
        ("aa", "oo"),
        ("ab", "oc"),
        ("abb", "oco"),  # the new value is the known one now
        ("a?b", "ooc"),  # what changed while it could not be seen has changed
        ("a?a", "ooo"),
        ("a-b", "ooc"),
        ("?ab", "ooc"),
    ],
)
def test_a_metric_that_changed(values: str, hard: str) -> None:
    assert digests(Story(CHANGED), *values) == hard


def test_a_change_while_a_parent_fails_is_counted_when_it_is_over() -> None:
    story = Story(CHANGED)
    digests(story, "a")
    story.parents("agent/checks/reach@web1")
    assert digests(story, "b", "b") == "oo"
    assert story.state.raw is Verdict.CRITICAL  # shown all the same
    story.parents()
    assert digests(story, "b", "b") == "co"


def test_an_unknown_with_a_new_value_remembers_nothing() -> None:
    story = Story(CHANGED)
    digests(story, "a")
    story.look(Look(verdict=Verdict.UNKNOWN, summary="half", metrics={"used": "b"}))
    assert story.state.instances[""].remembered == (("used", "a"),)


def test_only_metrics_under_a_changed_bound_are_remembered_once_each() -> None:
    its_rules = rules(
        crit=(("used", (bound(Relation.ABOVE, operand=1.0), bound(Relation.CHANGED))),),
        warn=(("used", (bound(Relation.CHANGED),)), ("free", (bound(Relation.ABOVE, operand=1.0),))),
    )
    seen = look("o", metrics={"used": 2.0, "free": 3.0})
    assert events.remember(seen, its_rules, ()) == (("used", "2.0"),)
    assert events.remember(look("o"), its_rules, (("used", "1.0"), ("gone", "x"))) == (("used", "1.0"),)
    beside_another = rules(crit=(("used", (bound(Relation.ABOVE, operand=9.0), bound(Relation.CHANGED))),))
    assert events.remember(seen, beside_another, ()) == (("used", "2.0"),)


def test_a_steady_metric_under_a_changed_bound_gives_the_same_object() -> None:
    story = Story(CHANGED)
    digests(story, "a", "a")
    before = story.state
    digests(story, "a")
    assert story.state is before
