"""Who has a host, on a real store: a change keeps backups away, a backup keeps changes away, a round both to its end."""

import dataclasses

import pytest

from agent.clock import SystemClock
from agent.model.execution import Execution, ExecutionKind, ExecutionState
from agent.runtime import holds
from agent.store import counters, dues, executions, ids, leases
from agent.store.tx import Tx

CLOCK = SystemClock()
FILES, OTHER, ELSEWHERE = "shop/backups/files@web1", "shop/backups/db@web1", "shop/backups/files@web2"


def runs(tx: Tx, kind: ExecutionKind, key: str, state: ExecutionState = ExecutionState.DISPATCHED) -> Execution:
    """An execution on the host of the key; a playbook holds its host."""
    item, _, host = key.partition("@")
    made = Execution(
        id=ids.ulid(CLOCK), number=counters.next_number(tx, "RUN"), kind=kind, item=item, service="shop", host=host,
        state=state, actor="agent", why="it is due", correlation_id=key, episode=1, attempt=1, boot_id=CLOCK.boot_id,
        deadline_ns=CLOCK.boottime(), intent_at_us=CLOCK.now(),
    )  # fmt: skip
    executions.insert(tx, made)
    if kind is not ExecutionKind.BACKUP:
        leases.acquire(tx, name=host, owner=made.id, pid=0, started=0, deadline_ns=made.deadline_ns)
    return made


def test_no_backup_begins_while_a_change_runs_on_its_host(tx: Tx) -> None:
    play = runs(tx, ExecutionKind.PLAYBOOK, "shop/playbooks/patch@web1")
    assert holds.in_the_way(tx, FILES, "web1") == f"web1 is held by {play.number} (shop/playbooks/patch)"
    assert holds.in_the_way(tx, ELSEWHERE, "web2") == ""
    leases.release_all(tx, play.id)
    assert holds.in_the_way(tx, FILES, "web1") == ""


def test_a_change_whose_end_nobody_knows_keeps_no_backup_away(tx: Tx) -> None:
    runs(tx, ExecutionKind.REMEDY, "shop/remedies/restart@web1", ExecutionState.UNCERTAIN)
    assert holds.in_the_way(tx, FILES, "web1") == ""


def test_no_change_begins_while_a_backup_reads_its_host_but_for_its_own_cleanup(tx: Tx) -> None:
    saving = runs(tx, ExecutionKind.BACKUP, FILES)
    assert list(holds.saving(tx, "anything else")) == [("web1", f"{saving.number} (shop/backups/files)")]
    assert list(holds.saving(tx, FILES)) == []


def test_a_round_has_its_host_from_its_first_step_to_its_last(tx: Tx) -> None:
    holds.note_begin(tx, FILES, 7)
    assert holds.rounds(tx) == {FILES: 7}
    assert holds.in_the_way(tx, OTHER, "web1") == "web1 is prepared for shop/backups/files"
    assert holds.in_the_way(tx, FILES, "web1") == ""
    assert [host for host, _ in holds.saving(tx, "a remedy")] == ["web1"]
    [past] = holds.prepared(tx, "a remedy")
    assert (past.hosts, past.service, past.running, past.planned) == (("web1",), "shop", True, True)
    assert list(holds.prepared(tx, FILES)) == []
    holds.close_round(tx, FILES)
    assert holds.in_the_way(tx, OTHER, "web1") == ""


@pytest.mark.parametrize(
    ("kind", "state", "detail", "again"),
    [
        (ExecutionKind.BACKUP, ExecutionState.FAILED, {}, True),
        (ExecutionKind.BACKUP, ExecutionState.CANCELLED, {}, True),
        (ExecutionKind.PREPARE, ExecutionState.FAILED, {}, True),
        (ExecutionKind.BACKUP, ExecutionState.SUCCEEDED, {}, False),
        (ExecutionKind.BACKUP, ExecutionState.CANCELLED, {"skipped": True}, False),  # what was left out did not fail
        (ExecutionKind.CLEANUP, ExecutionState.FAILED, {}, False),
        (ExecutionKind.DRILL, ExecutionState.FAILED, {}, False),
    ],
    ids=str,
)
def test_a_try_that_did_not_succeed_is_marked_until_the_next_one(
    tx: Tx, kind: ExecutionKind, state: ExecutionState, detail: dict[str, object], *, again: bool
) -> None:
    made = runs(tx, kind, FILES, state)
    holds.note_end(tx, dataclasses.replace(made, detail=detail))
    assert holds.failed(dues.last_runs(tx)) == ({FILES} if again else set())
    holds.note_begin(tx, FILES, None)
    assert holds.failed(dues.last_runs(tx)) == set()
    assert holds.rounds(tx) == {}
