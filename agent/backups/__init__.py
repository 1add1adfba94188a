"""One file per backup engine. An engine gets a job, does it and says how it ended; it decides nothing about it.

A job runs alone, as `python -m agent.backups RUN_DIR`: it reads job.json there, keeps progress.json fresh and leaves
result.json. What several engines share stands in packages (`restic/`): every module of this folder is one engine.
"""

import dataclasses
import enum
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeVar

from agent.backups import papers
from agent.clock import Deadline
from agent.errors import InputError
from agent.model.device import Device, Revision
from agent.model.host import Connection
from agent.model.proof import Cycle, DrillOrder, Older, Point, Proof
from agent.registry import stamp
from agent.transports.openssh import Route

if TYPE_CHECKING:  # a job has its options checked already, and pydantic takes longer to import than some backups take
    from agent.closed import ClosedModel

FAMILY = "backup"
JOB, RESULT, PROGRESS = "job.json", "result.json", "progress.json"
QUESTION, ANSWER = "question.json", "answer.json"  # of a job that waits, to whoever watches it
PASSWORD_FILE = "RESTIC_PASSWORD_FILE"  # noqa: S105  # the name of a variable that holds a path
REPOSITORY_FILE = "RESTIC_REPOSITORY_FILE"  # the same, of a url with a login in it
AWS_FILE = "AWS_SHARED_CREDENTIALS_FILE"  # the same, of the credentials for S3
SSH_KEY_FILE = "WATCHKEEPER_SSH_KEY"  # the same, of the key for sftp
SECRETS_FILE = "WATCHKEEPER_SECRETS"  # the same, of a file with JSON: the secrets that the options name
_EXEC_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
Class = TypeVar("Class", bound=type)


class Outcome(enum.StrEnum):
    """How a job ended. Only `ok` is a success; after `partial` there is a snapshot, with holes."""

    OK = "ok"
    PARTIAL = "partial"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105  # a word of ours, no password
    MISSING_REPOSITORY = "missing_repository"
    UNREACHABLE = "unreachable"  # the host, or the repository's server, does not answer, or is not the one we know
    REFUSED = "refused"  # the repository's server does not let us in: it will not pass by itself
    LOCKED = "locked"
    NO_SPACE = "no_space"
    DAMAGED = "damaged"
    SOURCE_MISSING = "source_missing"
    INTERRUPTED = "interrupted"
    TIMEOUT = "timeout"
    FAILED = "failed"


class Kind(enum.StrEnum):
    """What is to be done."""

    BACKUP = "backup"
    DRILL = "drill"
    RESTORE = "restore"
    SNAPSHOTS = "snapshots"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One order. `engine` names the plug-in, `options` are what the policy says of it, as plain values.

    `repository` says where it is, as restic writes it and without any login (`restic/location.py`); `program` is the
    restic to use, each call at `limit_kib` KiB per second at most (0: no limit), a lock of somebody else is waited for
    `lock_wait_seconds`, and `known_hosts` are the pins for sftp. `state` is the agent's folder; `timeout_seconds` is all the job may take.
    `snapshot` and `manifest` name the point to drill or restore; without them the newest one is taken, for a restore
    the newest at or before `at_us`. `route` leads to the host; without it the host is this machine. `contains` and
    `rto_seconds` belong to a drill, `target`, `include` to a restore.
    """

    kind: Kind
    engine: str
    key: str
    item: str
    host: str
    exec_id: str
    options: Mapping[str, Any]
    repository: str
    state: str
    timeout_seconds: float = 14400.0
    snapshot: str = ""
    manifest: str = ""
    contains: tuple[str, ...] = ()
    rto_seconds: float | None = None
    target: str = ""
    at_us: int | None = None
    include: tuple[str, ...] = ()
    route: Route | None = None
    in_place: bool = False
    device: Device | None = None
    program: str = "restic"
    limit_kib: int = 0
    lock_wait_seconds: float = 0.0
    known_hosts: str = ""
    drill: DrillOrder = dataclasses.field(default_factory=DrillOrder)

    def __post_init__(self) -> None:
        """Two fields become names of files and tags; they are ours, and must look like it."""
        if not _EXEC_ID.fullmatch(self.exec_id) or "," in self.item:
            raise InputError(f"no name for a job: {self.exec_id!r}, {self.item!r}", hint="write job.json by `dump`")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class BackupResult:
    """What was saved. `faults` are the first of `fault_count` holes; `manifest` is a file name under state/manifests."""

    kind: Literal[Kind.BACKUP] = Kind.BACKUP
    outcome: Outcome
    summary: str
    hint: str = ""
    snapshot: str = ""
    at_us: int = 0
    files: int = 0
    size_bytes: int = 0
    added_bytes: int = 0
    manifest: str = ""
    hashed: int = 0  # files read for the manifest; the others were unchanged since the last one
    torn: int = 0
    faults: tuple[str, ...] = ()
    fault_count: int = 0
    revision: Revision | None = None  # of a device's configuration
    cpu_seconds: float | None = None  # of the job and of all that it started

    def point(self, job: Job) -> Point | None:
        """The saved state as the store keeps it; None when nothing was saved."""
        if not self.snapshot or self.outcome not in {Outcome.OK, Outcome.PARTIAL}:
            return None
        return Point(
            key=job.key,
            exec_id=job.exec_id,
            snapshot=self.snapshot,
            at_us=self.at_us,
            files=self.files,
            size_bytes=self.size_bytes,
            added_bytes=self.added_bytes,
            partial=self.outcome is Outcome.PARTIAL,
            manifest=self.manifest,
        )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DrillResult:
    """Whether a point could be restored and was what the manifest says; `faults` are the first of `fault_count`.

    The other fields are those of a Proof; `cycle` is where the next drill goes on.
    """

    kind: Literal[Kind.DRILL] = Kind.DRILL
    outcome: Outcome
    summary: str
    hint: str = ""
    snapshot: str = ""
    passed: bool = False
    compared: int = 0
    torn: int = 0
    faults: tuple[str, ...] = ()
    fault_count: int = 0
    restore_seconds: float = 0.0
    size_bytes: int = 0
    snapshot_at_us: int = 0
    files: int = 0
    sampled: int = 0
    whole_bytes: int = 0
    seconds: float = 0.0
    parts: Mapping[str, float] = dataclasses.field(default_factory=dict)
    cycle: Cycle = dataclasses.field(default_factory=Cycle)
    older: Older | None = None
    alarm: bool = False

    def proof(self, job: Job, at_us: int) -> Proof:
        """The drill as the store keeps it."""
        return Proof(
            key=job.key,
            exec_id=job.exec_id,
            snapshot=self.snapshot,
            at_us=at_us,
            passed=self.passed,
            compared=self.compared,
            torn=self.torn,
            faults=self.faults,
            restore_seconds=self.restore_seconds,
            snapshot_at_us=self.snapshot_at_us,
            turn=job.drill.turn,
            files=self.files,
            sampled=self.sampled,
            size_bytes=self.size_bytes,
            whole_bytes=self.whole_bytes,
            seconds=self.seconds,
            parts=self.parts,
            cycle=self.cycle,
            older=self.older,
            alarm=self.alarm,
        )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RestoreResult:
    """What was brought back, and where to; `faults` are the first of `fault_count` differences from the manifest."""

    kind: Literal[Kind.RESTORE] = Kind.RESTORE
    outcome: Outcome
    summary: str
    hint: str = ""
    snapshot: str = ""
    snapshot_at_us: int = 0
    target: str = ""
    entries: int = 0
    kept: str = ""  # where on that host lies what was replaced
    faults: tuple[str, ...] = ()
    fault_count: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """One snapshot of an item in its repository. `exec_id` is the execution that made it.

    `doubt` says why its time cannot be true; such a one is restored only when it is named.
    """

    id: str
    at_us: int
    host: str
    item: str
    exec_id: str
    paths: tuple[str, ...]
    doubt: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SnapshotsResult:
    """The snapshots of an item and host, newest first."""

    kind: Literal[Kind.SNAPSHOTS] = Kind.SNAPSHOTS
    outcome: Outcome
    summary: str
    hint: str = ""
    snapshots: tuple[Snapshot, ...] = ()


Result = BackupResult | DrillResult | RestoreResult | SnapshotsResult


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a job is; totals are 0 while nobody knows them."""

    phase: str
    files: int = 0
    total_files: int = 0
    size_bytes: int = 0
    total_bytes: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """Where a job works: until when, with which environment, to whom it reports; the values of secrets, by name.

    `ask` puts a question to whoever watches the job and waits for the answer; TimeoutError when none comes in time.
    """

    deadline: Deadline
    environment: Mapping[str, str]
    report: Callable[[Progress], None]
    secrets: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    ask: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None


class Engine(Protocol):
    """What every engine class carries. OPTIONS is the model of what stands behind its name in YAML.

    REACHES: over which connections it gets at a host.
    """

    OPTIONS: ClassVar["type[ClosedModel]"]
    REACHES: ClassVar[frozenset[Connection]]

    @staticmethod
    def backup(job: Job, setting: Setting, /) -> BackupResult:
        """Save what the options name."""

    @staticmethod
    def drill(job: Job, setting: Setting, /) -> DrillResult:
        """Restore a point into a sandbox and compare it with what was there when it was saved."""

    @staticmethod
    def restore(job: Job, setting: Setting, /) -> RestoreResult:
        """Restore a point, or a part of it, into an empty folder."""

    @staticmethod
    def snapshots(job: Job, setting: Setting, /) -> SnapshotsResult:
        """List what is there to be restored."""


def secret_names(options: Any) -> tuple[str, ...]:
    """The secrets that plain options refer to, by `{secret: name}` at any depth."""
    match options:
        case {"secret": str(name)} if len(options) == 1:
            return (name,)
        case Mapping():
            inner: Iterable[Any] = options.values()
        case list() | tuple():
            inner = options
        case _:
            return ()
    return tuple(dict.fromkeys(name for one in inner for name in secret_names(one)))


def engine(name: str) -> Callable[[Class], Class]:
    """Stamp a class as the backup engine of this name."""
    return stamp(FAMILY, name)


def failure(kind: Kind, outcome: Outcome, summary: str, hint: str = "") -> Result:
    """The result of a job of that kind that did nothing."""
    match kind:
        case Kind.BACKUP:
            return BackupResult(outcome=outcome, summary=summary, hint=hint)
        case Kind.DRILL:
            return DrillResult(outcome=outcome, summary=summary, hint=hint, faults=(summary,), fault_count=1)
        case Kind.RESTORE:
            return RestoreResult(outcome=outcome, summary=summary, hint=hint)
        case Kind.SNAPSHOTS:
            return SnapshotsResult(outcome=outcome, summary=summary, hint=hint)


def dump(document: Job | Result | Progress) -> str:
    """A document as JSON text; what a result says to people stands on lines of its own."""
    told = dataclasses.asdict(document)
    if not isinstance(document, Job | Progress):
        told |= {name: papers.line(told[name]) for name in ("summary", "hint")}
        told |= {"faults": [papers.line(one) for one in told["faults"]]} if "faults" in told else {}
    return json.dumps(told, indent=1)


def load_job(text: str) -> Job:
    """The job of a job.json."""
    job: Job = papers.load(Job, text, JOB)
    return job


def load_result(text: str) -> Result:
    """The result of a result.json."""
    result: Result = papers.load(Result, text, RESULT)
    return result
