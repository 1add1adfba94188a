"""Host text is made plain, and patterns cannot explode."""

import pytest

from agent.checks.reading import (
    apart,
    compiled,
    from_json,
    is_found,
    one_line,
    plain,
    spell_bytes,
    spell_seconds,
    split,
)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain", "plain"),
        ("two\nlines\tand  blanks ", "two lines and blanks"),
        ("\x1b[1;31mred\x1b[0m \x1b]0;title\x07done", "red done"),
        ("\x9b31mred", "red"),
        ("\x1b[2J\x1b[Hgone\x1b(B", "gone"),
        ("ring\x07 back\x08 nul\x00", "ring back nul"),
        ("abc\u202ecba\u200b", "abccba"),
        ("caf\u00e9 \u65e5\u672c", "caf\u00e9 \u65e5\u672c"),
        ("no\u00a0break", "no break"),
        ("over\rwritten", "over written"),
        ("\ud800half", "half"),
        ("x" * 300, "x" * 199 + "…"),
    ],
)
def test_a_line_is_plain_and_bounded(text: str, line: str) -> None:
    assert one_line(text) == line


def test_evidence_keeps_its_lines() -> None:
    assert plain("a\r\n\tb\x1b[0m\nc", 100) == "a\n\tb\nc"
    assert len(plain("\x1b[31m" * 10**6 + "x" * 10**6)) <= 2_000


def test_patterns_are_re2_and_say_what_is_wrong() -> None:
    assert is_found("(?i)OK$", "all ok")
    assert not is_found("^b", "ab")
    assert not is_found("(a*)*$b", "a" * 50_000)  # would take for ever where patterns backtrack
    with pytest.raises(ValueError, match=r"is not a pattern \(RE2\): missing \)"):
        compiled("(")
    with pytest.raises(ValueError, match="RE2"):
        compiled(r"(a)\1")
    for bomb in (r"((a{1,100}){1,100}){1,100}", r"(x{1000}){1000}", r"(x?){900}(a{1,30}){1,30}b", r".{1000}" * 50):
        with pytest.raises(ValueError, match=r"RE2|too large a pattern"):
            compiled(bomb)
    assert compiled(r"status.{0,100}ok")


def test_stdout_and_stderr_are_told_apart_even_when_the_first_is_odd() -> None:
    assert "sh -c 'echo '\"'\"'x'" in apart("echo 'x")
    assert split("out\nmore") == ("out\nmore", "")
    assert split("out\n\x1e stderr \x1e\noops\n") == ("out", "oops")


@pytest.mark.parametrize(("value", "words"), [(0.0341, "34 ms"), (0.9999, "1000 ms"), (2.14, "2.1 s"), (75, "75.0 s")])
def test_seconds_are_spelt(value: float, words: str) -> None:
    assert spell_seconds(value) == words


@pytest.mark.parametrize(
    ("value", "words"), [(0, "0 B"), (999, "999 B"), (1234, "1.2 kB"), (5e9, "5.0 GB"), (7e15, "7000.0 TB")]
)
def test_bytes_are_spelt(value: float, words: str) -> None:
    assert spell_bytes(value) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "Expecting"),
        ("[" * 20_000, "nested too deeply"),
        (f"[{'{},' * 340_000}0]", "more than 50,000 values"),
        (f"[{'1,' * 50_000}1]".encode(), "more than 50,000 values"),
    ],
    ids=["torn", "deep", "many objects", "many numbers"],
)
def test_json_is_read_within_bounds(text: str | bytes, words: str) -> None:
    assert from_json(b'{"a": [1, {"b": "c"}]}') == {"a": [1, {"b": "c"}]}
    with pytest.raises(ValueError, match=words):
        from_json(text)
