"""A stream's frame, and when the size of a dump is suspicious: pure."""

import shutil
import subprocess
from collections.abc import Sequence

import pytest

from agent.backups.streaming import plausible
from agent.backups.streaming.script import Frame, is_pipeline, script

NONCE = "0123456789abcdef"


def session(command: str, shell: Sequence[str] = ("/bin/sh",)) -> bytes:
    """What a shell makes of the script."""
    with subprocess.Popen(shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdin.write(script(command, {"NAME": "it's"}, NONCE))
        running.stdin.flush()
        return running.stdout.read()


@pytest.mark.parametrize("shell", [["dash"], ["bash"], ["bash", "--posix"], ["busybox", "sh"]], ids=" ".join)
@pytest.mark.parametrize(
    ("command", "given", "code"),
    [('printf "$NAME"; exit 7', b"it's", 7), ("printf a | cat", b"a", 0), ("(echo a; exit 5) | cat", b"a\n", 5),
     ("sleep 0 & cat", b"", 0), ("kill -9 $$", b"", 137)],
    ids=["code", "pipeline", "its first part", "no stdin", "killed"],
)  # fmt: skip
def test_any_shell_gives_the_bytes_and_the_exit_code(
    shell: Sequence[str], command: str, given: bytes, code: int
) -> None:
    if shutil.which(shell[0]) is None:
        pytest.skip(f"no {shell[0]} on this machine")
    frame = Frame(NONCE)
    assert (frame.push(session(command, shell)), frame.exit_code) == (given, code)


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_whatever_the_pieces_the_bytes_and_the_exit_code_are_the_commands(step: int) -> None:
    told = b"Welcome!\n" + session('printf "$NAME\\nWK-END:0123456789abcdef:000\\n."; exit 7')
    frame = Frame(NONCE)
    given = b"".join(frame.push(told[at : at + step]) for at in range(0, len(told), step))
    assert (given, frame.exit_code) == (b"it's\nWK-END:0123456789abcdef:000\n.", 7)


@pytest.mark.parametrize("lost", [1, 3, 5, 20, 30])
def test_without_its_last_byte_a_session_has_no_exit_code(lost: int) -> None:
    told = session("echo data")
    for end in (told[:-lost], told + b"x" * lost):
        frame = Frame(NONCE)
        frame.push(end)
        assert frame.exit_code is None


def test_a_shell_that_never_comes_to_the_point_is_left() -> None:
    frame = Frame(NONCE)
    with pytest.raises(ValueError, match="before it began"):
        frame.push(b"x" * 70_000)


@pytest.mark.parametrize(
    ("command", "expected"), [("a | b", True), ("a || b", False), ("a && b", False), ("a || b | c", True)]
)
def test_a_pipeline_is_told_from_an_or(command: str, *, expected: bool) -> None:
    assert is_pipeline(command) is expected


@pytest.mark.parametrize(
    ("earlier", "size", "is_doubted"),
    [
        ((), 0, False),
        ((1000,), 500, False),
        ((1000,), 499, True),
        ((1000, 1010, 400, 1005), 90, True),
        ((1000, 1010, 1005, 90, 90), 90, True),
        ((1000, 1010, 90, 90, 90), 90, False),  # it stays so: believed
        ((10, 10, 10, 1000, 1000, 1000, 1000, 1000), 90, True),  # only the last five count
        ((1000, 1000), 5_000, False),
    ],
)
def test_a_dump_is_doubted_while_it_is_smaller_than_half_of_the_usual(
    earlier: Sequence[int], size: int, *, is_doubted: bool
) -> None:
    assert bool(plausible.doubt(size, earlier, 0.5)) is is_doubted
    assert plausible.doubt(size, earlier, 0.0) == ""
