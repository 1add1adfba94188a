"""Several processes on one database, and processes killed while they write: nothing acknowledged is lost or torn."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.clock import SystemClock
from agent.errors import StoreError
from agent.store import counters, journal, states
from agent.store.chain import verify
from agent.store.engine import Store

CLOCK = SystemClock()

# One transaction writes a number, a state and a journal line: afterwards all three must tell the same count.
WRITER = """
import os, signal, sys
from pathlib import Path
from agent.clock import SystemClock
from agent.errors import ConflictError
from agent.model.journal import Entry
from agent.store import counters, journal, states
from agent.store.engine import Store

ENTRY = Entry(actor="a", kind="k", object_type="t", object_id="o", why="w")

def add_one(store):
    while True:
        with store.read() as connection:  # outside of the transaction, so that others can come between
            revision, document = states.load_all(connection).get("key", (0, {"count": 0}))
        try:
            with store.write() as tx:
                counters.next_number(tx, "N")
                states.save(tx, "key", {"count": document["count"] + 1}, revision=revision)
                journal.append(tx, ENTRY)
        except ConflictError:
            continue
        return document["count"] + 1

def open_store(failpoint):
    return Store.open(Path(sys.argv[1]), SystemClock(), migrate=False, failpoint=failpoint)

def forked(work):
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        work(lambda count: os.write(writing, b"%d\\n" % count))
        os._exit(0)
    os.close(writing)
    return pid, os.fdopen(reading)
"""

KILLED = (
    WRITER
    + """
from agent.store.chain import verify
import json

def until_killed(point, nth):
    def work(acknowledge):
        passed = []
        def failpoint(name):
            if name == point:
                passed.append(name)
                if len(passed) == nth:
                    os.kill(os.getpid(), signal.SIGKILL)
        store = open_store(failpoint)
        while True:
            acknowledge(add_one(store))
    return work

for turn in sys.argv[2:]:
    point, nth = turn.split(":")
    pid, acknowledged = forked(until_killed(point, int(nth)))
    last = 0
    for line in acknowledged:
        last = int(line)
        if point == "acknowledged" and last % int(nth) == 0:
            os.kill(pid, signal.SIGKILL)  # wherever it is by now in the next transaction
    _, status = os.waitpid(pid, 0)
    found = verify(Path(sys.argv[1]))
    store = open_store(lambda name: None)
    with store.read() as connection:
        count = states.load_all(connection)["key"].document["count"]
    store.close()
    print(json.dumps({"turn": turn, "signal": os.WTERMSIG(status), "acknowledged": last, "rows": found.rows,
                      "count": count, "why": found.why}))
"""
)

TOGETHER = (
    WRITER
    + """
def work(acknowledge):
    store = open_store(lambda name: None)
    for _ in range(int(sys.argv[3])):
        acknowledge(add_one(store))

children = [forked(work) for _ in range(int(sys.argv[2]))]
counts = [int(line) for _, lines in children for line in lines]
assert [os.waitpid(pid, 0)[1] for pid, _ in children] == [0] * len(children)
print(sorted(counts))
"""
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Store.open(tmp_path / "state", CLOCK, migrate=True).close()
    return tmp_path / "state"


def ran(program: str, folder: Path, *arguments: str) -> str:
    argv = [sys.executable, "-c", program, str(folder), *arguments]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_processes_that_race_for_one_record_lose_no_update(folder: Path) -> None:
    assert json.loads(ran(TOGETHER, folder, "3", "20")) == list(range(1, 61))
    found = verify(folder)
    assert (found.ok, found.rows) == (True, 60)


def test_kill_9_at_every_failpoint_and_anywhere_else_tears_nothing(folder: Path) -> None:
    points = ("journal-append:3", "before-commit:2", "after-commit:3", "journal-append:1", *["acknowledged:7"] * 5)
    turns: list[dict[str, Any]] = [json.loads(line) for line in ran(KILLED, folder, *points).splitlines()]
    assert len(turns) == len(points)
    before = 0
    for turn in turns:
        assert (turn["signal"], turn["why"]) == (9, ""), turn
        assert turn["count"] == turn["rows"], "a state without its line, or a line without its state"
        assert turn["acknowledged"] <= turn["count"] <= max(turn["acknowledged"], before) + 1, turn
        before = turn["count"]
    assert [turn["count"] for turn in turns[:4]] == [2, 3, 6, 6]


def test_a_store_opened_after_a_kill_goes_on_where_the_dead_one_stopped(folder: Path) -> None:
    ran(KILLED, folder, "before-commit:4")
    store = Store.open(folder, CLOCK, migrate=False)
    with store.write() as tx:
        assert counters.next_number(tx, "N") == "N0000004"
        assert states.load_all(tx)["key"] == (3, {"count": 3})
        assert journal.head(tx).seq == 3
    store.close()


def test_two_processes_that_start_on_an_empty_folder_make_one_schema(tmp_path: Path) -> None:
    program = """
import sys, pathlib
from agent.clock import SystemClock
from agent.store.engine import Store
Store.open(pathlib.Path(sys.argv[1]), SystemClock(), migrate=True).close()
"""
    argv = [sys.executable, "-c", program, str(tmp_path / "state")]
    starting = [subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [(child.communicate()[1], child.returncode) for child in starting] == [("", 0), ("", 0)]
    assert verify(tmp_path / "state").ok


def test_a_migration_that_is_killed_leaves_nothing_half_made(tmp_path: Path) -> None:
    program = """
import os, sys, pathlib
from agent.clock import SystemClock
from agent.store.engine import Store
Store.open(pathlib.Path(sys.argv[1]), SystemClock(), migrate=True, failpoint=lambda point: os.kill(os.getpid(), 9))
"""
    argv = [sys.executable, "-c", program, str(tmp_path)]
    assert subprocess.run(argv, check=False).returncode == -9
    with pytest.raises(StoreError, match="missing or older"):
        Store.open(tmp_path, CLOCK, migrate=False)
    Store.open(tmp_path, CLOCK, migrate=True).close()
    assert verify(tmp_path).ok
