"""Sections in and out of one stream: nothing between them, around them or like them counts."""

import pytest

from agent.model.look import Section
from agent.transports import framing

M = "wk" + "ab" * 16


def answer(text: str) -> bytes:
    return text.replace("M", M).encode()


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        ("M[hello\nM=0;M]", [Section(text="hello\n", exit_code=0)]),
        ("M[M=3;M]", [Section(text="", exit_code=3)]),
        ("M[beforeM=0;afterM]", [Section(text="beforeafter", exit_code=0)]),
        ("M[partM!M]", [Section(text="part", exit_code=124, timed_out=True)]),
        ("M[partM!M=137;M]", [Section(text="part", exit_code=124, timed_out=True)]),
        ("M[killedM]", [Section(text="killed", exit_code=124, timed_out=True)]),
        ("motd\r\nM[aM=0;M]noiseM[bM=1;M]", [Section(text="a", exit_code=0), Section(text="b", exit_code=1)]),
        ("M[wk00=0;wk00]M=0;M]", [Section(text="wk00=0;wk00]", exit_code=0)]),
        ("M[unfinished", []),
        ("", []),
    ],
)
def test_sections_are_found_whatever_stands_around_them(stream: str, expected: list[Section]) -> None:
    assert framing.sections(answer(stream), M) == expected


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert framing.sections(answer("M[") + b"a\xffb" + answer("M=0;M]"), M)[0].text == "a�b"


def test_an_answer_is_complete_with_its_last_section_however_it_was_cut_into_pieces() -> None:
    whole = answer("M[aM=0;M]M[bM=0;M]")
    heard = bytearray()
    seen = []
    for position in range(len(whole)):
        heard += whole[position : position + 1]
        seen.append(framing.is_complete(heard, M, 2, position))
    assert seen == [False] * (len(whole) - 1) + [True]


def test_every_script_is_one_call_with_whole_seconds() -> None:
    sent = framing.message([("echo 'a b'", 0.2), ("x\ny", 2.5)], M)
    calls = f"wk {M} 1 'echo '\"'\"'a b'\"'\"''\nwk {M} 3 'x\ny'\n"
    assert sent == f'{{\nwk_open\n{calls}wk_end "$wk_ring"\n}} 3>&1 | $wk_pack\n'.encode()


def test_what_is_trusted_to_end_at_once_needs_no_watch() -> None:
    assert (
        framing.message([("cat /proc/uptime", 0.0)], M)
        == f"{{\nwk_now {M} 'cat /proc/uptime'\n}} 3>&1 | $wk_pack\n".encode()
    )


def test_markers_do_not_repeat() -> None:
    assert len({framing.new_marker() for _ in range(100)}) == 100
