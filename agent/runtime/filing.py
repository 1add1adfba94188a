"""What the jobs at repositories have in common, whichever they do: how one is filed, run by our own Python, and read."""

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.clock import Clock
from agent.model.execution import Execution, ExecutionKind, ExecutionState
from agent.model.journal import Entry
from agent.runtime.executor import Finish, this_process
from agent.store import counters, executions, journal
from agent.store.tx import Tx
from agent.transports import child
from agent.transports.child import Ended, Packet

ENDING_SECONDS = 30.0  # for the job to notice that its own time is up, and to leave no lock behind


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Intent:
    """What is to be filed. `args` are for the job, `about` stands beside them in the journal."""

    identity: str
    deadline_ns: int
    kind: ExecutionKind
    cause: str
    item: str
    service: str
    host: str | None
    actor: str
    why: str
    args: Mapping[str, Any]
    about: Mapping[str, Any]


def file(tx: Tx, intent: Intent, clock: Clock, generation: int) -> Execution:
    """Write an intent down, as an execution and in the journal."""
    execution = Execution(
        id=intent.identity, number=counters.next_number(tx, "RUN"), kind=intent.kind, item=intent.item,
        service=intent.service, host=intent.host, state=ExecutionState.INTENT, actor=intent.actor, why=intent.why,
        correlation_id=intent.cause, episode=1, attempt=1, boot_id=clock.boot_id, deadline_ns=intent.deadline_ns,
        intent_at_us=clock.now(), risk=0, run_dir=f"runs/{intent.identity}",
        args={**intent.args, "filed_by": this_process(clock)}, policy_generation=generation,
    )  # fmt: skip
    executions.insert(tx, execution)
    journal.append(
        tx,
        Entry(
            actor=intent.actor, kind=f"{intent.kind}-intent", object_type="execution", object_id=execution.number,
            why=intent.why, body={**intent.about, **intent.args}, exec_id=intent.identity, policy_generation=generation,
        ),
    )  # fmt: skip
    return execution


def packet(
    module: str,
    run_dir: Path,
    *,
    timeout_seconds: float,
    secret_files: Mapping[str, bytes],
    before: tuple[str, ...] = (),
) -> Packet:
    """A job as the shim runs it, behind the words of another program where there are any `before`."""
    return Packet(
        argv=(*before, sys.executable, "-I", "-m", module, str(run_dir)),
        cwd="/",
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8"},
        timeout_seconds=timeout_seconds + ENDING_SECONDS,
        secret_files=secret_files,
    )


def left_nothing(ended: Ended, run_dir: Path, detail: Mapping[str, Any]) -> Finish:
    """The end of a job that left no result."""
    how = "its time was up"
    if ended.how != "deadline":
        how = f"it left no result (exit code {ended.exit_code}); what it said last is in {child.stderr_path(run_dir)}"
    return Finish(state=ExecutionState.FAILED, summary=how, exit_code=ended.exit_code, detail=detail)


def told(result: Any, ended: Ended, *, good: bool, more: Mapping[str, Any] | None = None) -> Finish:
    """The end of a job by the result that it left, with what else is known of it."""
    summary = f"{result.summary}; {result.hint}" if result.hint else result.summary
    return Finish(
        state=ExecutionState.SUCCEEDED if good else ExecutionState.FAILED, summary=summary,
        exit_code=ended.exit_code, detail={**dataclasses.asdict(result), **(more or {})},
    )  # fmt: skip
