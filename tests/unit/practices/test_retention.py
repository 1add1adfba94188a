"""Retention: what goes, what stays, and what no upkeep of ours explains; by table and by property."""

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.upkeep import Holding, Keep, Recorded, Saved
from agent.practices import retention

DAY_US = 86_400_000_000
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NOW_US = int(NOW.timestamp()) * 1_000_000
ITEM, HOST = "shop/backups/files", "web1"
NO_FLOOR = 1.0
FIVE_MINUTES_US = 300_000_000


def saved(name: str, at_us: int, *, host: str = HOST, item: str = ITEM, exec_id: str = "") -> Saved:
    return Saved(id=name, original=name, at_us=at_us, host=host, item=item, exec_id=exec_id or f"E{name}")


def days_ago(*days: float) -> list[Saved]:
    """Snapshots named by their age in days."""
    return [saved(f"{age:g}", NOW_US - int(age * DAY_US)) for age in days]


def holding(snapshots: Sequence[Saved], keep: Keep | None = None, **other: tuple[str, ...]) -> Holding:
    recorded = tuple(Recorded(snapshot=one.original, at_us=one.at_us) for one in snapshots)
    return Holding(key=f"{ITEM}@{HOST}", item=ITEM, host=HOST, keep=keep, recorded=recorded, **other)


@pytest.mark.parametrize(
    ("keep", "ages", "gone"),
    [
        (None, [0, 1, 400, 4000], []),
        (Keep(last=2), [0, 1, 2, 8, 9], ["9", "8"]),  # younger than seven days stays whatever is said
        (Keep(last=2, within_seconds=NO_FLOOR), [0, 1, 2, 8], ["8", "2"]),
        (Keep(daily=2, within_seconds=NO_FLOOR), [0, 0.1, 0.2, 1, 1.1, 2], ["2", "1.1", "0.2", "0.1"]),
        (Keep(hourly=2, within_seconds=NO_FLOOR), [0, 0.01, 0.04, 0.05, 0.3], ["0.3", "0.05", "0.04"]),
        (Keep(hourly=2, within_seconds=NO_FLOOR), [0.01, 0.02, 0.04, 0.05], ["0.04", "0.02"]),  # of one hour the newest
        (Keep(weekly=2, within_seconds=NO_FLOOR), [0, 1, 2, 7, 8, 30], ["30", "8", "7", "2"]),
        (Keep(weekly=2, within_seconds=NO_FLOOR), [1, 2, 3, 8], ["3", "2"]),  # of one week the Sunday alone
        (Keep(monthly=3, within_seconds=NO_FLOOR), [0, 10, 40, 50, 100], ["50", "10"]),
        (Keep(yearly=2, within_seconds=NO_FLOOR), [0, 300, 330, 700], ["700", "300"]),
        (Keep(within_seconds=86400.0), [0, 0.9, 1, 30], ["30", "1"]),
        (Keep(last=1, within_seconds=86400.0), [30, 30.5, 31, 60], ["60", "31"]),  # nothing new for long: the floor waits
    ],
    ids=["all", "floor", "last", "daily", "hourly", "an-hour", "weekly", "sundays", "monthly", "yearly", "within", "stopped"],
)  # fmt: skip
def test_what_goes(keep: Keep | None, ages: list[float], gone: list[str]) -> None:
    removed, kept = retention.decide(days_ago(*ages), keep)
    assert list(removed) == gone
    assert set(kept) == {f"{age:g}" for age in ages} - set(gone)


def test_days_are_those_of_the_zone() -> None:
    """23:30 and 00:30 in UTC are one night in New York."""
    night = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
    pair = [saved(str(index), int((night + timedelta(hours=index)).timestamp()) * 1_000_000) for index in (0, 1)]
    keep = Keep(daily=7, within_seconds=NO_FLOOR)
    assert retention.decide(pair, keep)[0] == ()
    assert retention.decide(pair, dataclasses.replace(keep, zone="America/New_York"))[0] == ("0",)


def test_the_last_proven_and_the_last_good_are_never_removed_nor_their_copies() -> None:
    here = days_ago(0, 50, 60)
    there = [dataclasses.replace(one, id=f"copy-{one.id}") for one in here]
    for snapshots, gone in ((here, ("60",)), (there, ("copy-60",))):
        assert retention.decide(snapshots, Keep(last=1), protected=("50",))[0] == gone


@pytest.mark.parametrize(
    ("more", "finding"),
    [
        (saved("f", NOW_US + 400 * DAY_US), "from the future"),
        (saved("f", NOW_US - 3 * DAY_US), "made by nobody of ours"),
        (saved("f", NOW_US - 3 * DAY_US, exec_id="E0"), "made by nobody of ours"),
        (saved("f", NOW_US + FIVE_MINUTES_US), "made by nobody of ours"),  # ahead as clocks are
        (saved("f", NOW_US + FIVE_MINUTES_US + 1), "from the future"),
        (saved("f", NOW_US - 100 * DAY_US), "made by nobody of ours"),  # of our very first moment
        (saved("f", NOW_US - 100 * DAY_US - 1), ""),
        (saved("f", NOW_US - 900 * DAY_US), ""),  # of an earlier installation
        (saved("f", NOW_US, host="web2"), ""),  # of somebody else
        (saved("f", NOW_US, item="shop/backups/other"), ""),
        (saved("f", NOW_US - 3 * DAY_US, exec_id="lost"), ""),  # one of our runs that ended without a record
    ],
    ids=[
        "future",
        "stranger",
        "tag-of-another",
        "ahead",
        "too-far-ahead",
        "first",
        "before",
        "earlier",
        "another-host",
        "another-item",
        "lost-run",
    ],
)
def test_a_forged_snapshot_counts_for_nothing_and_stops_all_removal(more: Saved, finding: str) -> None:
    real = days_ago(0, 1, 20, 30)
    said = retention.judge(
        [more, *real], [holding(real, Keep(last=2), tries=("lost",))], now_us=NOW_US, since_us=NOW_US - 100 * DAY_US
    )
    assert said.remove == (() if finding else ("30", "20"))
    assert [finding in one.words for one in said.findings] == ([True] if finding else [])
    assert "f" not in said.kept
    if finding:
        seen = retention.judge([more, *real], [holding(real, Keep(last=2))], now_us=NOW_US, since_us=0, accepted=("f",))
        assert (seen.remove, seen.findings) == (("30", "20"), ())


def test_what_does_not_say_that_it_is_ours_is_counted_and_left_alone() -> None:
    real = days_ago(0, 1, 20)
    others = [
        dataclasses.replace(saved("by-hand", NOW_US - DAY_US), is_ours=False),
        saved("another-host", NOW_US - DAY_US, host="web2"),
    ]
    said = retention.judge([*others, *real], [holding(real, Keep(last=1))], now_us=NOW_US)
    assert (said.remove, said.findings, said.foreign) == (("20",), (), 2)


def test_a_snapshot_that_somebody_removed_is_a_finding_unless_we_were_about_to() -> None:
    real = days_ago(0, 1, 20, 30)
    record = holding(real, Keep(last=2))
    said = retention.judge(real[:3], [record], now_us=NOW_US)
    assert [one.words for one in said.findings] == [
        f"snapshot 30 of {ITEM}@{HOST} is gone, and nobody of ours removed it"
    ]
    assert said.remove == ()
    begun = tuple(dataclasses.replace(one, may_be_gone=one.snapshot == "30") for one in record.recorded)
    said = retention.judge(real[:3], [dataclasses.replace(record, recorded=begun)], now_us=NOW_US)
    assert (said.findings, said.remove) == ((), ("20",))


def test_a_second_of_difference_is_what_restic_rounds() -> None:
    real = days_ago(0, 1)
    for off_us, count in ((1_000_000, 0), (1_000_001, 1)):
        seen = [real[0], dataclasses.replace(real[1], at_us=real[1].at_us - off_us)]
        assert len(retention.judge(seen, [holding(real)], now_us=NOW_US).findings) == count


def test_a_snapshot_whose_time_was_changed_is_a_finding() -> None:
    real = days_ago(0, 1, 20)
    forged = dataclasses.replace(real[2], at_us=real[2].at_us + 5 * DAY_US)
    said = retention.judge([*real[:2], forged], [holding(real, Keep(last=1))], now_us=NOW_US)
    words = f"snapshot 20 of {ITEM}@{HOST} has another time than when it was made"
    assert [one.words for one in said.findings] == [words]


COUNTS = st.integers(0, 4)
KEEPS = st.builds(
    Keep, last=COUNTS, hourly=COUNTS, daily=COUNTS, weekly=COUNTS, monthly=COUNTS, yearly=COUNTS,
    within_seconds=st.floats(1, 40 * 86400), zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]),
)  # fmt: skip
AGES = st.lists(st.integers(0, 1000 * 24), max_size=60, unique=True)


def of_hours(hours: list[int]) -> list[Saved]:
    return [saved(str(hour), NOW_US - hour * DAY_US // 24) for hour in hours]


@given(AGES, KEEPS, st.data())
def test_every_snapshot_goes_or_stays_and_what_must_stay_does(
    hours: list[int], keep: Keep, data: st.DataObject
) -> None:
    protected = data.draw(st.lists(st.sampled_from([str(hour) for hour in hours]), max_size=2)) if hours else []
    snapshots = of_hours(hours)
    removed, kept = retention.decide(snapshots, keep, protected=tuple(protected))
    assert sorted([*removed, *kept]) == sorted(map(str, hours))
    assert not set(removed) & set(protected)
    assert len(kept) >= min(keep.last, len(hours))
    floor = max((one.at_us for one in snapshots), default=0) - keep.within_seconds * 1_000_000
    assert all(one.at_us <= floor for one in snapshots if one.id in removed)
    for name, span in (("daily", 24), ("weekly", 24 * 7)):
        assert len({hour // span for hour in hours if str(hour) in kept}) >= min(
            getattr(keep, name), len({hour // span for hour in hours}) // 2
        )


@given(AGES, KEEPS)
def test_doing_it_again_changes_nothing(hours: list[int], keep: Keep) -> None:
    snapshots = of_hours(hours)
    removed, _ = retention.decide(snapshots, keep)
    left = [one for one in snapshots if one.id not in removed]
    assert retention.decide(left, keep)[0] == ()
    assert retention.decide(list(reversed(snapshots)), keep)[0] == removed


@given(AGES, KEEPS, st.lists(st.integers(-2000 * 24, 1000 * 24), min_size=1, max_size=20))
def test_no_forged_snapshot_ever_costs_a_real_one(hours: list[int], keep: Keep, forged: list[int]) -> None:
    """Whatever a client adds with our tags: what is removed is what would have been, or nothing."""
    real = of_hours(hours)
    bad = [saved(f"bad{at}", NOW_US - at * DAY_US // 24) for at in set(forged)]
    record = holding(real, keep)
    honest = retention.judge(real, [record], now_us=NOW_US).remove
    attacked = retention.judge([*real, *bad], [record], now_us=NOW_US, accepted=tuple(one.id for one in bad))
    assert attacked.remove == honest
    assert retention.judge([*real, *bad], [record], now_us=NOW_US).remove == ()
