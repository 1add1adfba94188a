"""Drills in numbers: when one is overdue, which is next, how long a fault stays unseen, how long a restore would take."""

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.backups.restic import sampling
from agent.model.backup import Backup, DrillPlan, Repository
from agent.model.cadence import At, Cadence, Every
from agent.model.proof import Cycle, Proof
from agent.practices import proofs

SECOND = 1_000_000
DAY = 86_400 * SECOND
NOW = 1_764_000_000 * SECOND  # a Monday, 16:00 UTC
DAILY: Cadence = (Every(seconds=86_400.0),)
MONDAYS: Cadence = (At(text="monday at 05:00", zone="UTC", rule="day", hour=5, weekdays=(0,)),)
MIB = 2**20


def backup(every: Cadence = DAILY, sample: int = 0) -> Backup:
    return Backup(
        key="shop/backups/files@web1", item="shop/backups/files", service="shop", host="web1", kind="files",
        options=None, every=(), repository=Repository(name="main", url="/srv/restic", password_secret="restic-main"),
        drill=DrillPlan(every=every, sample=sample), timeout_seconds=3600.0,
    )  # fmt: skip


def proof(size_mib: float = 1, seconds: float = 1.0, **more: Any) -> Proof:
    return Proof(
        key="k", exec_id="X", snapshot="abc", compared=1, torn=0, faults=(), restore_seconds=1.0,
        size_bytes=int(size_mib * MIB), seconds=seconds, **({"at_us": NOW, "passed": True} | more),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("files", "sample", "every", "days"),
    [
        (1000, 0, DAILY, 1.0),  # the whole each time
        (1000, 200, DAILY, 5.0),
        (1001, 200, DAILY, 6.0),
        (0, 200, DAILY, 1.0),
        (1000, 500, MONDAYS, 13.541666),  # the second Monday from now
        (1000, 500, (*MONDAYS, *DAILY), 2.0),  # whichever comes first
        (100_000, 100, DAILY, 1000.0),
        (1000, 200, (), None),
    ],
)
def test_the_longest_that_a_damaged_file_stays_unseen_is_a_number(
    files: int, sample: int, every: Cadence, days: float | None
) -> None:
    seconds = proofs.longest_unseen_seconds(files, sample, every, NOW)
    assert seconds == (None if days is None else pytest.approx(days * 86_400, abs=1))


@given(key=st.binary(min_size=32, max_size=32), files=st.integers(1, 200), sample=st.integers(1, 50))
@settings(max_examples=60, deadline=None)
def test_the_number_is_kept_whatever_the_key(key: bytes, files: int, sample: int) -> None:
    ranks = {sampling.rank(key, f"/srv/{name}") for name in range(files)}
    cycle, seen = Cycle(), set[bytes]()
    for _ in range(proofs.round_length(files, sample)):
        drawn = sampling.draw(ranks, cycle, sample)
        seen |= {rank for rank in ranks if drawn.holds(rank)}
        cycle = drawn.then
    assert seen == ranks


@pytest.mark.parametrize(
    ("every", "last", "now", "overdue"),
    [
        (DAILY, NOW, NOW + DAY, 0.0),
        (DAILY, NOW, NOW + 2 * DAY + 3600 * SECOND, 0.0),  # its day, its timeout
        (DAILY, NOW, NOW + 2 * DAY + 3601 * SECOND, 90_001.0),
        (MONDAYS, NOW, NOW + 7 * DAY, 0.0),
        (MONDAYS, NOW, NOW + 8 * DAY, 1.458333 * 86_400),
        ((), NOW, NOW + 900 * DAY, 0.0),
        ((Every(seconds=60.0),), NOW, NOW + 3720 * SECOND, 0.0),
        ((Every(seconds=60.0),), NOW, NOW + 3721 * SECOND, 3661.0),
    ],
)
def test_a_drill_is_overdue_after_a_day_of_grace(every: Cadence, last: int, now: int, overdue: float) -> None:
    assert proofs.overdue_seconds(backup(every), last, now) == pytest.approx(overdue, abs=1)


@pytest.mark.parametrize(("now", "overdue"), [(2 * DAY + 3660 * SECOND, 0.0), (2 * DAY + 3661 * SECOND, 90_061.0)])
def test_a_drill_that_comes_later_by_its_splay_is_not_overdue_for_it(now: int, overdue: float) -> None:
    splayed = dataclasses.replace(backup(), splay_seconds=60.0)
    assert proofs.overdue_seconds(splayed, NOW, NOW + now) == pytest.approx(overdue, abs=1)


def test_each_fourth_drill_takes_an_older_snapshot_and_the_sample_goes_on() -> None:
    cycle = Cycle(order="ab", round=2, drawn=1, planned=3, cursor="7f", sample=5)
    first = proofs.order(backup(sample=5), None, NOW)
    assert (first.turn, first.older, first.sample, first.cycle) == (1, 0, 5, Cycle())
    assert first.ordered_at_us == NOW
    orders = [proofs.order(backup(), proof(turn=turn, cycle=cycle), NOW) for turn in range(1, 12)]
    assert [one.older for one in orders] == [0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]
    assert orders[0].cycle == cycle


def test_a_drill_is_ordered_with_its_playbook_and_without_a_plan_with_none() -> None:
    planned = dataclasses.replace(backup(), drill=DrillPlan(every=DAILY, playbook="start-shop.yml"))
    assert proofs.order(planned, None, NOW).playbook == "start-shop.yml"
    by_hand = proofs.order(dataclasses.replace(planned, drill=None), None, NOW)
    assert (by_hand.playbook, by_hand.sample) == ("", 0)


@pytest.mark.parametrize(
    ("known", "size_mib", "seconds"),
    [
        ([], 100, None),
        ([(100, 12.0)], 100, 12.0),
        ([(100, 12.0)], 200, 24.0),  # nothing is known about a start: in proportion
        ([(100, 12.0)], 50, 12.0),  # and never less than what was seen
        ([(100, 12.0), (102, 8.0)], 101, 10.0),  # sizes too much alike to tell a slope
        ([(100, 10.0), (90, 9.0)], 10, 1.0),  # a tenth tells one
        ([(100, 10.0), (90.5, 9.05)], 10, 9.525),  # of the larger one
        ([(100, 12.0), (200, 22.0)], 1000, 102.0),  # 2 s, and a tenth of a second per MiB
        ([(100, 12.0), (200, 22.0)], 10, 3.0),
        ([(100, 10.5), (200, 20.5)], 10, 1.5),
        ([(100, 22.0), (200, 12.0)], 1000, 17.0),  # larger is no quicker: the mean
        ([(100, 1.0), (200, 22.0)], 300, 27.0),  # no start below zero
        ([(1, 1.0)], 101, None),  # a sample says nothing about more than a hundred times as much
        ([(1, 1.0)], 100, 100.0),
        ([(1, 1.0), (1000, 100.0)], 1000, 100.0),  # the largest counts
        ([(100, 10.0)] * 10 + [(1000, 1.0)], 100, 10.0),  # the newest ten
    ],
)
def test_how_long_a_restore_would_take_is_learned_from_drills(
    known: list[tuple[float, float]], size_mib: float, seconds: float | None
) -> None:
    done = [proof(size, took) for size, took in known]
    predicted = proofs.predicted_seconds([*done, proof(500, 1.0, passed=False)], int(size_mib * MIB))
    assert predicted == (None if seconds is None else pytest.approx(seconds, rel=0.01))


@given(
    known=st.lists(st.tuples(st.integers(1, 10_000), st.floats(0.1, 10_000.0)), min_size=1, max_size=12),
    size=st.integers(1, 10_000),
)
@settings(max_examples=200, deadline=None)
def test_a_prediction_is_a_time_and_more_takes_no_less(known: list[tuple[int, float]], size: int) -> None:
    done = [proof(mib, took) for mib, took in known]
    less, more = (proofs.predicted_seconds(done, times * size * MIB) for times in (1, 2))
    assert less is None or (less >= 0 and math.isfinite(less))
    assert less is None or more is None or more >= less * (1 - 1e-9)
