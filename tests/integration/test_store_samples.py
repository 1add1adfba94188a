"""Samples: batches as they come, packed by the hour, rolled up by the day, read back as they were."""

import math
import random
import re
import sqlite3
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.store import packed, packing, samples
from agent.store.packed import HOUR_US
from agent.store.samples import DAY_US, TENTH_US, Batch, Catalogue, Name
from agent.store.tx import Tx

START_US = 20_000 * DAY_US
USED, FREE = Name("s/c/disk@web", "/", "used"), Name("s/c/disk@web", "/", "free")


def keep(tx: Tx, catalogue: Catalogue, at_us: int, values: dict[Name, float]) -> None:
    numbers = catalogue.learn(tx, list(values))
    samples.append(tx, Batch(numbers, [at_us // TENTH_US] * len(numbers), list(values.values())))


def settle(tx: Tx, now_us: int) -> list[packing.Progress]:
    """Do all that is to be done by then; the pieces."""
    pieces: list[packing.Progress] = []
    while done := packing.piece(tx, now_us, pieces[-1] if pieces else None):
        pieces.append(done)
    return pieces


def close(found: Sequence[float], wanted: Sequence[float]) -> bool:
    return len(found) == len(wanted) and all(
        math.isclose(one, other, rel_tol=1 / 8_192, abs_tol=1e-30) for one, other in zip(found, wanted, strict=True)
    )


def test_what_was_measured_is_read_back_before_and_after_packing(tx: Tx) -> None:
    catalogue, wanted = Catalogue(), [0.5 + minute / 1_000 for minute in range(90)]
    for minute, value in enumerate(wanted):
        keep(tx, catalogue, START_US + minute * 60_000_000, {USED: value, FREE: 1e9 * value})
    for now_us, hours in (
        (START_US, set()),
        (START_US + HOUR_US, {START_US // HOUR_US}),
        (START_US + 2 * HOUR_US, {START_US // HOUR_US + 1}),
        (START_US + 3 * HOUR_US, set()),
    ):
        assert {piece.place for piece in settle(tx, now_us)} == hours
        found = samples.read(tx, USED, START_US, START_US + DAY_US)
        assert [sample.at_us for sample in found] == [START_US + minute * 60_000_000 for minute in range(90)]
        assert close([sample.value for sample in found], wanted)
    ten = samples.read(tx, FREE, START_US + 600_000_000, START_US + 1_199_000_000)
    assert close([sample.value for sample in ten], [1e9 * value for value in wanted[10:20]])


def test_nothing_is_known_of_what_was_never_measured(tx: Tx) -> None:
    assert samples.read(tx, USED, 0, START_US) == []
    assert samples.hourly(tx, USED, 0, START_US) == []


def test_two_processes_give_a_series_one_number(tx: Tx) -> None:
    one, other = Catalogue(), Catalogue()
    [first] = one.learn(tx, [USED])
    assert other.learn(tx, [USED, FREE])[0] == first
    assert one.learn(tx, [FREE, USED]) == other.learn(tx, [FREE, USED])


def test_days_that_are_over_leave_low_mean_and_high_of_each_hour(tx: Tx) -> None:
    catalogue = Catalogue()
    for hour, values in enumerate(([1.0, 2.0, 6.0], [4.0])):
        for minute, value in enumerate(values):
            keep(tx, catalogue, START_US + hour * HOUR_US + minute * 60_000_000, {USED: value})
    settle(tx, START_US + DAY_US - 1)
    assert samples.hourly(tx, USED, START_US, START_US + DAY_US) == []
    assert settle(tx, START_US + DAY_US)
    assert not settle(tx, START_US + DAY_US)
    assert samples.hourly(tx, USED, START_US, START_US + DAY_US) == [
        (START_US, 1.0, 3.0, 6.0),
        (START_US + HOUR_US, 4.0, 4.0, 4.0),
    ]


def test_after_thirty_days_the_hours_are_left_and_after_thirteen_months_nothing(tx: Tx) -> None:
    keep(tx, Catalogue(), START_US, {USED: 1.0})
    for days, measured, by_hour in ((1, 1, 1), (29, 1, 1), (32, 0, 1), (395, 0, 1), (398, 0, 0)):
        settle(tx, START_US + days * DAY_US)
        assert len(samples.read(tx, USED, START_US, START_US + DAY_US)) == measured, days
        assert len(samples.hourly(tx, USED, START_US, START_US + DAY_US)) == by_hour, days


MANY = 300  # series: more than a piece has


def test_whatever_is_half_packed_or_packed_again_every_sample_is_read_once(tx: Tx) -> None:
    """The process may end after any piece, and the next one knows nothing of it."""
    catalogue, lots = Catalogue(), random.Random(11)
    names = [Name(f"s/c/load@host-{number}", "", "load1") for number in range(MANY)]
    for hour in range(3):
        for minute in range(0, 60, 20):
            keep(tx, catalogue, START_US + (hour * 60 + minute) * 60_000_000, dict.fromkeys(names, 1.0 + minute))
    watched = [names[number] for number in (0, 7, 127, 128, 255, 256, MANY - 1)]
    wanted = {name: samples.read(tx, name, START_US, START_US + DAY_US) for name in watched}
    assert [len(found) for found in wanted.values()] == [9] * len(watched)
    before, pieces = None, 0
    while True:
        before = packing.piece(tx, START_US + DAY_US, before)
        for name in watched:
            found = samples.read(tx, name, START_US, START_US + DAY_US)
            assert [sample.at_us for sample in found] == [sample.at_us for sample in wanted[name]], (name, before)
        if before is None:
            break
        pieces += 1
        before = None if lots.random() < 0.04 else before
    assert pieces > 50
    for name in watched:
        hours = samples.hourly(tx, name, START_US, START_US + DAY_US)
        assert [(hour.at_us, hour.low, hour.high) for hour in hours] == [
            (START_US + hour * HOUR_US, 1.0, 41.0) for hour in range(3)
        ]


def test_a_day_that_was_rolled_up_in_part_is_rolled_up_whole(tx: Tx) -> None:
    names = [Name(f"s/c/load@host-{number}", "", "load1") for number in range(MANY)]
    keep(tx, Catalogue(), START_US, dict.fromkeys(names, 1.0))
    now_us, done = START_US + DAY_US, None
    while done is None or done.table != "sample_days":
        done = packing.piece(tx, now_us, done)
    assert settle(tx, now_us)  # by another process
    assert all(len(samples.by_hour(tx, name, START_US, now_us)) == 1 for name in names)
    assert all(len(samples.hourly(tx, name, START_US, now_us)) == 1 for name in names)


def test_an_hours_history_is_sought_by_its_key_and_not_searched_for(tx: Tx) -> None:
    """Between two hours of a series stand the rows of twenty thousand others."""
    keep(tx, Catalogue(), START_US, {USED: 1.0})
    settle(tx, START_US + 2 * DAY_US)
    told: list[str] = []
    raw = tx.connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    raw.set_trace_callback(told.append)
    samples.by_hour(tx, USED, START_US, START_US + 3 * DAY_US)
    samples.read(tx, USED, START_US, START_US + 3 * DAY_US)
    raw.set_trace_callback(None)
    asked = [query for query in told if "sample_hours" in query or "sample_days" in query]
    plans = [row[3] for query in asked for row in raw.execute(f"EXPLAIN QUERY PLAN {query}")]
    assert len(asked) == 3
    assert [plan for plan in plans if not re.search(r"SEARCH sample_\w+ .*\((hour|day)=\? AND series=\?\)", plan)] == []


def test_a_clock_that_jumps_loses_no_sample(tx: Tx) -> None:
    [number] = Catalogue().learn(tx, [USED])
    tenths = [START_US // TENTH_US, (START_US + 3 * HOUR_US) // TENTH_US]
    samples.append(tx, Batch([number] * 2, tenths, [1.0, 2.0]))
    found = samples.read(tx, USED, START_US, START_US + DAY_US)
    assert [sample.value for sample in found] == [1.0, 2.0]


TIMES = st.lists(st.integers(0, 36_000), min_size=1, max_size=80, unique=True)


@given(TIMES, st.randoms(use_true_random=False))
def test_any_hour_is_unpacked_as_it_was_packed(times: list[int], chance: random.Random) -> None:
    """Any sign and any size that a float32 holds; odd times too."""
    given = sorted((tenth, chance.choice([-1, 1]) * 10.0 ** chance.uniform(-30, 30)) for tenth in times)
    found = packed.unpack_hour(packed.pack_hour(given))
    assert [tenth for tenth, _ in found] == [tenth for tenth, _ in given]
    assert close([value for _, value in found], [value for _, value in given])


@pytest.mark.parametrize("value", [0.0, -0.0, 1.0, math.inf, -math.inf, 3.4e38])
def test_values_at_the_edges_survive(value: float) -> None:
    ((_, found),) = packed.unpack_hour(packed.pack_hour([(0, value)]))
    assert found == pytest.approx(value, rel=1 / 8_192)


def test_an_hour_of_noisy_minutes_takes_about_two_bytes_a_sample() -> None:
    chance = random.Random(1)
    noisy = [(minute * 600, 0.012 + chance.gauss(0, 0.004)) for minute in range(60)]
    still = [(minute * 600, 0.25) for minute in range(60)]
    assert len(packed.pack_hour(noisy)) <= 2.3 * 60
    assert len(packed.pack_hour(still)) <= 20
