"""log on a real file that grows, is rotated, cut off, removed, and written to in the middle of a line."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from agent.checks.log import Log, LogOptions
from agent.clock import Deadline, SystemClock
from agent.model.look import Look, Section, Verdict
from agent.transports import local


class Reader:
    """Looks at one file again and again, as the agent does: each look gets the memory of the one before."""

    def __init__(self, path: Path, match: str, shell: str) -> None:
        self._options = LogOptions(path=str(path), match=match)
        self._shell = shell
        self._memory: tuple[int, int] | None = None

    def look(self) -> Look:
        """One look."""
        argv = [*self._shell.split(), "-c", f"exec 2>&1 </dev/null\n{Log.script(self._options, self._memory)}"]
        done = local.run(argv, deadline=Deadline.after(SystemClock(), 20), env={"PATH": os.environ["PATH"]})
        section = Section(text=done.stdout, exit_code=done.exit_code, timed_out=done.timed_out)
        look = Log.read(section, self._options, self._memory)
        self._memory = look.memory if look.memory is not None else self._memory
        return look

    def matches(self) -> float:
        """What one look counted."""
        look = self.look()
        assert look.verdict is Verdict.OK, look
        return float(look.metrics["matches"])


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "it's a $(log)"
    file.write_text("ERROR long ago\n")
    return file


@pytest.fixture(params=["dash", "busybox sh"])
def reader(log: Path, request: pytest.FixtureRequest) -> Reader:
    """A reader that has noted where the file ends."""
    reader = Reader(log, "ERROR|'FATAL'", str(request.param))
    assert reader.matches() == 0
    return reader


def add(log: Path, text: str) -> None:
    with log.open("a") as file:
        file.write(text)


def test_each_line_is_counted_once(log: Path, reader: Reader) -> None:
    add(log, "fine\nERROR one\nlog 1 2 3\nit's 'FATAL' \x1b[31mtwo\n")
    look = reader.look()
    assert look.metrics["matches"] == 2
    assert look.summary.endswith("2 new lines match, the last: it's 'FATAL' two")
    assert look.evidence == "ERROR one\nit's 'FATAL' two"
    assert reader.matches() == 0


def test_a_line_that_looks_like_our_own_is_only_a_line(log: Path) -> None:
    reader = Reader(log, "log|ERROR", "sh")
    reader.look()
    add(log, "log 1 2 3\nlog 4 5 6\n")
    assert reader.matches() == 2
    add(log, "ERROR\n")
    assert reader.matches() == 1


def test_a_line_counts_once_it_is_complete(log: Path, reader: Reader) -> None:
    add(log, "ERROR one\nERROR tw")
    assert reader.matches() == 1
    assert reader.matches() == 0
    add(log, "o\n")
    assert reader.matches() == 1


@pytest.mark.parametrize("name", ["{}.1", "{}-20260101"])
def test_what_was_written_before_a_rotation_is_read_under_the_new_name(log: Path, reader: Reader, name: str) -> None:
    add(log, "ERROR one\n")
    log.rename(log.with_name(name.format(log.name)))
    log.write_text("ERROR two\nERROR three\n")
    assert reader.matches() == 3
    add(log, "ERROR four\n")
    assert reader.matches() == 1


def test_a_file_that_was_cut_off_is_read_from_its_beginning(log: Path, reader: Reader) -> None:
    log.write_text("ERROR\n")
    assert reader.matches() == 1


def test_a_file_that_is_gone_is_critical_and_read_on_when_it_is_back(log: Path, reader: Reader) -> None:
    log.rename(log.with_name("elsewhere"))
    assert reader.look().verdict is Verdict.CRITICAL
    log.write_text("ERROR one\n")
    assert reader.matches() == 1


def test_binary_garbage_and_a_line_without_end_are_read_in_bounds(log: Path, reader: Reader) -> None:
    with log.open("ab") as file:
        file.write(b"\x00\xff ERROR \x00\n")
        file.truncate(34_000_000)  # zeros, and no line end
    assert reader.matches() == 1
    look = reader.look()
    assert look.verdict is Verdict.OK
    add(log, "\nERROR after it\n")
    assert sum(reader.matches() for _ in range(2)) == 1


def test_what_is_no_file_to_read_is_unknown(tmp_path: Path) -> None:
    assert Reader(tmp_path, "x", "sh").look().verdict is Verdict.UNKNOWN
    assert Reader(tmp_path / "absent", "x", "sh").look().verdict is Verdict.CRITICAL


@pytest.mark.parametrize("options", [{"path": "/x"}, {"path": "x", "match": "y"}, {"path": "/x", "match": r"\d"}])
def test_options_of_logs_that_make_no_sense_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        LogOptions.model_validate(options)
