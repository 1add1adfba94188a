"""A snapshot that cannot be what it says is never taken for the newest one."""

import dataclasses

import pytest

from agent.backups import Snapshot
from agent.backups.restic.plausible import doubt
from agent.backups.restic.snapshots import pick
from agent.clock import MICROSECONDS, SystemClock
from agent.store import ids

DAY = 24 * 3600 * MICROSECONDS
CLOCK = SystemClock()
NOW = CLOCK.now()
ID = ids.ulid(CLOCK)
GOOD = Snapshot(id="a1", at_us=NOW, host="web1", item="shop/backups/files", exec_id=ID, paths=("/srv",))


@pytest.mark.parametrize(
    ("exec_id", "ahead_us", "why"),
    [
        (ID, 0, ""),
        (ID, 290 * MICROSECONDS, ""),
        (ID, -290 * MICROSECONDS, ""),  # the clock was set back a little while it ran
        (ID, 310 * MICROSECONDS, "dated in the future"),
        (ID, 400 * DAY, "dated in the future"),
        (ID, -DAY, "not dated when its execution ran"),
        (f"00{ID[2:]}", 0, "not dated when its execution ran"),
        ("01A", -400 * DAY, ""),  # no ULID: nothing is known
        ("", 0, "no execution of ours made it"),
    ],
    ids=["now", "soon", "a little back", "later", "in a year", "a day late", "an older name", "no name", "none"],
)
def test_a_time_is_true_or_doubted(exec_id: str, ahead_us: int, why: str) -> None:
    assert doubt(dataclasses.replace(GOOD, exec_id=exec_id, at_us=NOW + ahead_us), NOW) == why


def test_the_newest_that_is_picked_is_the_newest_that_can_be_true() -> None:
    forged = dataclasses.replace(GOOD, id="b2", at_us=NOW + 400 * DAY, doubt="dated in the future")
    older = dataclasses.replace(GOOD, id="c3", at_us=NOW - DAY)
    assert pick([forged, GOOD, older]) == GOOD
    assert pick([forged, GOOD, older], at_us=NOW - 1) == older
    assert pick([forged, GOOD, older], wanted="b") == forged
    assert pick([forged]) is None
