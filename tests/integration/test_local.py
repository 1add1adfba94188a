"""Real programs on this machine: bounded in bytes and time, and nothing of them stays."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from agent.clock import Deadline, SystemClock
from agent.errors import ToolError
from agent.transports import framing, local
from tests.lab.wait import in_time

CLOCK = SystemClock()


def soon(seconds: float = 20.0) -> Deadline:
    return Deadline.after(CLOCK, seconds)


def test_output_streams_and_exit_code_are_told_apart() -> None:
    done = local.run(["sh", "-c", "echo out; echo err >&2; exit 3"], deadline=soon())
    assert (done.exit_code, done.stdout, done.stderr) == (3, "out\n", "err\n")
    assert not done.timed_out
    assert not done.truncated


def test_a_large_input_reaches_the_program_and_a_large_output_comes_back() -> None:
    data = b"0123456789abcdef" * 20_000
    done = local.run(["cat"], deadline=soon(), stdin=data)
    assert done.stdout.encode() == data


def test_a_program_that_does_not_read_its_input_is_not_waited_for() -> None:
    assert local.run(["true"], deadline=soon(), stdin=b"x" * 1_000_000).exit_code == 0


def test_without_input_a_program_reads_the_end_at_once() -> None:
    assert local.run(["cat"], deadline=soon()) == local.Completed(exit_code=0, stdout="", stderr="")


def test_environment_and_folder_are_those_asked_for(tmp_path: Path) -> None:
    done = local.run(["/usr/bin/env"], deadline=soon(), env={"ONLY": "this"}, cwd=tmp_path)
    assert done.stdout == "ONLY=this\n"
    assert local.run(["pwd"], deadline=soon(), cwd=tmp_path).stdout == f"{tmp_path}\n"


def test_a_signal_is_told_as_a_shell_tells_it() -> None:
    assert local.run(["sh", "-c", "kill -TERM $$"], deadline=soon()).exit_code == 128 + 15


def test_at_the_deadline_the_whole_session_group_is_killed_and_what_was_said_is_kept() -> None:
    with in_time(0.3):
        done = local.run(["sh", "-c", "sleep 300 & echo $! $$; wait"], deadline=soon(0.3))
    assert (done.timed_out, done.exit_code) == (True, framing.TIMED_OUT)
    for pid in map(int, done.stdout.split()):
        assert gone(pid)


def test_a_grandchild_that_holds_the_output_open_is_not_waited_for_and_does_not_stay() -> None:
    with in_time(0.0):
        done = local.run(["sh", "-c", "sleep 300 & echo $!"], deadline=soon())
    assert not done.timed_out
    assert gone(int(done.stdout))


def test_endless_output_ends_at_the_limit() -> None:
    done = local.run(["yes"], deadline=soon(), limit_bytes=10_000)
    assert (done.truncated, done.timed_out, len(done.stdout)) == (True, False, 10_000)


@pytest.mark.parametrize(
    ("program", "words"), [("no-such-program-here", "No such file"), ("/etc/passwd", "Permission")]
)
def test_a_program_that_cannot_start_is_a_tool_error_with_a_hint(program: str, words: str) -> None:
    with pytest.raises(ToolError, match=words) as caught:
        local.run([program], deadline=soon())
    assert caught.value.hint


def test_bytes_that_are_no_text_do_not_break_the_reader() -> None:
    assert local.run(["printf", r"a\377b"], deadline=soon()).stdout == "a�b"


def test_no_descriptor_is_left_open() -> None:
    before = psutil.Process().num_fds()
    for argv in (["true"], ["cat"], ["yes"]):
        local.run(argv, deadline=soon(), limit_bytes=1_000, stdin=b"x")
    with contextlib.suppress(ToolError):
        local.run(["no-such-program-here"], deadline=soon())
    assert psutil.Process().num_fds() == before


def test_a_batch_gives_each_script_its_own_section() -> None:
    first, second, third = local.run_batch(
        [("echo a; echo b >&2; exit 2", 5.0), ("cat; echo $PATH", 5.0), ("echo 'unbalanced", 5.0)], soon()
    )
    assert (first.text, first.exit_code, first.timed_out) == ("a\nb\n", 2, False)
    assert "/usr/sbin" in second.text
    assert third.exit_code == 2
    assert "nterminated" in third.text


def test_a_slow_script_times_out_alone() -> None:
    slow, quick = local.run_batch([("echo begun; sleep 300", 0.3), ("echo quick", 5.0)], soon())
    assert (slow.text, slow.exit_code, slow.timed_out) == ("begun\n", framing.TIMED_OUT, True)
    assert (quick.text, quick.exit_code) == ("quick\n", 0)


def test_scripts_after_the_deadline_are_not_started() -> None:
    sections = local.run_batch([("sleep 300", 300.0), ("touch /nonexistent/never", 5.0)], soon(0.2))
    assert [section.timed_out for section in sections] == [True, True]


def test_a_scripts_output_is_capped() -> None:
    (section,) = local.run_batch([("yes", 10.0)], soon())
    assert len(section.text) == framing.SECTION_LIMIT


def test_a_script_sees_nothing_of_our_environment() -> None:
    (section,) = local.run_batch([(f"{sys.executable} -c 'import os; print(sorted(os.environ))'", 10.0)], soon())
    assert "PYTEST" not in section.text


def gone(pid: int) -> bool:
    """Whether a process is dead within a moment; its new parent reaps it when it gets round to it."""
    for _ in range(100):
        with contextlib.suppress(psutil.TimeoutExpired):
            try:
                if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                    return True
                psutil.Process(pid).wait(0.05)
            except psutil.NoSuchProcess:
                return True
    return False


def open_files() -> set[Path]:
    return set(Path("/proc/self/fd").iterdir())


@contextlib.contextmanager
def no_more_than(files: int) -> Iterator[None]:
    """So many more descriptors may be opened."""
    before, held = resource.getrlimit(resource.RLIMIT_NOFILE), []
    most = max(int(path.name) for path in open_files()) + 40
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, before[1]))
        with contextlib.suppress(OSError):
            while True:
                held.append(os.open("/dev/null", os.O_RDONLY))
        while files:
            os.close(held.pop())
            files -= 1
        yield
    finally:
        for number in held:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("left", [0, 3, 7])
def test_without_descriptors_nothing_is_started(left: int) -> None:
    before = open_files()
    with no_more_than(left), pytest.raises(ToolError, match="Too many open files") as told:
        local.run(["sleep", "98.76"], deadline=soon(), stdin=b"x")
    assert told.value.hint.startswith("more descriptors are needed")
    assert open_files() == before


@pytest.mark.parametrize("left", [0, 1])
def test_what_cannot_be_listened_to_for_want_of_descriptors_is_ended(left: int) -> None:
    """Other threads took them between its start and the first look at it."""
    before = open_files()
    child = local._start(["sleep", "98.76"], subprocess.PIPE, None, None)
    with no_more_than(left), pytest.raises(ToolError, match="cannot follow what was started: Too many open files"):
        local._Conversation(child, b"", 1)
    assert child.returncode == -signal.SIGKILL
    assert open_files() == before
