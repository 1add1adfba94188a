"""Words for people: times, spans, sizes, and text from hosts that must not do anything."""

import pytest

from agent.cli import wording

SECOND = 1_000_000
NOW = 1_795_000_000 * SECOND


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain text, ümlauts, 你好", "plain text, ümlauts, 你好"),
        ("red \x1b[31m alert", "red \\x1b[31m alert"),
        ("over\rwritten", "over\\rwritten"),
        ("two\nlines", "two lines"),
        ("\x00\x07\x9b", "\\x00\\x07\\x9b"),
        ("right\u202eleft", "right\\u202eleft"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("[bold]no markup[/bold]", "[bold]no markup[/bold]"),
        ("half a pair \ud800", "half a pair \\ud800"),
        (17, "17"),
    ],
)
def test_text_from_hosts_is_made_harmless(given: object, shown: str) -> None:
    assert wording.harmless(given) == shown


def test_lines_are_kept_where_they_are_wanted() -> None:
    assert wording.harmless("one\ntwo\x1b", keep_lines=True) == "one\ntwo\\x1b"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "-"),
        (0, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (86400, "1 d"),
        (93600, "1 d 2 h"),
    ],
)
def test_a_span_is_told_by_its_biggest_units(seconds: float | None, shown: str) -> None:
    assert wording.span(seconds) == shown


@pytest.mark.parametrize(
    ("at_us", "shown"),
    [
        (None, "-"),
        (0, "-"),
        (NOW, "just now"),
        (NOW - 180 * SECOND, "3 min ago"),
        (NOW + 7200 * SECOND, "in 2 h"),
    ],
)
def test_a_moment_is_told_from_now(at_us: int | None, shown: str) -> None:
    assert wording.ago(at_us, NOW) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [(None, "-"), (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (87_582, "87.6 kB"), (250_000_000, "250 MB"), (5e15, "5000.0 TB")],
)  # fmt: skip
def test_a_size_is_told_in_decimal_units(count: int | None, shown: str) -> None:
    assert wording.size(count) == shown


def test_nouns_are_counted() -> None:
    assert [wording.plural(count, noun) for count, noun in ((1, "check"), (0, "check"), (1, "remedy"), (2, "remedy"))] == [
        "1 check", "0 checks", "1 remedy", "2 remedies",
    ]  # fmt: skip


def test_somebody_is_always_typing() -> None:
    assert wording.person()


@pytest.mark.parametrize(
    ("title", "host", "told"),
    [
        ("The door is shut", "web1", "The door is shut (web1)"),
        ("shop/checks/door is critical on web1", "web1", "shop/checks/door is critical on web1"),
        ("shop/checks/door is critical on web10", "web1", "shop/checks/door is critical on web10 (web1)"),
        ("The shop is shut", None, "The shop is shut"),
    ],
)
def test_an_incident_is_told_with_its_host(title: str, host: str | None, told: str) -> None:
    assert wording.titled({"title": title, "host": host}) == told
