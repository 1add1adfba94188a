"""Whether a backup is fresh and proven: by points and proofs, never by an exit code alone."""

from typing import Any

import pytest

from agent.model.backup import Backup, Point, Proof, Repository, Standing
from agent.model.look import Verdict
from agent.practices import backups

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


@pytest.mark.parametrize(
    ("rpo", "its_point", "its_proof", "last_failed", "standing"),
    [
        (RPO, None, None, "", Standing.PENDING),
        (RPO, None, None, "no space", Standing.FAILED),
        (RPO, point(), None, "", Standing.GOOD),
        (RPO, point(), proof(), "", Standing.GOOD),
        (RPO, point(), FAILED, "", Standing.FAILED),  # what could not be restored is no backup
        (RPO, None, FAILED, "", Standing.FAILED),
        (RPO, point(), proof(), "no space", Standing.FAILED),
        (RPO, point(26 * HOUR), None, "", Standing.GOOD),
        (RPO, point(26 * HOUR + 1), None, "", Standing.STALE),
        (RPO, point(27 * HOUR), None, "no space", Standing.STALE),
        (None, point(9999 * HOUR), None, "", Standing.GOOD),
        (RPO, point(partial=True), None, "", Standing.PARTIAL),
    ],
)
def test_how_a_backup_stands(
    rpo: float | None, its_point: Point | None, its_proof: Proof | None, last_failed: str, standing: Standing
) -> None:
    assert backups.standing(backup(rpo), its_point, its_proof, last_failed=last_failed, now_us=NOW) is standing


@pytest.mark.parametrize(
    ("rpo", "its_point", "its_proof", "last_failed", "verdict", "summary"),
    [
        (RPO, point(), None, "", Verdict.OK, "60 min old, not yet proven by a restore"),
        (RPO, point(), proof(), "", Verdict.OK, "60 min old, proven by a restore"),
        (RPO, point(2 * HOUR), proof(), "", Verdict.OK, "2.0 h old, proven by a restore"),
        (RPO, point(119 * SECOND), proof(), "", Verdict.OK, "119 s old, proven by a restore"),
        (RPO, point(120 * SECOND), proof(), "", Verdict.OK, "2 min old, proven by a restore"),
        (RPO, point(-5 * SECOND), proof(), "", Verdict.OK, "0 s old, proven by a restore"),  # a clock that was set
        (RPO, point(), FAILED, "", Verdict.CRITICAL, "the last drill failed: etc/hosts differs"),
        (RPO, point(), proof(passed=False), "", Verdict.CRITICAL, "the last drill failed: no reason was given"),
        (RPO, point(), proof("a", "b", "c", "d", passed=False), "", Verdict.CRITICAL, "the last drill failed: a; b; c"),
        (RPO, point(26 * HOUR), proof(), "", Verdict.OK, "26.0 h old, proven by a restore"),
        (RPO, point(27 * HOUR), proof(), "", Verdict.CRITICAL, "the newest restorable point is 27.0 h old, rpo 26.0 h"),
        (RPO, point(27 * HOUR), proof(), "no space", Verdict.CRITICAL,
         "the newest restorable point is 27.0 h old, rpo 26.0 h; the last run failed: no space"),
        (None, point(9999 * HOUR), proof(), "", Verdict.OK, "9999.0 h old, proven by a restore"),
        (RPO, point(), proof(), "no space", Verdict.WARNING, "the last run failed: no space"),
        (None, point(), proof(), "no space", Verdict.CRITICAL, "the last run failed: no space"),
        (RPO, None, None, "no space", Verdict.CRITICAL, "the last run failed: no space"),
        (RPO, None, None, "", Verdict.OK, "nothing saved yet"),  # watched for two hours
        (7200.0, None, None, "", Verdict.OK, "nothing saved yet"),
        (3600.0, None, None, "", Verdict.CRITICAL, "nothing was ever saved, watched for 2.0 h, rpo 60 min"),
        (None, None, None, "", Verdict.OK, "nothing saved yet"),
        (RPO, point(partial=True), proof(), "", Verdict.WARNING, "partial, 60 min old: some files could not be read"),
    ],
)  # fmt: skip
def test_freshness_as_a_check(
    rpo: float | None,
    its_point: Point | None,
    its_proof: Proof | None,
    last_failed: str,
    verdict: Verdict,
    summary: str,
) -> None:
    look = backups.freshness(
        backup(rpo), its_point, its_proof, last_failed=last_failed, watched_since_us=NOW - 2 * HOUR, now_us=NOW
    )
    assert (look.verdict, look.summary) == (verdict, summary)


@pytest.mark.parametrize(("its_point", "age"), [(point(), 3600.0), (None, 7200.0), (point(-HOUR), 0.0)])
def test_the_age_is_a_metric(its_point: Point | None, age: float) -> None:
    look = backups.freshness(backup(), its_point, None, last_failed="", watched_since_us=NOW - 2 * HOUR, now_us=NOW)
    assert look.metrics == {"age": age}
