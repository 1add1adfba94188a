"""Programs that talk for long: every line is handed over, none is kept, and they are interrupted before they are killed."""

from collections.abc import Callable

import pytest

from agent.clock import Deadline, SystemClock
from agent.transports import local
from agent.transports.framing import TIMED_OUT

TIDY = "trap 'echo tidied; exit 3' INT; echo ready; while :; do sleep 0.01; done"
STUBBORN = "trap '' INT; echo ready; while :; do sleep 0.01; done"


def run(
    script: str, *, seconds: float = 30.0, stop: str = "", grace: float = 10.0
) -> tuple[local.Completed, list[str]]:
    """A script's ending and its lines, stderr's with a mark; with `stop`, that line is the last that is wanted."""
    lines: list[str] = []

    def listener(mark: str) -> Callable[[str], bool]:
        def hear(line: str) -> bool:
            lines.append(mark + line)
            return line != stop

        return hear

    done = local.stream(
        ["/bin/sh", "-c", script],
        deadline=Deadline.after(SystemClock(), seconds),
        hear=listener(""),
        complain=listener("! "),
        grace_seconds=grace,
    )
    return done, lines


def test_lines_come_whole_and_nothing_is_kept() -> None:
    done, lines = run("printf 'a\\nb'; printf 'c\\n\\nlast'; echo oops >&2; exit 5")
    assert sorted(lines) == ["! oops", "a", "bc", "last"]
    assert (done.exit_code, done.stdout, done.stderr, done.timed_out) == (5, "", "", False)


def test_there_is_no_limit_to_all_lines_together() -> None:
    done, lines = run("i=0; while [ $i -lt 40 ]; do head -c 60000 /dev/zero | tr '\\0' x; echo; i=$((i+1)); done")
    assert (done.exit_code, done.truncated, len(lines), {len(line) for line in lines}) == (0, False, 40, {60000})


def test_a_line_without_an_end_stops_the_program() -> None:
    done, lines = run("exec tr '\\0' x </dev/zero", grace=0.2)
    assert done.exit_code != 0
    assert sum(map(len, lines)) <= 1_100_000


@pytest.mark.parametrize(("seconds", "stop", "code"), [(0.3, "", TIMED_OUT), (30.0, "ready", 3)])
def test_a_program_may_tidy_up_before_it_is_killed(seconds: float, stop: str, code: int) -> None:
    done, lines = run(TIDY, seconds=seconds, stop=stop)
    assert (done.exit_code, done.timed_out) == (code, not stop)
    assert lines == (["ready"] if stop else ["ready", "tidied"])


@pytest.mark.parametrize("rest", ["yes", "(exec setsid yes)"])
def test_what_goes_on_writing_after_the_program_has_ended_is_not_waited_for(rest: str) -> None:
    """It writes as fast as we read, so there is always more to be had."""
    done, lines = run(f"echo first; {rest} & sleep 0.2; exit 4")
    assert (done.exit_code, done.timed_out, lines[0]) == (4, False, "first")


def test_a_program_that_will_not_go_is_killed() -> None:
    assert run(STUBBORN, stop="ready", grace=0.1)[0].exit_code == 137


def test_a_listener_that_fails_ends_the_program() -> None:
    def fail(_: str) -> bool:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        local.stream(
            ["/bin/sh", "-c", STUBBORN],
            deadline=Deadline.after(SystemClock(), 30),
            hear=fail,
            complain=fail,
        )
