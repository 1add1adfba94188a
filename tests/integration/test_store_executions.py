"""Executions and leases in the store, on real SQLite: an attempt is filed once, a host has one holder."""

import dataclasses
from typing import Any

import pytest
from sqlalchemy.event import listen

from agent.clock import SystemClock
from agent.errors import ConflictError
from agent.model.execution import Execution, ExecutionKind, ExecutionState
from agent.store import (
    counters,
    executions,
    ids,
    leases,
)
from agent.store.leases import Held, Lease
from agent.store.tx import Tx

CLOCK = SystemClock()
CAUSE = "shop/checks/http@web1"


def execution(tx: Tx, **changes: Any) -> Execution:
    made = Execution(
        id=ids.ulid(CLOCK), number=counters.next_number(tx, "EXE"), kind=ExecutionKind.REMEDY, item="shop/remedies/restart",
        service="shop", host="web1", state=ExecutionState.INTENT, actor="agent", why="three in a row",
        correlation_id=CAUSE, episode=1, attempt=1, boot_id=CLOCK.boot_id, deadline_ns=CLOCK.boottime(),
        intent_at_us=CLOCK.now(),
    )  # fmt: skip
    return dataclasses.replace(made, **changes)


def intended(tx: Tx, **changes: Any) -> Execution:
    made = execution(tx, **changes)
    executions.insert(tx, made)
    return made


def test_an_execution_comes_back_as_it_was_filed(tx: Tx) -> None:
    plain = intended(tx)
    full = intended(
        tx, kind=ExecutionKind.PLAYBOOK, host=None, state=ExecutionState.FAILED, args={"{{ 7*7 }}": ["'", '"', "\n"]},
        run_dir="runs/1", shim_pid=1, shim_started=2, dispatched_at_us=3, ended_at_us=4, exit_code=2, verified=False,
        summary="no", detail={"failed": ["web1"]}, policy_generation=3,
    )  # fmt: skip
    assert executions.get(tx, plain.id) == plain
    assert executions.get(tx, full.number) == full
    assert executions.get(tx, "exe2") == full
    assert executions.get(tx, "2") is None


def test_one_attempt_of_a_remedy_is_filed_once_whoever_files_it(tx: Tx) -> None:
    intended(tx)
    with pytest.raises(ConflictError, match="filed before"):
        intended(tx)
    assert len(executions.listing(tx)) == 1


@pytest.mark.parametrize(
    "other",
    [{"attempt": 2}, {"episode": 2}, {"host": "web2"}, {"item": "shop/remedies/reboot"}, {"correlation_id": "x"}],
)
def test_another_attempt_episode_host_remedy_or_cause_is_another_execution(tx: Tx, other: dict[str, Any]) -> None:
    intended(tx)
    intended(tx, **other)
    assert len(executions.listing(tx)) == 2


def test_what_a_person_or_the_calendar_runs_may_be_run_again(tx: Tx) -> None:
    for kind in (ExecutionKind.PLAYBOOK, ExecutionKind.BACKUP):
        intended(tx, kind=kind)
        intended(tx, kind=kind)
    assert len(executions.listing(tx)) == 4


def test_the_second_of_two_who_change_an_execution_must_read_again(tx: Tx) -> None:
    one = intended(tx)
    dispatched = dataclasses.replace(one, state=ExecutionState.DISPATCHED, shim_pid=7, verified=True, revision=2)
    executions.update(tx, dispatched)
    assert executions.get(tx, one.id) == dispatched
    with pytest.raises(ConflictError, match="changed it first"):
        executions.update(tx, dataclasses.replace(one, state=ExecutionState.CANCELLED, revision=2))


def test_unsettled_executions_are_found_the_oldest_first(tx: Tx) -> None:
    made = {
        state: intended(tx, kind=ExecutionKind.BACKUP, state=state, intent_at_us=at_us)
        for at_us, state in enumerate(reversed(ExecutionState))
    }
    assert executions.open_ones(tx) == [made[ExecutionState.DISPATCHED], made[ExecutionState.INTENT]]
    assert executions.uncertain(tx) == [made[ExecutionState.UNCERTAIN]]


def test_executions_are_listed_the_newest_first_by_what_is_asked(tx: Tx) -> None:
    old = intended(tx, intent_at_us=1)
    new = intended(tx, intent_at_us=2, host="web2", item="x", correlation_id="y", kind=ExecutionKind.DRILL)
    assert executions.listing(tx) == [new, old]
    assert executions.listing(tx, limit=1) == [new]
    assert executions.listing(tx, since_us=2) == [new]
    assert executions.listing(tx, host="web1") == [old]
    assert executions.listing(tx, item="x") == [new]
    assert executions.listing(tx, correlation_id=CAUSE, kind=ExecutionKind.REMEDY) == [old]
    assert executions.listing(tx, correlation_id=CAUSE, kind=ExecutionKind.DRILL) == []


def test_what_was_begun_of_some_kinds_is_read_without_the_others(tx: Tx) -> None:
    old = intended(tx, intent_at_us=1)
    play = intended(tx, kind=ExecutionKind.PLAYBOOK, intent_at_us=2)
    intended(tx, kind=ExecutionKind.BACKUP, intent_at_us=3)
    kinds = {ExecutionKind.PLAYBOOK, old.kind}
    assert executions.begun_since(tx, kinds, 0) == [play, old]
    assert executions.begun_since(tx, kinds, 2) == [play]


def test_the_newest_is_what_was_filed_last_also_after_the_clock_was_set_back(tx: Tx) -> None:
    """Else a run of the future would for years be the last one, and how the next ones end would never be seen."""
    ahead = intended(tx, kind=ExecutionKind.CHECK, intent_at_us=2_000_000)
    today = intended(tx, kind=ExecutionKind.CHECK, intent_at_us=1_000_000)
    assert executions.listing(tx) == [today, ahead]


def test_the_last_runs_of_one_thing_are_found_without_sorting_all_that_ever_were(tx: Tx) -> None:
    asked: list[str] = []
    listen(tx.connection, "before_cursor_execute", lambda _, __, words, *___: asked.append(words))
    executions.listing(tx, correlation_id=CAUSE, limit=20)
    plan = tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked[0]}", (CAUSE, 20, 0)).all()
    assert [row.detail for row in plan] == ["SEARCH executions USING INDEX executions_correlation (correlation_id=?)"]


# leases


def take(tx: Tx, owner: str, *, deadline_ns: int = 10) -> Lease | Held:
    return leases.acquire(tx, name="web1", owner=owner, pid=1, started=2, deadline_ns=deadline_ns)


def test_a_host_has_one_holder_and_the_fence_only_grows(tx: Tx) -> None:
    first = take(tx, "a")
    assert isinstance(first, Lease)
    assert take(tx, "b") == Held(holder=first)
    assert take(tx, "a", deadline_ns=20) == dataclasses.replace(first, deadline_ns=20)
    assert not leases.release(tx, "web1", "b")
    assert leases.release(tx, "web1", "a")
    assert not leases.release(tx, "web1", "a")
    assert leases.held(tx) == []
    second = take(tx, "b")
    assert isinstance(second, Lease)
    assert second.fence == first.fence + 1
    assert leases.held(tx) == [second]


def test_a_lease_whose_time_is_up_still_holds(tx: Tx) -> None:
    lease = take(tx, "a", deadline_ns=1)
    assert isinstance(lease, Lease)
    assert lease.is_over(boot_id=CLOCK.boot_id, boottime_ns=CLOCK.boottime())
    assert lease.is_over(boot_id="another", boottime_ns=0)
    assert not lease.is_over(boot_id=CLOCK.boot_id, boottime_ns=0)
    assert take(tx, "b") == Held(holder=lease)


def test_the_holder_names_the_process_that_works_for_it(tx: Tx) -> None:
    lease = take(tx, "a")
    assert isinstance(lease, Lease)
    renewed = leases.renew_owner(tx, "web1", "a", 77, 88)
    assert renewed == dataclasses.replace(lease, pid=77, started=88)
    assert leases.held(tx) == [renewed]
    with pytest.raises(ConflictError, match="does not hold it"):
        leases.renew_owner(tx, "web1", "b", 1, 1)
