"""Jobs and results survive their way through a file."""

import dataclasses

import pytest

from agent.backups import (
    BackupResult,
    DrillResult,
    Job,
    Kind,
    Outcome,
    RestoreResult,
    Result,
    Snapshot,
    SnapshotsResult,
    dump,
    failure,
    load_job,
    load_result,
)
from agent.backups.restic import upkeep
from agent.errors import InputError
from agent.model.upkeep import Finding, Strange

JOB = Job(
    kind=Kind.RESTORE,
    engine="files",
    key="shop/backups/files@web1",
    item="shop/backups/files",
    host="web1",
    exec_id="01J00000000000000000000000",
    options={"paths": ["/etc"], "exclude": ["*.tmp"]},
    repository="/srv/restic",
    state="/var/lib/watchkeeper",
    contains=("/etc/passwd",),
    rto_seconds=1.5,
    at_us=1,
    include=("/etc",),
)
RESULTS: list[Result] = [
    BackupResult(outcome=Outcome.PARTIAL, summary="s", snapshot="a" * 64, files=3, faults=("x",), fault_count=1),
    DrillResult(outcome=Outcome.OK, summary="s", snapshot="a" * 64, passed=True, compared=3, restore_seconds=0.5),
    RestoreResult(outcome=Outcome.FAILED, summary="s", target="/tmp/x"),
    SnapshotsResult(
        outcome=Outcome.OK,
        summary="s",
        snapshots=(Snapshot(id="a", at_us=1, host="h", item="i", exec_id="e", paths=("/etc",)),),
    ),
]


def test_a_job_reads_as_it_was_written() -> None:
    assert load_job(dump(JOB)) == JOB


@pytest.mark.parametrize("result", RESULTS)
def test_a_result_reads_as_it_was_written(result: Result) -> None:
    assert load_result(dump(result)) == result


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_can_fail(kind: Kind) -> None:
    result = failure(kind, Outcome.FAILED, "restic is missing", "install it")
    assert (result.kind, result.outcome, result.hint) == (kind, Outcome.FAILED, "install it")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"kind": "backup"}', dump(RESULTS[0])[:-9], '{"kind": "other"}'])
def test_a_result_that_was_cut_short_is_an_error_with_a_hint(text: str) -> None:
    with pytest.raises(InputError, match=r"result\.json cannot be read"):
        load_result(text)


@pytest.mark.parametrize("exec_id", ["", "../x", "a/b", "a b", "x" * 65])
def test_an_execution_whose_id_is_a_path_is_refused(exec_id: str) -> None:
    with pytest.raises(InputError):
        dataclasses.replace(JOB, exec_id=exec_id)


@pytest.mark.parametrize(
    ("outcome", "snapshot", "is_point"),
    [
        (Outcome.OK, "a", True),
        (Outcome.PARTIAL, "a", True),
        (Outcome.NO_SPACE, "a", False),
        (Outcome.FAILED, "", False),
    ],
)
def test_a_point_is_what_was_saved_and_described(outcome: Outcome, snapshot: str, *, is_point: bool) -> None:
    point = BackupResult(outcome=outcome, summary="", snapshot=snapshot).point(JOB)
    assert (point is not None) == is_point
    assert point is None or point.partial == (outcome is Outcome.PARTIAL)


def test_a_proof_carries_what_the_drill_found() -> None:
    proof = DrillResult(outcome=Outcome.FAILED, summary="", faults=("missing: /a",), compared=2, torn=1).proof(JOB, 7)
    assert (proof.at_us, proof.passed, proof.compared, proof.torn, proof.faults) == (7, False, 2, 1, ("missing: /a",))


HOSTILE = "not read: /srv/n\x1b[2J\nE9 drill of x: succeeded\u202e"
TAMED = r"not read: /srv/n\x1b[2J\nE9 drill of x: succeeded\u202e"


@pytest.mark.parametrize(
    "result",
    [
        BackupResult(outcome=Outcome.PARTIAL, summary=HOSTILE, faults=(HOSTILE,), fault_count=1),
        DrillResult(outcome=Outcome.FAILED, summary=HOSTILE, faults=(HOSTILE,), fault_count=1),
        RestoreResult(outcome=Outcome.FAILED, summary=HOSTILE, faults=(HOSTILE,), fault_count=1),
        SnapshotsResult(outcome=Outcome.FAILED, summary=HOSTILE, hint=HOSTILE),
    ],
    ids=lambda one: str(one.kind),
)
def test_the_name_of_a_file_writes_no_line_of_its_own_and_moves_no_terminal(result: Result) -> None:
    read = load_result(dump(result))
    assert (read.summary, getattr(read, "faults", (TAMED,))) == (TAMED, (TAMED,))
    assert read.hint == (TAMED if result.hint else "")


def test_what_a_check_of_a_repository_tells_is_tamed_as_well() -> None:
    told = upkeep.UpkeepResult(
        task=upkeep.Task.CHECK,
        outcome=Outcome.DAMAGED,
        summary=HOSTILE,
        damage=(HOSTILE,),
        findings=(Finding(what=Strange.KEY, id="a", words=HOSTILE),),
    )
    read = upkeep.load_result(upkeep.dump(told))
    assert (read.summary, read.damage, read.findings[0].words) == (TAMED, (TAMED,), TAMED)
