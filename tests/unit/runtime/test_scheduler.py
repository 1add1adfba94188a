"""What is due when: nothing lost or run twice when clocks jump, nobody starved, nobody moved without need."""

import dataclasses
import importlib.metadata
from collections import Counter
from datetime import datetime
from typing import Any

import pytest
import schedule

from agent.clock import NANOSECONDS
from agent.model.cadence import At, Every
from agent.model.check import Check, Rules, RunFrom
from agent.runtime.scheduler import SLOTS, Batches, Scheduler, Ticker, batches, phase
from tests.fakes.clock import ToldClock

EVERY_30 = (Every(seconds=30.0),)
HOURLY = (At(text="hour at 15m", zone="Europe/Berlin", rule="hour", minute=15),)
SIX_HOURS = (Every(seconds=21600.0),)


def check(name: str = "web", host: str | None = "web1", **more: Any) -> Check:
    key = f"shop/checks/{name}@{host or 'none'}"
    usual: dict[str, Any] = {
        "key": key, "item": f"shop/checks/{name}", "service": "shop", "host": host, "kind": "http", "options": None,
        "run_from": RunFrom.AGENT, "every": EVERY_30, "timeout_seconds": 10.0, "retry_every_seconds": 10.0,
        "rules": Rules(key=key),
    }  # fmt: skip
    return Check(**{**usual, **more})


def keys(found: Batches) -> list[str]:
    return [one.key for _, checks in found for one in checks]


def ran(scheduler: Scheduler, clock: ToldClock, seconds: float, tick: float = 1.0) -> Counter[str]:
    """How often each check came due in a time that is ticked through."""
    found: Counter[str] = Counter()
    for _ in range(int(seconds / tick)):
        clock.pass_seconds(tick)
        found.update(keys(scheduler.take()))
    return found


@pytest.fixture
def clock() -> ToldClock:
    """A clock of one's own."""
    return ToldClock()


# the library


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        (schedule.Scheduler, ["run_pending", "cancel_job", "_run_job"]),
        (schedule.Job, ["do", "run", "should_run", "_schedule_next_run", "__lt__"]),
        (schedule.Job(1), ["unit", "job_func", "scheduler", "next_run"]),
        (schedule.Scheduler(), ["jobs"]),
    ],
    ids=["scheduler", "job", "a-job", "a-scheduler"],
)
def test_the_library_has_the_members_that_are_replaced(owner: object, names: list[str]) -> None:
    assert [name for name in names if not hasattr(owner, name)] == []
    assert importlib.metadata.version("schedule") == "1.2.2", "look again at what agent/runtime/scheduler.py replaces"


def test_the_library_alone_would_be_stopped_by_a_clock_that_is_set_back() -> None:
    """Why jobs are due by the boot clock here: its own are due by the wall's."""
    ours = Ticker(ToldClock())
    assert ours.bucket(30.0, 0.0, lambda: None).next_run is None
    theirs = schedule.Scheduler()
    theirs.every(30).seconds.do(lambda: None)
    assert isinstance(theirs.next_run, datetime)


def test_a_bucket_that_raises_starves_nobody_and_comes_again_in_its_turn(clock: ToldClock) -> None:
    ticker, done = Ticker(clock), Counter[str]()

    def raising() -> None:
        done["raising"] += 1
        raise RuntimeError("a bucket broke")

    ticker.bucket(30.0, 0.0, raising)
    ticker.bucket(30.0, 0.0, lambda: done.update(["second"]))
    ticker.bucket(30.0, 0.0, raising)
    ticker.bucket(30.0, 0.0, lambda: done.update(["last"]))
    for _ in range(10 * 30 + 5):
        clock.pass_seconds(1.0)
        try:
            ticker.run_pending()
        except RuntimeError:
            continue
    assert done == {"raising": 20, "second": 10, "last": 10}


def test_a_job_without_work_is_no_trouble(clock: ToldClock) -> None:
    beat = Ticker(clock).bucket(30.0, 0.0, lambda: None)
    beat.job_func = None
    assert beat.run() is None


def test_the_earliest_runs_first(clock: ToldClock) -> None:
    ticker = Ticker(clock)
    order: list[str] = []
    ticker.bucket(30.0, 20.0, lambda: order.append("late"))
    ticker.bucket(30.0, 10.0, lambda: order.append("early"))
    clock.pass_seconds(29.0)
    ticker.run_pending()
    assert order == ["early", "late"]


# slots on the boot clock


@pytest.mark.parametrize("step", [7200.0, -7200.0, 0.0])
def test_every_run_comes_whatever_the_wall_clock_does(clock: ToldClock, step: float) -> None:
    scheduler = Scheduler(clock)
    scheduler.adopt([check()])
    found: Counter[str] = Counter()
    for second in range(3600):
        if second % 600 == 300:
            clock.step_seconds(step if second % 1200 == 300 else -step / 2)
        clock.pass_seconds(1.0)
        found.update(keys(scheduler.take()))
    assert found == {check().key: 120}


def test_runs_do_not_drift_and_none_is_made_up_after_a_pause(clock: ToldClock) -> None:
    scheduler = Scheduler(clock)
    scheduler.adopt([check()])
    moments = []
    for tick in range(400):
        clock.pass_seconds(100.0 if tick == 200 else 0.7)  # a slow loop, and one long pause
        if scheduler.take():
            moments.append(clock.boottime_ns / NANOSECONDS)
    slots = [int((moment - phase("web1", 30.0)) // 30) for moment in moments]
    assert len(set(slots)) == len(slots)
    late = [(moment - phase("web1", 30.0)) % 30 for moment in moments]
    assert sorted(late)[-2] < 0.7  # all in the first turn of their slot, but for the one after the pause


@pytest.mark.parametrize(("seconds", "slots"), [(0.1, 1), (1.0, 2), (30.0, 60), (60.0, 120), (3600.0, SLOTS)])
def test_hosts_spread_over_the_slots_of_an_interval(seconds: float, slots: int) -> None:
    phases = {phase(f"web{number}", seconds) for number in range(4000)}
    assert all(0.0 <= one < seconds for one in phases)
    assert len(phases) == slots
    assert phase("web1", seconds) == phase("web1", seconds)


def test_all_of_a_host_with_one_interval_come_in_one_tick(clock: ToldClock) -> None:
    scheduler = Scheduler(clock)
    scheduler.adopt([check("a"), check("b"), check("c", "web2"), check("d", None)])
    ticks = set()
    for _ in range(120):
        clock.pass_seconds(0.25)
        ticks |= {tuple(keys([batch])) for batch in scheduler.take()}
    assert ticks == {
        ("shop/checks/a@web1", "shop/checks/b@web1"),
        ("shop/checks/c@web2",),
        ("shop/checks/d@none",),
    }


# adopt


def test_no_check_is_moved_by_a_reload_unless_it_was_edited(clock: ToldClock) -> None:
    scheduler, unmoved = Scheduler(clock), Scheduler(clock)
    checks = [check(name, f"web{number}") for number in range(5) for name in "ab"] + [check("late", every=HOURLY)]
    for one in (scheduler, unmoved):
        one.adopt(checks)
    edited = dataclasses.replace(checks[0], every=(Every(seconds=20.0),), timeout_seconds=5.0)
    told = dataclasses.replace(checks[1], title="other words")
    found, plain = Counter[str](), Counter[str]()
    for second in range(1, 3601):
        clock.pass_seconds(1.0)
        found.update(keys(scheduler.take()))
        plain.update(keys(unmoved.take()))
        if second % 7 == 0:
            scheduler.adopt([edited, told, *checks[2:]])
    assert found.pop(edited.key) in {180, 181}
    assert plain.pop(edited.key) == 120
    assert found == plain


def test_what_is_taken_is_the_check_as_it_is_now(clock: ToldClock) -> None:
    scheduler = Scheduler(clock)
    scheduler.adopt([check()])
    told = check(title="other words")
    scheduler.now(told.key)
    scheduler.adopt([told])
    assert scheduler.take() == [("web1", [told])]


def test_an_edit_that_moves_nothing_is_taken_from_its_slot_too(clock: ToldClock) -> None:
    scheduler = Scheduler(clock)
    scheduler.adopt([check()])
    before = scheduler.places()
    told = check(title="other words")
    scheduler.adopt([told])
    assert scheduler.places() == before
    clock.pass_seconds(120)
    assert scheduler.take() == [("web1", [told])]


def test_what_was_never_looked_at_is_due_at_once(clock: ToldClock) -> None:
    scheduler = Scheduler(clock)
    scheduler.adopt([check("a"), check("b")], soon=["shop/checks/b@web1", "shop/checks/gone@web1"])
    assert keys(scheduler.take()) == ["shop/checks/b@web1"]
    assert scheduler.take() == []


def test_what_left_comes_no_more(clock: ToldClock) -> None:
    scheduler = Scheduler(clock)
    scheduler.adopt([check("a"), check("b", every=HOURLY), check("c")])
    scheduler.now("shop/checks/a@web1")
    scheduler.adopt([check("c")])
    assert scheduler.size() == 1
    assert set(ran(scheduler, clock, 7200)) == {"shop/checks/c@web1"}
    scheduler.now("shop/checks/a@web1")
    scheduler.hurry("shop/checks/a@web1", retrying=True)
    assert scheduler.take() == []


def test_an_empty_bucket_is_given_up(clock: ToldClock) -> None:
    scheduler = Scheduler(clock)
    scheduler.adopt([check()])
    scheduler.hurry(check().key, retrying=True)
    scheduler.hurry(check().key, retrying=False)
    assert len(scheduler._ticker.jobs) == 1
    scheduler.adopt([])
    assert scheduler._ticker.jobs == []


# retry


def test_a_retrying_check_joins_the_faster_bucket_and_comes_back(clock: ToldClock) -> None:
    scheduler = Scheduler(clock)
    scheduler.adopt([check("a"), check("b")])
    scheduler.hurry("shop/checks/a@web1", retrying=True)
    assert ran(scheduler, clock, 300) == {"shop/checks/a@web1": 30, "shop/checks/b@web1": 10}
    scheduler.hurry("shop/checks/a@web1", retrying=False)
    assert ran(scheduler, clock, 300) == {"shop/checks/a@web1": 10, "shop/checks/b@web1": 10}


def test_a_retry_that_is_slower_than_the_check_itself_changes_nothing(clock: ToldClock) -> None:
    scheduler = Scheduler(clock)
    scheduler.adopt([check(retry_every_seconds=30.0)])
    scheduler.hurry(check().key, retrying=True)
    assert ran(scheduler, clock, 300) == {check().key: 10}


def test_a_check_of_the_calendar_retries_too(clock: ToldClock) -> None:
    scheduler = Scheduler(clock)
    scheduler.adopt([check(every=HOURLY)])
    scheduler.hurry(check().key, retrying=True)
    assert ran(scheduler, clock, 300) == {check().key: 30}
    scheduler.hurry(check().key, retrying=False)
    assert ran(scheduler, clock, 7200) == {check().key: 2}


# the calendar


@pytest.mark.parametrize(("every", "runs"), [(HOURLY, 24), (SIX_HOURS, 4), ((*HOURLY, Every(seconds=1800.0)), 72)])
def test_a_day_by_the_calendar(clock: ToldClock, every: tuple[Every | At, ...], runs: int) -> None:
    scheduler = Scheduler(clock)
    scheduler.adopt([check(every=every)])
    assert ran(scheduler, clock, 86400, tick=10.0) == {check().key: runs}


def test_an_interval_of_an_hour_runs_in_slots_and_a_longer_one_is_aligned(clock: ToldClock) -> None:
    clock.now_us = 1_764_000_000_000_000 // 86_400_000_000 * 86_400_000_000  # midnight
    scheduler = Scheduler(clock)
    scheduler.adopt([check("hour", every=(Every(seconds=3600.0),)), check("two", every=(Every(seconds=7200.0),))])
    moments: dict[str, int] = {}
    for _ in range(7200):
        clock.pass_seconds(1.0)
        moments |= dict.fromkeys(keys(scheduler.take()), clock.now_us % 86_400_000_000 // 1_000_000)
    assert moments["shop/checks/two@web1"] == 7200
    assert moments["shop/checks/hour@web1"] % 3600 != 0


def test_a_result_in_the_moment_when_it_is_due_does_not_lose_that_moment(clock: ToldClock) -> None:
    scheduler = Scheduler(clock)
    scheduler.adopt([check(every=HOURLY)])
    clock.now_us = scheduler._calendar.moments()[check().key]
    scheduler.hurry(check().key, retrying=False)
    assert keys(scheduler.take()) == [check().key]


def test_a_check_that_runs_for_the_first_time_under_a_wrong_clock_is_not_lost_when_it_is_set(clock: ToldClock) -> None:
    """The machine booted in 2030 by its own opinion, and asked a time server a minute later."""
    clock.step_seconds(4 * 365 * 86400.0)
    scheduler = Scheduler(clock)
    scheduler.adopt([check(every=HOURLY)])
    clock.pass_seconds(60.0)
    assert scheduler.take() == []
    clock.step_seconds(-4 * 365 * 86400.0)
    assert ran(scheduler, clock, 7200, tick=10.0) == {check().key: 2}


def test_a_clock_set_forward_over_a_moment_runs_it_once(clock: ToldClock) -> None:
    scheduler = Scheduler(clock)
    scheduler.adopt([check(every=HOURLY)])
    clock.step_seconds(7200.0)
    assert keys(scheduler.take()) == [check().key]
    assert scheduler.take() == []


def test_a_clock_that_is_only_nudged_plans_nothing_anew(clock: ToldClock) -> None:
    scheduler = Scheduler(clock)
    scheduler.adopt([check(every=HOURLY)])
    planned = scheduler._calendar.moments()
    clock.step_seconds(-1.9)
    scheduler.take()
    assert scheduler._calendar.moments() == planned


def test_a_rule_that_never_comes_up_is_no_trouble(clock: ToldClock) -> None:
    never = (At(text="never", zone="UTC", rule="monthday", hour=1, monthday=32),)
    scheduler = Scheduler(clock)
    scheduler.adopt([check(every=never)])
    assert ran(scheduler, clock, 7200, tick=60.0) == {}


def test_batches_are_one_per_host_in_order() -> None:
    found = batches([check("a", "web2"), check("b", None), check("c", "web1"), check("d", "web2")])
    assert [(host, [one.item[-1] for one in some]) for host, some in found] == [
        (None, ["b"]),
        ("web1", ["c"]),
        ("web2", ["a", "d"]),
    ]
