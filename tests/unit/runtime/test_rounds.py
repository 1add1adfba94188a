"""How the newest try of a backup ended, as the record tells it; and what the answer to `skip_unless` means."""

import dataclasses
from typing import Any

import pytest

from agent.model.backup import Backup, Repository
from agent.model.execution import Execution, ExecutionKind, ExecutionState
from agent.model.look import Look, Verdict
from agent.practices.rounds import Ended
from agent.runtime import rounds

BACKUP = Backup(
    key="shop/backups/files@web1", item="shop/backups/files", service="shop", host="web1", kind="files", options=None,
    every=(), repository=Repository(name="main", url="/srv", password_secret="main"), skip_unless="test -e /primary",
)  # fmt: skip
RUN = Execution(
    id="01", number="RUN0000001", kind=ExecutionKind.BACKUP, item=BACKUP.item, service="shop", host="web1",
    state=ExecutionState.FAILED, actor="agent", why="it is due", correlation_id=BACKUP.key, episode=1, attempt=1,
    boot_id="b", deadline_ns=0, intent_at_us=5, ended_at_us=7, args={"attempt": 2},
)  # fmt: skip
FAILED, CANCELLED, SUCCEEDED = ExecutionState.FAILED, ExecutionState.CANCELLED, ExecutionState.SUCCEEDED
PREPARE = ExecutionKind.PREPARE


def run(state: ExecutionState, detail: dict[str, Any] | None = None, **more: Any) -> Execution:
    return dataclasses.replace(RUN, state=state, detail=detail or {}, **more)


@pytest.mark.parametrize(
    ("recent", "passing", "cut_short"),
    [
        ([run(FAILED, {"outcome": "locked"})], "locked", False),
        ([run(FAILED, {"outcome": "timeout"})], "timeout", False),
        ([run(FAILED, {"outcome": "interrupted"})], "interrupted", False),
        ([run(FAILED, {"outcome": "unreachable"})], "unreachable", False),
        ([run(FAILED, {"outcome": "wrong_password"})], "", False),
        ([run(FAILED, {"outcome": "damaged"})], "", False),
        ([run(FAILED, {"outcome": "missing_repository"})], "", False),
        ([run(FAILED, {"outcome": "no_space"})], "", False),
        ([run(FAILED, {"how": "deadline"})], "timeout", False),
        ([run(FAILED, {"how": "lost"})], "", True),
        ([run(CANCELLED)], "", True),  # its agent ended before it began
        ([run(CANCELLED, {"skipped": True})], "", False),
        ([run(SUCCEEDED, {"outcome": "partial"})], "", False),
        ([run(FAILED, {"unreachable": ["web1"]}, kind=PREPARE)], "unreachable", False),
        ([run(FAILED, {"failed": ["web1"], "unreachable": []}, kind=PREPARE)], "", False),
        ([run(SUCCEEDED, kind=PREPARE), run(FAILED, {"outcome": "locked"})], "locked", False),
        ([run(SUCCEEDED, kind=ExecutionKind.CLEANUP), run(FAILED, {"outcome": "locked"})], "locked", False),
        ([run(FAILED, {"outcome": "locked"}, kind=ExecutionKind.DRILL), run(FAILED)], "", False),
    ],
    ids=lambda value: str(len(value)) if isinstance(value, list) else str(value),
)
def test_how_the_newest_try_ended(recent: list[Execution], passing: str, *, cut_short: bool) -> None:
    assert rounds.ended(recent) == Ended(ended_us=7, attempt=2, passing=passing, cut_short=cut_short)


def test_what_runs_still_or_never_ran_has_not_ended() -> None:
    assert rounds.ended([run(ExecutionState.DISPATCHED, ended_at_us=None)]) is None
    assert rounds.ended([]) is None


@pytest.mark.parametrize(
    ("look", "why", "skipped"),
    [
        (Look(verdict=Verdict.OK, summary="nothing was printed", metrics={"exit": 0.0}), "", False),
        (Look(verdict=Verdict.CRITICAL, summary="exit 1: standby", metrics={"exit": 1.0}),
         "skip_unless: 'test -e /primary': exit 1: standby", True),
        (Look(verdict=Verdict.UNKNOWN, summary="the command was not found: x", metrics={"exit": 127.0}),
         "skip_unless could not be asked: the command was not found: x", False),
        (Look(verdict=Verdict.CRITICAL, summary="the command did not end in time"),
         "skip_unless could not be asked: the command did not end in time", False),
        (Look(verdict=Verdict.CRITICAL, summary="web1: no route to host", metrics={"failure": "transport"}),
         "skip_unless could not be asked: web1: no route to host", False),
        (None, "skip_unless could not be asked: no answer", False),
    ],
    ids=["go on", "left out", "broken", "too slow", "unreachable", "silent"],
)  # fmt: skip
def test_what_the_answer_to_skip_unless_means(look: Look | None, why: str, *, skipped: bool) -> None:
    assert rounds.answer(BACKUP, look) == (why, skipped)
