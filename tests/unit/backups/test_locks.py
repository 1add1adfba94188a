"""Whose a lock is: removed are those of dead processes on our record, and no others, whatever else lies there."""

import dataclasses
import json
import random
import socket
import subprocess
from pathlib import Path

import pytest

from agent.backups.restic import locks
from agent.backups.restic.locks import Lock, Register, Start
from agent.clock import MICROSECONDS, SystemClock
from tests.fakes.clock import ToldClock

CLOCK = SystemClock()
NOW = 1_900_000_000 * MICROSECONDS
MINUTE = 60 * MICROSECONDS
OURS = Start(pid=4711, started=99, boot_id="b", host="here", began_us=NOW - 3 * MINUTE, exec_id="01A")
LOCK = Lock(id="a" * 64, at_us=NOW - 2 * MINUTE, exclusive=False, host="here", user="root", pid=4711)


def other(**changes: object) -> Lock:
    """The lock, with these differences."""
    return dataclasses.replace(LOCK, **changes)  # type: ignore[arg-type]  # a field's own type, by name


@pytest.mark.parametrize(
    ("lock", "is_ours"),
    [
        (LOCK, True),
        (other(exclusive=True), True),
        (other(at_us=NOW), True),  # restic renewed it
        (other(at_us=OURS.began_us - MINUTE), True),  # the clock was corrected meanwhile
        (other(at_us=OURS.began_us - 6 * MINUTE), False),  # older than our process: somebody's of the same number
        (other(pid=4712), False),
        (other(host="there"), False),
        (other(host=""), False),
    ],
)
def test_a_lock_is_ours_by_machine_number_and_time(lock: Lock, *, is_ours: bool) -> None:
    assert (locks.ours_and_dead([lock], [OURS]) == [lock]) is is_ours
    assert locks.ours_and_dead([lock], []) == []


THERE = dataclasses.replace(OURS, host="web1", there=815)


@pytest.mark.parametrize(
    ("lock", "start", "is_ours"),
    [
        (other(host="web1", pid=815), THERE, True),
        (other(host="web1", pid=815, at_us=0), THERE, True),  # nothing is known of that machine's clock
        (LOCK, THERE, False),  # the number of the server is not that of the restic it served
        (other(host="web2", pid=815), THERE, False),
        (other(host="", pid=0), dataclasses.replace(THERE, host="", there=0), False),  # it never said who it is
    ],
)
def test_a_lock_of_a_restic_elsewhere_is_ours_by_its_machine_and_number(
    lock: Lock, start: Start, *, is_ours: bool
) -> None:
    assert (locks.ours_and_dead([lock], [start]) == [lock]) is is_ours


@pytest.mark.parametrize(
    ("beside", "processes", "may"),
    [
        ([], {}, True),
        ([], {4711: "nginx"}, False),  # our number was given to somebody: restic would send it a signal
        ([other(id="b" * 64, host="there")], {}, True),  # young, and of another machine: restic leaves it
        ([other(id="b" * 64, host="there", at_us=NOW - 26 * MINUTE)], {}, False),  # restic may call it stale any moment
        ([other(id="b" * 64, pid=5, at_us=NOW)], {5: "restic"}, True),
        ([other(id="b" * 64, pid=5, at_us=NOW)], {5: "cron"}, False),
        ([other(id="b" * 64, pid=5, at_us=NOW)], {}, False),  # dead, and not ours: restic would remove it
    ],
)
def test_restic_may_unlock_where_it_removes_nothing_but_ours(
    beside: list[Lock], processes: dict[int, str], *, may: bool
) -> None:
    assert locks.may_unlock([LOCK, *beside], [LOCK], "here", NOW, lambda pid: processes.get(pid, "")) is may


def test_in_a_thousand_draws_no_lock_of_a_living_process_is_ever_chosen() -> None:
    """Numbers, machines and times collide often here; what is alive is known, and must never be among the chosen."""
    draw = random.Random(11)
    for _ in range(1000):
        dead, held, living = list[Start](), list[Lock](), set[str]()
        for number in draw.sample(range(20), 8):  # processes of this machine: a number is one process at a time
            began = NOW - draw.randrange(1, 90) * MINUTE
            start = Start(pid=number, started=1, boot_id="b", host="here", began_us=began, exec_id="01A")
            lock = Lock(id=f"{len(held):064x}", at_us=draw.randrange(began, NOW), exclusive=draw.random() < 0.3,
                        host="here", user="root", pid=number)  # fmt: skip
            held.append(lock)
            if draw.random() < 0.5:
                dead.append(start)
            else:
                living.add(lock.id)
        for number in range(20):  # and of others, with any number
            held.append(Lock(id=f"{100 + number:064x}", at_us=NOW - draw.randrange(90) * MINUTE, exclusive=False,
                             host="there", user="root", pid=number))  # fmt: skip
            living.add(held[-1].id)
        chosen = {lock.id for lock in locks.ours_and_dead(held, dead)}
        assert not chosen & living
        assert len(chosen) == len(dead)


def test_a_start_is_on_record_while_it_lives_and_dead_when_it_is_not(tmp_path: Path) -> None:
    register = Register(tmp_path / "starts", CLOCK, "01A")
    assert register.dead() == {}
    with subprocess.Popen(["sleep", "60"]) as process:
        noted = register.note(process.pid)
        assert noted is not None
        assert register.dead() == {}
        process.kill()
    ((path, start),) = register.dead().items()
    assert (path, start.pid, start.host, start.exec_id) == (noted, process.pid, socket.gethostname(), "01A")
    assert register.note(process.pid) is None
    locks.forget([path])
    assert register.dead() == {}


def test_a_lock_that_was_renewed_after_the_clock_was_set_back_is_ours_still(tmp_path: Path) -> None:
    clock = ToldClock()
    register = Register(tmp_path / "starts", clock, "01A")
    with subprocess.Popen(["sleep", "60"]) as process:
        register.note(process.pid)
        process.kill()
    before_us = clock.now()
    clock.step_seconds(-3600)
    clock.pass_seconds(600)
    (dead,) = register.dead().values()
    renewed = Lock(id="a", at_us=clock.now(), exclusive=True, host=dead.host, user="root", pid=dead.pid)
    older = dataclasses.replace(renewed, id="b", at_us=before_us - 3600 * 1_000_000 - 6 * MINUTE)
    assert locks.ours_and_dead([renewed, older], [dead]) == [renewed]


def test_where_nothing_is_noted_no_room_stays_taken(tmp_path: Path) -> None:
    register = Register(tmp_path / "starts", CLOCK, "01A")
    with register.room() as room:
        assert room.stat().st_size > 0
    assert list((tmp_path / "starts").iterdir()) == []


def test_a_record_of_an_earlier_boot_is_of_a_dead_process(tmp_path: Path) -> None:
    register = Register(tmp_path, CLOCK, "01A")
    with subprocess.Popen(["sleep", "60"]) as process:
        path = register.note(process.pid)
        assert path is not None
        path.write_text(json.dumps(json.loads(path.read_text()) | {"boot_id": "another"}))
        assert list(register.dead()) == [path]
        process.kill()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"time": "yesterday"}', '{"time": 7}', "null"])
def test_what_is_no_lock_is_none(text: str) -> None:
    assert locks.read("a" * 64, text) is None


def test_a_lock_is_read_as_restic_shows_it() -> None:
    text = """{
  "time": "2026-11-23T02:30:35.107564114+01:00",
  "exclusive": true,
  "hostname": "vm",
  "username": "root",
  "pid": 7213
}"""
    read = locks.read("a" * 64, text)
    assert read is not None
    assert (read.exclusive, read.told(), read.at_us % MICROSECONDS) == (True, "process 7213 of root on vm", 107564)
    assert locks.ids(f"{'b' * 64}\nno id\n{'B' * 64}\n {'0' * 64} \n") == ["b" * 64, "0" * 64]
