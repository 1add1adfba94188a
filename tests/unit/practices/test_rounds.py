"""When a backup or its drill is due, which failures are tried again, and which of a hundred may begin."""

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from agent.model.backup import Backup, DrillPlan, Repository, Retries
from agent.model.cadence import At, Every
from agent.model.execution import ExecutionKind
from agent.model.window import Window, WindowKind
from agent.practices import berths, calendar, rounds
from agent.practices.berths import Wish
from agent.practices.rounds import Due, Ended, Later, Past

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
NOW = 1_764_028_800 * SECOND  # 2025-11-25T00:00Z, a Tuesday
KEY = "shop/backups/files@web1"
LATE = "shop/backups/files@web2"  # by nearly all of its splay
NIGHTLY = (At(text="", rule="day", hour=2, minute=0, zone="UTC"),)
HOURLY = (Every(seconds=3600.0),)
WINDOW = Window(item="shop/windows/night", service="shop", kind=WindowKind.SILENCE, every=(At(text="", rule="day", hour=1, zone="UTC"),), duration_seconds=4 * 3600.0)  # fmt: skip
SAVE = ExecutionKind.BACKUP


def plan(**more: Any) -> Backup:
    usual: dict[str, Any] = {
        "key": KEY, "item": "shop/backups/files", "service": "shop", "host": "web1", "kind": "files", "options": None,
        "every": HOURLY, "repository": Repository(name="main", url="/srv/restic", password_secret="main"),
    }  # fmt: skip
    return Backup(**{**usual, **more})


def past(**more: Any) -> Past:
    return Past(**{"began_us": NOW - DAY, "watched_us": NOW - 30 * DAY, **more})


def ended(ago_us: int, passing: str = "", **more: Any) -> Ended:
    return Ended(ended_us=NOW - ago_us, passing=passing, **more)


TWICE = Retries(attempts=2, pause_seconds=600.0)
DRILLED = DrillPlan(every=(Every(seconds=7200.0),))
NEVER = DrillPlan(every=(At(text="", rule="monthday", hour=2, monthday=32, zone="UTC"),))


@pytest.mark.parametrize(
    ("backup", "its_past", "found"),
    [
        pytest.param(plan(), past(), ("backup", 30 * DAY, 1), id="what never ran is due since it was first watched"),
        pytest.param(plan(), past(saved_us=NOW - HOUR), ("backup", 0, 1), id="an hour after its last run"),
        pytest.param(plan(), past(saved_us=NOW - HOUR + 1), 1, id="and not before"),
        pytest.param(plan(every=(*NIGHTLY, *HOURLY)), past(saved_us=NOW - 1), HOUR - 1, id="of two rules the sooner"),
        pytest.param(plan(), past(saved_us=NOW - 5 * HOUR), ("backup", 4 * HOUR, 1), id="late by four hours"),
        pytest.param(plan(every=NIGHTLY), past(saved_us=NOW - 9 * DAY), ("backup", 9 * DAY - 2 * HOUR, 1),
                     id="nine missed nights are one run"),
        pytest.param(plan(every=NIGHTLY, run_missed=False), past(saved_us=NOW - 9 * DAY, began_us=NOW - HOUR),
                     2 * HOUR, id="or none, if the policy says so"),
        pytest.param(plan(run_missed=False), past(saved_us=NOW - 5 * HOUR, began_us=NOW + 30 * DAY),
                     ("backup", 4 * HOUR, 1), id="the clock was set back since the agent was started"),
        pytest.param(plan(), past(saved_us=NOW + 61 * SECOND), ("backup", 0, 1), id="the clock was set back"),
        pytest.param(plan(), past(saved_us=NOW + 60 * SECOND), HOUR + 60 * SECOND, id="or only adjusted"),
        pytest.param(plan(paused_until_us=NOW + 5), past(), 5, id="paused"),
        pytest.param(plan(paused_until_us=NOW), past(), ("backup", 30 * DAY, 1), id="no longer paused"),
        pytest.param(plan(drill=DRILLED), past(saved_us=NOW - 1), HOUR - 1, id="no drill while there is nothing to restore"),
        pytest.param(plan(drill=DRILLED), past(saved_us=NOW - 1, first_us=NOW - 1), ("drill", 30 * DAY, 1),
                     id="the first drill follows the first point"),
        pytest.param(plan(drill=DRILLED), past(saved_us=NOW - 9 * HOUR, first_us=1, drilled_us=NOW - 4 * HOUR),
                     ("backup", 8 * HOUR, 1), id="what has waited longer goes first"),
        pytest.param(plan(drill=DRILLED), past(saved_us=NOW - 2 * HOUR, first_us=1, drilled_us=NOW - 4 * HOUR),
                     ("drill", 2 * HOUR, 1), id="a backup that takes too long does not starve its drill"),
        pytest.param(plan(drill=DRILLED), past(saved_us=NOW - 1, first_us=1, drilled_us=NOW - 2 * HOUR),
                     ("drill", 0, 1), id="a drill at its very moment"),
        pytest.param(plan(drill=DRILLED), past(saved_us=NOW - 1, first_us=1, drilled_us=NOW), HOUR - 1,
                     id="and not before"),
        pytest.param(plan(drill=NEVER), past(saved_us=NOW - 1, first_us=1, drilled_us=1), HOUR - 1,
                     id="a drill that no calendar knows is waited for by nobody"),
    ],
)  # fmt: skip
def test_what_is_due(backup: Backup, its_past: Past, found: int | tuple[str, int, int]) -> None:
    decided = rounds.due(backup, its_past, NOW)
    if isinstance(found, int):
        assert decided == Later(at_us=NOW + found)
    else:
        assert isinstance(decided, Due)
        assert (decided.kind, NOW - decided.at_us, decided.attempt) == found


@pytest.mark.parametrize(
    ("retries", "its_end", "found"),
    [
        pytest.param(Retries(), ended(HOUR, "locked"), None, id="no retries unless they are asked for"),
        pytest.param(TWICE, ended(600 * SECOND, "locked"), "try 2 of 3: the last one failed by locked", id="after the pause"),
        pytest.param(TWICE, ended(599 * SECOND, "locked"), None, id="not before"),
        pytest.param(TWICE, ended(HOUR, "timeout", attempt=2), "try 3 of 3: the last one failed by timeout", id="the last try"),
        pytest.param(TWICE, ended(HOUR, "locked", attempt=3), None, id="no more"),
        pytest.param(TWICE, ended(HOUR), None, id="what stays as it is, or went well, is not repeated"),
        pytest.param(Retries(), ended(1, cut_short=True), "the last run was cut short", id="what died with its agent is made up"),
        pytest.param(Retries(), ended(1, cut_short=True, attempt=2), None, id="once"),
        pytest.param(TWICE, ended(1, cut_short=True, attempt=2), "the last run was cut short", id="or as often as it may fail"),
        pytest.param(TWICE, ended(1, cut_short=True, attempt=3), None, id="a crash again and again is no reason for ever"),
    ],
)  # fmt: skip
def test_what_is_tried_again(retries: Retries, its_end: Ended, found: str | None) -> None:
    backup = plan(every=NIGHTLY, retries=retries)
    decided = rounds.due(backup, past(saved_us=NOW - 2 * HOUR, ended=its_end), NOW)
    assert (decided.why if isinstance(decided, Due) else None) == found
    assert not isinstance(decided, Due) or decided.attempt == its_end.attempt + 1


def test_a_splay_comes_after_its_moment_and_not_before_it() -> None:
    splay = int(calendar.splay_seconds(KEY, 3600.0) * SECOND)
    assert splay > MINUTE, "one that is as good as none would prove nothing"
    its_past = past(saved_us=NOW - DAY + 3 * HOUR)
    assert rounds.due(plan(every=NIGHTLY, splay_seconds=3600.0), its_past, NOW) == Later(at_us=NOW + 2 * HOUR + splay)


def test_a_run_within_the_splay_of_a_night_is_that_night_s() -> None:
    """An hour after midnight somebody ran it by hand: it is not made again when its splay has passed."""
    backup = plan(key=LATE, every=(At(text="", rule="day", hour=0, zone="UTC"),), splay_seconds=7200.0)
    splay = int(calendar.splay_seconds(LATE, 7200.0) * SECOND)
    by_hand = past(saved_us=NOW + HOUR)
    assert rounds.due(backup, by_hand, NOW + HOUR) == Later(at_us=NOW + DAY + splay)


def test_a_regular_run_begins_to_count_anew() -> None:
    decided = rounds.due(plan(retries=TWICE), past(saved_us=NOW - HOUR, ended=ended(HOUR, "locked", attempt=2)), NOW)
    assert isinstance(decided, Due)
    assert (decided.why, decided.attempt) == ("it is due", 1)


@pytest.mark.parametrize(
    ("hour", "found"), [(0, HOUR), (1, "it is due"), (4, "it is due"), (5, 20 * HOUR), (23, 2 * HOUR)]
)
def test_a_backup_begins_within_its_window_only(hour: int, found: int | str) -> None:
    now_us = NOW + hour * HOUR
    decided = rounds.due(plan(), past(saved_us=NOW - DAY), now_us, WINDOW)
    if isinstance(found, int):
        assert decided == Later(at_us=now_us + found)
    else:
        assert isinstance(decided, Due)


def test_a_window_of_the_past_never_opens_again_and_one_to_come_is_waited_for() -> None:
    once = dataclasses.replace(WINDOW, every=(), start_us=NOW + 5, end_us=NOW + 9)
    assert rounds.due(plan(), past(), NOW, once) == Later(at_us=NOW + 5)
    assert rounds.due(plan(), past(), NOW + 9, once) == Later(at_us=None)
    drilled = past(first_us=1, drilled_us=NOW)
    assert rounds.due(plan(drill=DRILLED), drilled, NOW + 9, once) == Later(at_us=NOW + 2 * HOUR)


def simulated(backup: Backup, down: Sequence[tuple[int, int]], window: Window | None = None) -> list[int]:
    """When it began within 90 days, looked at every five minutes, with the agent `down` in these spans (of days)."""
    began, its_past = list[int](), past(began_us=NOW, watched_us=NOW, saved_us=NOW, drilled_us=NOW)
    up = True
    for now_us in range(NOW, NOW + 90 * DAY, 5 * MINUTE):
        if any(start * DAY <= now_us - NOW < end * DAY for start, end in down):
            up = False
            continue
        if not up:
            up, its_past = True, dataclasses.replace(its_past, began_us=now_us)
        if isinstance(rounds.due(backup, its_past, now_us, window), Due):
            began.append(now_us)
            its_past = dataclasses.replace(its_past, saved_us=now_us)
    return began


OUTAGES = ((3, 4), (10, 17), (40, 41), (60, 80))  # 29 days in all
UP = 90 - 29


@pytest.mark.parametrize(
    ("more", "extra"),
    [
        pytest.param({}, 4, id="run_once"),  # each outage is made up by one run at its end
        pytest.param({"run_missed": False}, 0, id="skip"),
        pytest.param({"splay_seconds": 3600.0}, 4, id="with a splay"),
    ],
)
def test_in_ninety_days_with_outages_every_night_is_saved_once_and_an_outage_is_made_up_once(
    more: dict[str, Any], extra: int
) -> None:
    """Nights within an outage are lost but one: never two runs for one night, never a night left out while up."""
    backup = plan(every=NIGHTLY, **more)
    began = simulated(backup, OUTAGES)
    assert len(began) == UP + extra
    nights = [moment for moment in began if 2 * HOUR <= moment % DAY <= 3 * HOUR]
    made_up = [moment for moment in began if moment not in nights]
    assert len({moment // DAY for moment in nights}) == len(nights) == UP
    assert [(moment - NOW) // DAY for moment in made_up] == [4, 17, 41, 80][: len(made_up)]
    assert all(later - sooner >= 2 * HOUR for sooner, later in pairwise(began))


@pytest.mark.parametrize(
    ("interval", "splay"), [(1800.0, 600.0), (3600.0, 3600.0), (21600.0, 7200.0), (7200.0, 86400.0)]
)
def test_a_splay_moves_the_runs_of_an_interval_and_makes_them_no_rarer(interval: float, splay: float) -> None:
    backup = plan(key=LATE, every=(Every(seconds=interval),), splay_seconds=splay)
    began = simulated(backup, ())
    gaps = {later - sooner for sooner, later in pairwise(began)}
    assert gaps <= {int(interval * SECOND) + minutes * MINUTE for minutes in (-5, 0, 5)}  # it is looked so often
    assert len(began) >= 90 * DAY // int(interval * SECOND) - 1


@pytest.mark.parametrize("splay", [2400.0, 3600.0, 3 * 3600.0])
def test_a_splay_as_long_as_the_hour_makes_what_comes_every_hour_no_rarer(splay: float) -> None:
    backup = plan(key=LATE, every=(At(text="", rule="hour", minute=15, zone="UTC"),), splay_seconds=splay)
    its_past, began = past(saved_us=NOW), list[int]()
    for now_us in range(NOW, NOW + DAY, 5 * MINUTE):
        if isinstance(rounds.due(backup, its_past, now_us), Due):
            began.append(now_us)
            its_past = dataclasses.replace(its_past, saved_us=now_us)
    assert {later - sooner for sooner, later in pairwise(began)} == {HOUR}


def test_in_ninety_days_nothing_begins_outside_the_window_and_what_was_missed_waits_for_it() -> None:
    began = simulated(plan(every=(At(text="", rule="day", hour=12, zone="UTC"),)), OUTAGES, WINDOW)
    assert {moment % DAY for moment in began} == {HOUR}
    assert len(began) == UP - 1  # the first noon is saved in the second night


def test_in_a_night_that_has_an_hour_twice_or_not_at_all_it_runs_once() -> None:
    backup = plan(every=(At(text="", rule="day", hour=2, minute=30, zone="Europe/Berlin"),))
    for day in (datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)):
        noon = int(day.timestamp()) * SECOND
        its_past, began = past(saved_us=noon, began_us=noon), 0
        for minutes in range(0, int(timedelta(days=1).total_seconds()) // 60, 5):
            if isinstance(rounds.due(backup, its_past, noon + minutes * MINUTE), Due):
                its_past = dataclasses.replace(its_past, saved_us=noon + minutes * MINUTE)
                began += 1
        assert began == 1


def fleet(count: int, *, repositories: int, at_once: int, everywhere: int) -> list[tuple[Due, Wish]]:
    """So many hosts due at once; the higher their number, the longer they have waited."""
    return [
        (
            Due(key=f"shop/backups/files@web{number:03}", kind=SAVE, at_us=NOW - number * SECOND, why="it is due"),
            Wish(
                host=f"web{number:03}", repository=f"r{number % repositories}", at_once=at_once, everywhere=everywhere
            ),
        )
        for number in range(count)
    ]


@pytest.mark.parametrize(
    ("repositories", "each", "everywhere", "most"), [(1, 4, 10, 4), (5, 4, 10, 10), (5, 1, 10, 5), (100, 4, 7, 7)]
)
def test_a_hundred_hosts_due_at_once_begin_by_their_waiting_and_never_exceed_what_may_run(
    repositories: int, each: int, everywhere: int, most: int
) -> None:
    waiting = fleet(100, repositories=repositories, at_once=each, everywhere=everywhere)
    wishes = {one.key: wish for one, wish in waiting}
    running, order, peak = dict[str, tuple[str, ...]](), list[str](), 0
    while waiting or running:
        begun = [one.key for one in rounds.choose(waiting, [name for held in running.values() for name in held])]
        for key in begun:
            names = berths.choose(wishes[key], {name for held in running.values() for name in held})
            assert isinstance(names, tuple), "what was chosen finds its room"
            running[key] = names
        order += begun
        waiting = [(one, wish) for one, wish in waiting if one.key not in order]
        at_work = [wishes[key].repository for key in running]
        assert len(running) <= everywhere
        assert all(at_work.count(name) <= each for name in set(at_work))
        assert not waiting or len(running) == most, "nobody waits while there is room"
        peak = max(peak, len(running))
        running.pop(next(iter(running)))  # the one that began first ends first
    assert peak == most
    assert sorted(order) == sorted(wishes)
    if repositories == 1:
        assert order == sorted(wishes, reverse=True)


def test_a_busy_host_or_repository_is_passed_over() -> None:
    waiting = fleet(4, repositories=2, at_once=1, everywhere=9)
    begun = rounds.choose(waiting, ["saving:web003", "repository:r0#1"])
    assert [one.key for one in begun] == ["shop/backups/files@web001"]
