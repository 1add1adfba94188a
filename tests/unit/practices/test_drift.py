"""Drift as a story: what each reading of a device leads to, by what was accepted, a window, and whether an incident is open."""

import pytest

from agent.model.device import Baseline, Reaction, Revision
from agent.practices import drift
from agent.practices.drift import Verb

SIGNS = {
    Verb.NOTHING: ".", Verb.ACCEPT: "a", Verb.NOTE: "n", Verb.OPEN: "!", Verb.WORSEN: "+", Verb.SETTLE: "s",
}  # fmt: skip


def told(story: str, reaction: Reaction) -> str:
    """One sign per reading. A letter is the content that is read, in capitals within a window; `-` is a person who resolves."""
    known: Baseline | None = None
    before, is_open, found = "", False, ""
    for number, letter in enumerate(story):
        if letter == "-":
            is_open, found = False, f"{found}-"
            continue
        seen = Revision(
            content=letter.lower(), commit=f"c{number}", at_us=number, before=before, lines=("+x",), added=1
        )
        window = "net/windows/nightly" if letter.isupper() else ""
        judged = drift.judge(known, seen, reaction=reaction, window=window, has_incident=is_open)
        is_open = (is_open or judged.verb is Verb.OPEN) and judged.verb not in {Verb.SETTLE, Verb.ACCEPT}
        known, before, found = judged.baseline, seen.content, found + SIGNS[judged.verb]
        assert judged.why
        assert (known.current, known.read_at_us) == (seen.content, number)
    return found


@pytest.mark.parametrize(
    ("story", "noted", "filed"),
    [
        ("aaa", "a..", "a.."),  # the first one is what is accepted
        ("ab", "an", "a!"),
        ("abbb", "an..", "a!.."),  # once told is enough
        ("aba", "ann", "a!s"),  # as it was accepted again; for a note it is one more change
        ("abc", "ann", "a!+"),  # one incident per device
        ("abca", "annn", "a!+s"),
        ("ab-b", "an-.", "a!-a"),  # a person resolved it: what stands is accepted
        ("ab-ba", "an-.n", "a!-a!"),  # and what was accepted before is drift now
        ("ab-c", "an-n", "a!-!"),
        ("aB", "aa", "aa"),  # within a window it is a change
        ("aBb", "aa.", "aa."),
        ("abC", "ana", "a!s"),  # another change, within a window: whoever works there has seen it
        ("abB", "an.", "a!."),  # a window that opens later excuses nothing
    ],
)
def test_what_follows_from_each_reading(story: str, noted: str, filed: str) -> None:
    assert told(story, Reaction.NOTE) == noted
    assert told(story, Reaction.INCIDENT) == filed
    assert "!" not in told(story, Reaction.NONE) + told(story, Reaction.NOTE)


@pytest.mark.parametrize(
    ("reaction", "window", "why"),
    [
        (Reaction.NONE, "", "changed: 1 lines came, 0 went: +x"),
        (Reaction.NONE, "net/windows/nightly", "changed within the window net/windows/nightly: 1 lines came, 0 went: +x"),
        (Reaction.NOTE, "", "changed outside a window for changes: 1 lines came, 0 went: +x"),
    ],
)  # fmt: skip
def test_a_change_is_told_with_its_window(reaction: Reaction, window: str, why: str) -> None:
    known = Baseline(accepted="a", current="a", read_at_us=1)
    seen = Revision(content="b", commit="c", at_us=2, before="a", lines=("+x",), added=1)
    assert drift.judge(known, seen, reaction=reaction, window=window, has_incident=False).why == why


def test_a_policy_that_no_longer_asks_ends_what_it_had_opened() -> None:
    known = Baseline(accepted="a", current="b", read_at_us=1, drifted="b")
    seen = Revision(content="b", commit="c", at_us=2, before="b")
    judged = drift.judge(known, seen, reaction=Reaction.NONE, window="", has_incident=True)
    assert (judged.verb, judged.baseline.accepted) == (Verb.SETTLE, "b")


@pytest.mark.parametrize(
    ("since", "drifted", "verb", "accepted"),
    [
        ("c1", "", Verb.NOTHING, "new"),  # a rule was added that leaves a line out: what is accepted is the same
        ("c1", "old", Verb.NOTHING, "before"),  # drift that stands goes on standing
        ("c0", "", Verb.OPEN, "old"),  # a run in between committed something, and was killed before it was on record
    ],
)
def test_the_same_through_other_rules_is_no_change(since: str, drifted: str, verb: Verb, accepted: str) -> None:
    known = Baseline(accepted="before" if drifted else "old", current="old", read_at_us=1, commit="c1", drifted=drifted)
    seen = Revision(content="new", commit="c2", at_us=2, before="new", since=since)
    judged = drift.judge(known, seen, reaction=Reaction.INCIDENT, window="", has_incident=bool(drifted))
    assert (judged.verb, judged.baseline.accepted) == (verb, accepted)
    assert bool(judged.baseline.drifted) is (bool(drifted) or verb is Verb.OPEN)


@pytest.mark.parametrize(
    ("lines", "added", "removed", "words"),
    [
        (5, 5, 0, "5 lines came, 0 went: +line 0; +line 1; +line 2; +line 3; +line 4"),
        (2, 1, 1, "1 lines came, 1 went: +line 0; +line 1"),
        (2, 1, 2, "1 lines came, 2 went: +line 0; +line 1; …"),  # not all of them are on record
        (2, 3, 0, "3 lines came, 0 went: +line 0; +line 1; …"),
    ],
)
def test_the_reason_says_that_there_are_more_lines_only_if_there_are(
    lines: int, added: int, removed: int, words: str
) -> None:
    told = tuple(f"+line {number}" for number in range(lines))
    seen = Revision(content="b", commit="c", at_us=2, before="a", added=added, removed=removed, lines=told)
    assert drift.in_words(seen) == words


def test_the_reason_names_the_first_lines_and_says_that_there_are_more() -> None:
    lines = tuple(f"+line {number}" for number in range(9))
    seen = Revision(content="b", commit="c", at_us=2, before="a", added=9, lines=lines)
    assert drift.in_words(seen) == "9 lines came, 0 went: +line 0; +line 1; +line 2; +line 3; +line 4; …"
    assert drift.in_words(Revision(content="b", commit="c", at_us=2, before="b")) == "the lines are in its history"
