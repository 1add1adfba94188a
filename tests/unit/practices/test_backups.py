"""Whether a backup is fresh and proven: by points and proofs, never by an exit code alone."""

import dataclasses
from typing import Any

import pytest

from agent.model.backup import Backup, DrillPlan, Repository, Standing
from agent.model.cadence import Every
from agent.model.look import Verdict
from agent.model.proof import Point, Proof
from agent.practices import backups
from agent.practices.backups import Known

SECOND = 1_000_000
HOUR = 3600 * SECOND
NOW = 1_764_000_000 * SECOND
KEY = "shop/backups/files@web1"
RPO = 26 * 3600.0


def backup(rpo_seconds: float | None = RPO) -> Backup:
    return Backup(
        key=KEY, item="shop/backups/files", service="shop", host="web1", kind="files", options=None, every=(),
        repository=Repository(name="main", url="/srv/restic", password_secret="restic-main"), rpo_seconds=rpo_seconds,
    )  # fmt: skip


def point(ago_us: int = HOUR, **more: Any) -> Point:
    return Point(
        key=KEY, exec_id="X1", snapshot="abc", at_us=NOW - ago_us, files=3, size_bytes=10, added_bytes=10, **more
    )


def proof(*faults: str, passed: bool = True) -> Proof:
    return Proof(
        key=KEY, exec_id="X2", snapshot="abc", at_us=NOW, passed=passed, compared=3, torn=0, faults=faults,
        restore_seconds=1.0,
    )  # fmt: skip


FAILED = proof("etc/hosts differs", passed=False)


DRILL = DrillPlan(every=(Every(seconds=7 * 86_400.0),))  # a week, and a day and the timeout of four hours as grace


def known(**more: Any) -> Known:
    """Watched for two hours, but for what is said."""
    return Known(**{"watched_us": NOW - 2 * HOUR, **more})


def drilled(ago_us: int) -> Proof:
    return dataclasses.replace(proof(), at_us=NOW - ago_us)


OLD = "the newest restorable point is 27.0 h old, rpo 26.0 h"
GOOD, PARTIAL, STALE, FAILED_, PENDING, UNPROVEN = (
    Standing.GOOD, Standing.PARTIAL, Standing.STALE, Standing.FAILED, Standing.PENDING, Standing.UNPROVEN,
)  # fmt: skip


@pytest.mark.parametrize(
    ("rpo", "more", "standing", "verdict", "summary"),
    [
        (RPO, {"point": point()}, GOOD, Verdict.OK, "60 min old, not yet proven by a restore"),
        (RPO, {"point": point(), "proof": proof()}, GOOD, Verdict.OK, "60 min old, proven by a restore"),
        (RPO, {"point": point(2 * HOUR), "proof": proof()}, GOOD, Verdict.OK, "2.0 h old, proven by a restore"),
        (RPO, {"point": point(119 * SECOND), "proof": proof()}, GOOD, Verdict.OK, "119 s old, proven by a restore"),
        (RPO, {"point": point(120 * SECOND), "proof": proof()}, GOOD, Verdict.OK, "2 min old, proven by a restore"),
        (RPO, {"point": point(26 * HOUR), "proof": proof()}, GOOD, Verdict.OK, "26.0 h old, proven by a restore"),
        (None, {"point": point(71 * HOUR), "proof": proof()}, GOOD, Verdict.OK, "71.0 h old, proven by a restore"),
        (None, {"point": point(72 * HOUR), "proof": proof()}, GOOD, Verdict.OK, "3.0 d old, proven by a restore"),
        (None, {"point": point(9999 * HOUR), "proof": proof()}, GOOD, Verdict.OK, "416.6 d old, proven by a restore"),
        # a failed drill: what could not be restored is no backup, however fresh
        (RPO, {"point": point(), "proof": FAILED}, FAILED_, Verdict.CRITICAL, "the last drill failed: etc/hosts differs"),
        (RPO, {"point": point(), "proof": proof(passed=False)}, FAILED_, Verdict.CRITICAL,
         "the last drill failed: no reason was given"),
        (RPO, {"point": point(), "proof": proof("a", "b", "c", "d", passed=False)}, FAILED_, Verdict.CRITICAL,
         "the last drill failed: a; b; c"),
        (RPO, {"proof": FAILED}, FAILED_, Verdict.CRITICAL, "the last drill failed: etc/hosts differs"),
        # too old
        (RPO, {"point": point(26 * HOUR + SECOND)}, STALE, Verdict.CRITICAL, "the newest restorable point is 26.0 h old, rpo 26.0 h"),
        (RPO, {"point": point(27 * HOUR), "proof": proof()}, STALE, Verdict.CRITICAL, OLD),
        (RPO, {"point": point(27 * HOUR), "failed": "no space"}, STALE, Verdict.CRITICAL,
         f"{OLD}; the last run failed: no space"),
        (RPO, {"point": point(27 * HOUR), "skipped": "`x` ended with 1"}, STALE, Verdict.CRITICAL,
         f"{OLD}; the last run was left out: `x` ended with 1"),
        (3600.0, {}, STALE, Verdict.CRITICAL, "nothing was ever saved, watched for 2.0 h, rpo 60 min"),
        (3600.0, {"failed": "no space"}, FAILED_, Verdict.CRITICAL,
         "nothing was ever saved, watched for 2.0 h, rpo 60 min; the last run failed: no space"),
        # failed
        (RPO, {"point": point(), "proof": proof(), "failed": "no space"}, FAILED_, Verdict.WARNING, "the last run failed: no space"),
        (None, {"point": point(), "proof": proof(), "failed": "no space"}, FAILED_, Verdict.CRITICAL, "the last run failed: no space"),
        (RPO, {"failed": "no space"}, FAILED_, Verdict.CRITICAL, "the last run failed: no space"),
        (RPO, {"point": point(), "failed": "its prepare failed: rc 2"}, FAILED_, Verdict.WARNING,
         "the last run failed: its prepare failed: rc 2"),
        # nothing wrong so far
        (RPO, {}, PENDING, Verdict.OK, "nothing saved yet"),
        (7200.0, {}, PENDING, Verdict.OK, "nothing saved yet"),
        (None, {}, PENDING, Verdict.OK, "nothing saved yet"),
        (RPO, {"point": point(), "skipped": "`x` ended with 1"}, GOOD, Verdict.OK, "60 min old, not yet proven by a restore"),
        (RPO, {"point": point(partial=True), "proof": proof()}, PARTIAL, Verdict.WARNING,
         "partial, 60 min old: some files could not be read"),
        # the clock
        (RPO, {"point": point(-5 * SECOND), "proof": proof()}, GOOD, Verdict.OK, "0 s old, proven by a restore"),
        (RPO, {"point": point(-300 * SECOND), "proof": proof()}, GOOD, Verdict.OK, "0 s old, proven by a restore"),
        (RPO, {"point": point(-301 * SECOND), "proof": proof()}, STALE, Verdict.WARNING,
         "the newest point is dated 5 min ahead: was the clock set back? Its age is not known"),
        (RPO, {"point": point(-2 * HOUR), "proof": proof()}, STALE, Verdict.WARNING,
         "the newest point is dated 2.0 h ahead: was the clock set back? Its age is not known"),
        # what an earlier step left behind comes first
        (RPO, {"point": point(), "proof": FAILED, "cleanup": "failed: rc 2"}, FAILED_, Verdict.CRITICAL,
         "the cleanup failed: rc 2; the host may be as the backup's prepare left it"),
        (RPO, {"point": point(), "cleanup": "has been waiting for 20 min"}, FAILED_, Verdict.CRITICAL,
         "the cleanup has been waiting for 20 min; the host may be as the backup's prepare left it"),
    ],
)  # fmt: skip
def test_how_a_backup_stands_and_what_its_check_says(
    rpo: float | None, more: dict[str, Any], standing: Standing, verdict: Verdict, summary: str
) -> None:
    found = backups.judge(backup(rpo), known(**more), NOW)
    assert (found.standing, found.verdict, found.summary) == (standing, verdict, summary)
    assert backups.freshness(backup(rpo), known(**more), NOW).summary == summary


DAY = 24 * HOUR
LATEST = 8 * DAY + 4 * HOUR  # a week, a day, and the timeout


@pytest.mark.parametrize(
    ("rpo", "more", "standing", "summary"),
    [
        (RPO, {"point": point(), "proof": drilled(DAY), "first_us": 1}, GOOD, "60 min old, proven by a restore"),
        (RPO, {"point": point(), "proof": drilled(LATEST), "first_us": 1}, GOOD, "60 min old, proven by a restore"),
        (RPO, {"point": point(), "proof": drilled(LATEST + SECOND), "first_us": 1}, UNPROVEN,
         "its drill is overdue by 28.0 h: the last one was 8.2 d ago"),
        (None, {"point": point(), "proof": drilled(14 * DAY), "first_us": 1}, UNPROVEN,
         "its drill is overdue by 7.0 d: the last one was 14.0 d ago"),  # without an rpo as well
        (RPO, {"point": point(), "first_us": NOW - DAY}, GOOD, "60 min old, not yet proven by a restore"),
        (RPO, {"point": point(), "first_us": NOW - 9 * DAY}, UNPROVEN,
         "its drill is overdue by 48.0 h: it was never drilled"),
        (RPO, {"point": point()}, GOOD, "60 min old, not yet proven by a restore"),  # nobody knows since when
        (RPO, {"proof": drilled(14 * DAY), "first_us": 1}, PENDING, "nothing saved yet"),  # and so nothing to drill
        (RPO, {"point": point(27 * HOUR), "proof": drilled(14 * DAY), "first_us": 1}, STALE, OLD),  # the worse of two
        (RPO, {"point": point(), "proof": drilled(14 * DAY), "failed": "no space", "first_us": 1}, UNPROVEN,
         "its drill is overdue by 7.0 d: the last one was 14.0 d ago"),
    ],
)  # fmt: skip
def test_where_drills_are_declared_only_what_was_restored_in_time_counts(
    rpo: float | None, more: dict[str, Any], standing: Standing, summary: str
) -> None:
    found = backups.judge(dataclasses.replace(backup(rpo), drill=DRILL), known(**more), NOW)
    assert (found.standing, found.summary) == (standing, summary)
    assert (found.verdict is Verdict.CRITICAL) is (standing not in {GOOD, PENDING})


@pytest.mark.parametrize(
    ("rto", "expected", "more", "verdict", "summary"),
    [
        (1800.0, 1800.0, {}, Verdict.OK, "60 min old, proven by a restore"),
        (1800.0, 1801.0, {}, Verdict.WARNING, "a restore would take about 30 min, more than its rto of 30 min"),
        (1800.0, None, {}, Verdict.OK, "60 min old, proven by a restore"),
        (None, 9000.0, {}, Verdict.OK, "60 min old, proven by a restore"),
        (1800.0, 9000.0, {"failed": "no space"}, Verdict.WARNING, "the last run failed: no space"),
    ],
)
def test_a_restore_that_would_take_too_long_is_told_before_it_is_needed(
    rto: float | None, expected: float | None, more: dict[str, Any], verdict: Verdict, summary: str
) -> None:
    drills = dataclasses.replace(backup(), drill=dataclasses.replace(DRILL, rto_seconds=rto))
    past = known(point=point(), proof=drilled(DAY), first_us=1, restore_seconds=expected, **more)
    found = backups.judge(drills, past, NOW)
    assert (found.verdict, found.summary) == (verdict, summary)


@pytest.mark.parametrize(("its_point", "age"), [(point(), 3600.0), (None, 7200.0), (point(-HOUR), 0.0)])
def test_the_age_is_a_metric(its_point: Point | None, age: float) -> None:
    assert backups.freshness(backup(), known(point=its_point), NOW).metrics == {"age": age}
