"""Recoverability in numbers, each computed by hand from a short history."""

import dataclasses
from typing import Any

import pytest

from agent.model.backup import Backup, Repository
from agent.model.proof import Point, Proof
from agent.practices import recoverability
from agent.practices.recoverability import Cost, Measured, Trial

SECOND = 1_000_000
HOUR, DAY = 3600 * SECOND, 86_400 * SECOND
NOW = 1_764_028_800 * SECOND
SINCE = NOW - 30 * DAY
MB = 1_000_000


def point(days_ago: float, size: int = 100 * MB, added: int = 10 * MB, key: str = "shop/backups/files@web1") -> Point:
    at_us = NOW - int(days_ago * DAY)
    return Point(
        key=key, exec_id=f"{key}{at_us}", snapshot="abc", at_us=at_us, files=3, size_bytes=size, added_bytes=added
    )


def proof(days_ago: float, seconds: float, *, passed: bool = True, **more: Any) -> Proof:
    return Proof(
        key="shop/backups/files@web1", exec_id="X", snapshot="abc", at_us=NOW - int(days_ago * DAY), passed=passed,
        compared=3, torn=0, faults=(), restore_seconds=1.0, seconds=seconds, **more,
    )  # fmt: skip


def trial(days_ago: float, *, ok: bool = True, wall: float = 60.0, cpu: float | None = 12.0) -> Trial:
    ended = NOW - int(days_ago * DAY)
    return Trial(began_us=ended - int(wall * SECOND), ended_us=ended, ok=ok, cpu_seconds=cpu)


DAILY = (point(0.25), point(1.25), point(3.25), point(4.25))  # the night before last was missed


@pytest.mark.parametrize(
    ("trials", "rate"),
    [
        ([], None),
        ([trial(1), trial(2), trial(3), trial(4, ok=False)], 0.75),
        ([trial(1), trial(31, ok=False)], 1.0),
        ([trial(1), trial(30, ok=False)], 0.5),  # thirty days ago is within
        ([trial(1, ok=False)], 0.0),
    ],
)
def test_the_rate_of_success_within_thirty_days(trials: list[Trial], rate: float | None) -> None:
    assert recoverability.success_rate(trials, SINCE) == rate


def test_what_a_loss_would_have_cost_before_each_point_and_now() -> None:
    day = 86_400.0
    series = recoverability.rpo_series(DAILY, SINCE, NOW)
    assert series == (
        Measured(at_us=NOW - int(3.25 * DAY), seconds=day),
        Measured(at_us=NOW - int(1.25 * DAY), seconds=2 * day),
        Measured(at_us=NOW - int(0.25 * DAY), seconds=day),
        Measured(at_us=NOW, seconds=day / 4),
    )
    assert recoverability.worst(series) == 2 * day
    assert recoverability.worst(recoverability.rpo_series(DAILY, NOW - DAY, NOW)) == day
    assert len(recoverability.rpo_series(DAILY, NOW - int(1.25 * DAY), NOW)) == 3
    assert recoverability.rpo_series((), SINCE, NOW) == ()
    assert recoverability.worst(()) is None


def test_a_point_that_is_dated_ahead_makes_nothing_younger_than_now() -> None:
    assert recoverability.rpo_series([point(-1)], SINCE, NOW) == (Measured(at_us=NOW, seconds=0.0),)


def test_how_long_restores_took_from_order_to_proof() -> None:
    proofs = [proof(1, 300.0), proof(8, 240.0), proof(15, 999.0, passed=False), proof(22, 0.0), proof(40, 5.0)]
    series = recoverability.rto_series(proofs, SINCE)
    assert [one.seconds for one in series] == [1.0, 240.0, 300.0]  # the oldest was made before orders were timed
    assert recoverability.worst(series) == 300.0
    assert len(recoverability.rto_series([proof(30, 5.0)], SINCE)) == 1


@pytest.mark.parametrize(
    ("points", "per_day"),
    [
        ((), None),
        ((point(0.5),), None),  # less than a day
        ((point(10),), 0.0),  # nothing new in ten days
        ((point(0), point(5), point(10)), 2 * 10 * MB / 10),
        ((point(1), point(11, added=50 * MB), point(40, added=900 * MB)), 60 * MB / 30),  # of the span alone
        ((point(1), point(30, added=50 * MB), point(40)), 60 * MB / 30),
        ((point(1), point(1.5)), 10 * MB / 1.5),
        ((point(0), point(1)), 10 * MB),  # a day is enough
        ((point(1), point(10), point(5, key="b"), point(8, key="b")), 20 * MB / 10),  # two firsts are left out
    ],
)
def test_what_is_added_per_day(points: tuple[Point, ...], per_day: float | None) -> None:
    assert recoverability.growth(points, SINCE, NOW) == per_day


@pytest.mark.parametrize(
    ("free", "per_day", "seconds"),
    [(1000 * MB, 10.0 * MB, 100 * 86_400.0), (None, 1.0, None), (1000, 0.0, None), (1000, None, None), (0, 1.0, 0.0)],
)
def test_when_a_repository_is_full(free: int | None, per_day: float | None, seconds: float | None) -> None:
    assert recoverability.full_in(free, per_day) == seconds


def test_what_a_policy_costs() -> None:
    trials = [trial(1), trial(2, wall=30.0, cpu=None), trial(3, ok=False, wall=10.5, cpu=0.5), trial(31)]
    found = recoverability.cost(trials, [*DAILY, point(31)], SINCE)
    assert found == Cost(runs=3, wall_seconds=100.5, cpu_seconds=12.5, added_bytes=40 * MB)
    assert recoverability.cost([trial(30)], [point(30)], SINCE) == Cost(
        runs=1, wall_seconds=60.0, cpu_seconds=12.0, added_bytes=10 * MB
    )
    assert recoverability.cost([trial(1, cpu=None)], (), SINCE).cpu_seconds is None


def test_the_hosts_of_which_nothing_is_saved() -> None:
    one = Backup(
        key="shop/backups/files@web1", item="shop/backups/files", service="shop", host="web1", kind="files",
        options=None, every=(), repository=Repository(name="main", url="/srv", password_secret="main"),
    )  # fmt: skip
    both = [one, dataclasses.replace(one, host="web3")]
    assert recoverability.uncovered(["web3", "web2", "web1", "db1"], both) == ("db1", "web2")


@pytest.mark.parametrize(
    ("sizes", "bars"),
    [([], ""), ([5], "▁"), ([5, 5, 5], "▁▁▁"), ([0, 50, 100], "▁▅█"), ([100, 0], "█▁"), (list(range(9)), "▁▂▃▄▅▆▇█")],
)
def test_the_trend_is_drawn_from_the_oldest_to_the_newest(sizes: list[int], bars: str) -> None:
    newest_first = [point(number, size=size) for number, size in enumerate(reversed(sizes))]
    assert recoverability.trend(newest_first) == bars
