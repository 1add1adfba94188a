"""The history of configurations by real git: many writers, killed writers, odd names, bytes as they are."""

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agent.backups import Job, Kind, Setting
from agent.backups.configs import keeping
from agent.backups.configs.gate import Expected
from agent.backups.configs.history import History, file_of, message_of
from agent.backups.configs.platforms import rules_for
from agent.backups.configs.reading import Configuration, Wanted
from agent.clock import Deadline, SystemClock
from agent.errors import InputError, ToolError

TOP = Path(__file__).resolve().parents[2]
WRITER = """
import sys
from pathlib import Path
from agent.backups import Job, Kind, Setting
from agent.backups.configs import keeping
from agent.backups.configs.gate import Expected
from agent.backups.configs.history import History
from agent.clock import SystemClock
history, number = History(Path(sys.argv[1]), SystemClock()), 0
while True:
    number += 1
    with history.writing():
        history.commit("sw1", f"line {sys.argv[2]} {number}\\n", "sw1: changed\\n\\nwhy\\n")
    print(number, flush=True)
"""


def kept(history: History, host: str, text: str, why: str = "it is due") -> str:
    """The commit in which that text is kept."""
    message = message_of(host, what="changed", why=why, item="net/backups/n", exec_id="01A")
    with history.writing():
        return history.commit(host, text, message).id


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "state", SystemClock())


def git(history: History, *arguments: str) -> str:
    argv = ["git", "-C", str(history.folder), *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_a_history_tells_what_was_when_and_why(history: History) -> None:
    first = kept(history, "sw1", "one\ntwo\n")
    second = kept(history, "sw1", "one\nthree\nfour\n", why="RUN0000002: by hand")
    told = [(one.id, one.added, one.removed, one.reason, one.item, one.exec_id) for one in history.commits("sw1")]
    assert told == [
        (second, 2, 1, "RUN0000002: by hand", "net/backups/n", "01A"),
        (first, 2, 0, "it is due", "net/backups/n", "01A"),
    ]
    assert history.text_at("sw1", first) == "one\ntwo\n"
    assert "-two\n+three\n+four" in history.difference(first, second, "sw1")
    assert history.resolve("sw1", second[:7].upper()) == second
    assert git(history, "fsck", "--strict") == ""
    assert history.folder.stat().st_mode & 0o777 == 0o700


def test_a_commit_that_is_not_there_is_told(history: History) -> None:
    kept(history, "sw1", "one\n")
    for name in ("0123", "", "main", "--all", "HEAD"):
        with pytest.raises(InputError, match="of the commits of sw1"):
            history.resolve("sw1", name)
    assert history.commits("sw2") == []
    assert history.last("sw2") is None


@pytest.mark.parametrize("host", ["../../etc/passwd", ".git", "a b\tc", "-rf", "é", "x" * 200])
def test_a_host_of_any_name_is_one_file(history: History, host: str) -> None:
    kept(history, host, "text\n")
    assert "/" not in file_of(host)
    assert history.hosts() == [host]
    assert history.last(host) is not None
    assert len(history.commits(host)) == 1
    assert git(history, "fsck", "--strict") == ""


@pytest.mark.parametrize("text", ["", "no newline", "\n", "a\0b\n", "umlaut ü \ufffd\n", "x" * 300_000 + "\n"])
def test_a_text_comes_back_as_it_was(history: History, text: str) -> None:
    kept(history, "sw1", text)
    found = history.last("sw1")
    assert found is not None
    assert found.text == text


def test_many_writers_lose_nothing(history: History) -> None:
    def write(host: str) -> None:
        for number in range(5):
            kept(History(history.folder.parent, SystemClock()), host, f"{number}\n")

    threads = [threading.Thread(target=write, args=(f"sw{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(history.commits(f"sw{number}")) for number in range(4)] == [5] * 4
    assert git(history, "rev-list", "--count", "main") == "20\n"


def test_a_writer_that_is_killed_leaves_whole_commits(history: History) -> None:
    """Kill -9 of our process at any moment: what it had said is there, and the next one goes on."""
    dice = random.Random(7)
    for turn in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(history.folder.parent), str(turn)], cwd=TOP, stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            said = [int(writer.stdout.readline()) for _ in range(dice.randrange(1, 4))]
            os.kill(writer.pid, signal.SIGKILL)
        kept(history, "other", f"{turn}\n")
        found = history.last("sw1")
        assert found is not None
        assert int(found.text.split()[2]) >= said[-1]
    assert git(history, "fsck", "--strict", "--no-dangling") == ""
    assert len(history.commits("other")) == 6


def test_a_gc_that_fails_makes_no_commit_fail(history: History, caplog: pytest.LogCaptureFixture) -> None:
    kept(history, "sw1", "one\n")
    git(history, "config", "gc.auto", "no number")
    kept(history, "sw1", "two\n")
    found = history.last("sw1")
    assert found is not None
    assert found.text == "two\n"
    assert "git gc failed on the history of configurations" in caplog.text


def test_changed_lines_are_told_without_what_a_line_above_makes_a_secret(history: History, tmp_path: Path) -> None:
    """Also where git has the secrets: what is told goes to people and programs that have no business with them."""
    job = Job(
        kind=Kind.BACKUP, engine="device_config", key="net/backups/n@fw1", item="net/backups/n", host="fw1",
        exec_id="01A", options={}, repository="", state=str(tmp_path / "state"),
    )  # fmt: skip
    rules = rules_for("fortinet.fortios.fortios", "fortinet")
    wanted = Wanted(command="show", expected=Expected(rules=rules, names=("fw1",)), hide=(), key=b"k", last="")
    setting = Setting(deadline=Deadline.after(SystemClock(), 60), environment={}, report=lambda _: None)
    results = []
    for name in ("HIDE-one", "HIDE-two"):
        text = f'config system snmp community\n    edit 1\n        set name "{name}"\n        set hosts {len(name)}\n'
        text += f"        set status {name == 'HIDE-one'}\n    next\nend\n"
        found = Configuration(text=text, shown=wanted.shown(text))
        read = keeping.Read(found=found, wanted=wanted, at_us=1, is_hidden=False)
        results.append(keeping.keep(job, setting, history, read).revision)
    assert "HIDE-two" in git(history, "show", "main:fw1.cfg")
    assert results[-1] is not None
    assert results[-1].lines == ("-        set status True", "+        set status False")


def test_what_is_damaged_is_told_and_not_begun_anew(history: History) -> None:
    first = kept(history, "sw1", "one\n")
    (history.folder / "refs/heads/main").write_text("0" * 39 + "1\n")
    with pytest.raises(ToolError, match="on the history of configurations"):
        kept(history, "sw1", "two\n")
    (history.folder / "refs/heads/main").write_text(f"{first}\n")
    assert len(history.commits("sw1")) == 1
