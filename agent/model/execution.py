"""An execution: one intended change to the world, or one long job, from intent to verdict."""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any


class ExecutionKind(enum.StrEnum):
    """What kind of work it is."""

    PLAYBOOK = "playbook"  # by hand
    REMEDY = "remedy"
    BACKUP = "backup"
    DRILL = "drill"
    VERIFY = "verify"  # a playbook against what a drill restored
    RESTORE = "restore"
    PREPARE = "prepare"  # a playbook before a backup
    CLEANUP = "cleanup"  # a playbook after it
    CHECK = "check"  # of a repository
    PRUNE = "prune"
    COPY = "copy"
    RECOVERY = "recovery"  # several steps, each an execution of its own; it has no shim
    REHEARSAL = "rehearsal"  # the same, on a scratch host


class ExecutionState(enum.StrEnum):
    """Where it stands. From `uncertain` only evidence or a person leads on."""

    INTENT = "intent"  # durable, before the first packet
    DISPATCHED = "dispatched"  # its shim runs, or ran
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"  # never started
    UNCERTAIN = "uncertain"  # started, and nobody can say how it ended


OPEN_STATES = frozenset({ExecutionState.INTENT, ExecutionState.DISPATCHED})


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Execution:
    """One row of the record of changes. Times in microseconds UTC; `deadline_ns` on the boot clock of `boot_id`.

    `verified` is None until the post-checks have spoken. `summary` is short text for people, `detail` plain JSON.
    """

    id: str
    number: str
    kind: ExecutionKind
    item: str
    service: str
    host: str | None
    state: ExecutionState
    actor: str
    why: str
    correlation_id: str
    episode: int
    attempt: int
    boot_id: str
    deadline_ns: int
    intent_at_us: int
    revision: int = 1
    args: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    risk: int = 3
    run_dir: str = ""
    shim_pid: int | None = None
    shim_started: int | None = None  # field 22 of /proc/PID/stat: clock ticks since boot
    dispatched_at_us: int | None = None
    ended_at_us: int | None = None
    exit_code: int | None = None
    verified: bool | None = None
    summary: str = ""
    detail: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    policy_generation: int = 0
