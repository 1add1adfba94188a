"""Backups, drills and restores: filed as executions, run by their engine in a shim, kept as points and proofs."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agent import backups as engines
from agent.backups import BackupResult, DrillResult, Job, Kind, Outcome, RestoreResult
from agent.backups.restic import sandbox
from agent.clock import NANOSECONDS, Clock
from agent.closed import as_plain
from agent.errors import InputError
from agent.model.backup import Backup
from agent.model.device import Revision
from agent.model.execution import Execution, ExecutionKind, ExecutionState
from agent.model.proof import DrillOrder
from agent.practices import proofs
from agent.practices.berths import Full, Wish
from agent.runtime import berthing, devices, filing, holds, repositories
from agent.runtime.book import Book
from agent.runtime.executor import Finish
from agent.runtime.filing import Intent
from agent.secrets import Secrets
from agent.store import backups, dues, ids
from agent.store.engine import Store
from agent.store.tx import Tx
from agent.transports import openssh
from agent.transports.child import Ended, Packet

_KINDS = {ExecutionKind.BACKUP: Kind.BACKUP, ExecutionKind.DRILL: Kind.DRILL, ExecutionKind.RESTORE: Kind.RESTORE}
_SAVED = frozenset({Outcome.OK, Outcome.PARTIAL})


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Saves:
    """The work behind backups; `noticed` is called with the key of a backup about which something new is known.

    `revised` is called with what was read of a device, in the transaction that ends the execution.
    """

    store: Store
    clock: Clock
    book: Book
    secrets: Secrets
    noticed: Callable[[str], None]
    revised: Callable[[Tx, Backup, Revision], None]

    def file(
        self,
        kind: ExecutionKind,
        backup: Backup,
        *,
        actor: str,
        why: str,
        args: Mapping[str, Any],
        allows: Callable[[Tx], bool] = lambda _: True,
    ) -> Execution | None:
        """File the intent; None while there is no room for it (practices/berths). Runs in the writing thread.

        `allows` is asked in the same transaction; a `round` in the arguments is opened by it.
        """
        with self.store.write() as tx:
            if not allows(tx):
                return None
            deadline_ns = self.clock.boottime() + int(backup.timeout_seconds * NANOSECONDS)
            identity = ids.ulid(self.clock)
            berths = berthing.take(tx, self.wish(kind, backup), owner=identity, deadline_ns=deadline_ns)
            if isinstance(berths, Full):
                return None
            dues.mark(tx, f"{kind}:{backup.key}", self.clock.now())
            if kind is ExecutionKind.BACKUP:
                holds.note_begin(tx, backup.key, args.get("round"))
            intent = Intent(
                identity=identity, deadline_ns=deadline_ns, kind=kind, cause=backup.key, item=backup.item,
                service=backup.service, host=backup.host, actor=actor, why=why,
                args={**args, "repository": backup.repository.name}, about={"backup": backup.key},
            )  # fmt: skip
            return filing.file(tx, intent, self.clock, self.book.generation)

    def wish(self, kind: ExecutionKind, backup: Backup) -> Wish:
        """The room that such a job needs."""
        return Wish(
            host=backup.host,
            repository=backup.repository.name,
            at_once=backup.repository.at_once,
            everywhere=self.book.policies.config.backups.at_once,
            unhindered=kind is ExecutionKind.RESTORE,
        )

    def sweep(self) -> None:
        """Remove the sandboxes of drills that died."""
        sandbox.sweep(self.book.policies.config.state)

    def watch_from_now(self) -> None:
        """Note since when each backup is watched: its rpo counts from then until the first one is there."""
        with self.store.write() as tx:
            dues.watch(tx, self.book.policies.backups)

    # what the executor asks

    def packet(self, execution: Execution, run_dir: Path) -> Packet:
        """The engine's job as the shim runs it."""
        backup = self.backup(execution)
        job = self.job(_KINDS[execution.kind], backup, execution)
        gently = () if execution.kind is ExecutionKind.RESTORE else repositories.GENTLY  # for that, a person waits
        run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        (run_dir / engines.JOB).write_text(engines.dump(job), encoding="utf-8")
        access = repositories.access(backup.repository, backup.host, self.secrets)
        files = {**access.secret_files, **self._named(job)}
        return filing.packet(
            "agent.backups", run_dir, timeout_seconds=backup.timeout_seconds, secret_files=files, before=gently
        )

    def _named(self, job: Job) -> Mapping[str, bytes]:
        """The secrets that the engine's options name, as a file of the shim's memory; only a backup needs them."""
        if job.kind is not Kind.BACKUP:
            return {}
        values = {name: self.secrets.get(name) for name in engines.secret_names(job.options)}
        values |= devices.login(self.book.policies.hosts[job.host], self.secrets)
        return {engines.SECRETS_FILE: json.dumps(values).encode()} if values else {}

    def job(self, kind: Kind, backup: Backup, execution: Execution) -> Job:
        """The engine's order for an execution."""
        args = execution.args
        config = self.book.policies.config
        return Job(
            kind=kind, engine=backup.kind, key=backup.key, item=backup.item, host=backup.host, exec_id=execution.id,
            options=as_plain(backup.options), **repositories.words(backup.repository, backup.host, config),
            state=str(config.state), timeout_seconds=backup.timeout_seconds, snapshot=str(args.get("snapshot", "")),
            manifest=str(args.get("manifest", "")), target=str(args.get("target", "")), at_us=args.get("at_us"),
            include=tuple(args.get("include", ())), contains=backup.drill.contains if backup.drill else (),
            rto_seconds=backup.drill.rto_seconds if backup.drill else None,
            route=self._route(str(args.get("onto", backup.host))), in_place=bool(args.get("in_place")),
            device=devices.told(self.book.policies, backup, execution), drill=self._order(kind, backup, execution),
        )  # fmt: skip

    def _route(self, name: str) -> openssh.Route | None:
        """The way to a host; None when that is this machine."""
        host = self.book.policies.hosts[name]
        return openssh.route(host, self.book.policies.config.state / "known_hosts") if host.is_remote else None

    def _order(self, kind: Kind, backup: Backup, execution: Execution) -> DrillOrder:
        """How a drill is to be done, after the last one."""
        if kind is not Kind.DRILL:
            return DrillOrder()
        with self.store.read() as reader:
            last = backups.last_proof(reader, backup.key)
        return proofs.order(backup, last, execution.intent_at_us)

    def backup(self, execution: Execution) -> Backup:
        """The backup that an execution belongs to."""
        key = str(execution.args.get("backup", execution.correlation_id))  # a step of a recovery names it
        backup = self.book.policies.backups.get(key)
        if backup is None:
            raise InputError(f"{key} is no backup of the policies in force")
        return backup

    def finish(self, execution: Execution, run_dir: Path, ended: Ended, /) -> Finish:
        """What the engine left behind."""
        path = run_dir / engines.RESULT
        if not path.exists():
            return filing.left_nothing(ended, run_dir, {"how": ended.how})
        result = engines.load_result(path.read_text(encoding="utf-8"))
        good = result.passed if isinstance(result, DrillResult) else result.outcome in _SAVED
        if good and isinstance(result, RestoreResult) and self._lacked_something(execution, result.snapshot):
            summary = f"{result.summary}; that snapshot is partial: some files could not be read when it was saved"
            result = dataclasses.replace(result, summary=summary)
        return filing.told(result, ended, good=good)

    def _lacked_something(self, execution: Execution, snapshot: str) -> bool:
        """Whether a snapshot is known to be without something that was to be in it."""
        key = str(execution.args.get("backup", execution.correlation_id))
        with self.store.read() as reader:
            return any(point.partial for point in backups.points(reader, key) if point.snapshot == snapshot)

    def lost(self, execution: Execution, /) -> Finish:
        """Nothing was saved, proven or restored as far as anybody can tell: that is a failure, and may be repeated."""
        if execution.args.get("in_place"):
            words = "its shim is gone and left no result: a part of the files may be in place; the same restore goes on"
            return Finish(state=ExecutionState.FAILED, summary=words)
        words = "its shim is gone and left no result; it may be repeated"
        return Finish(state=ExecutionState.FAILED, summary=words, detail={"how": "lost"})

    def record(self, tx: Tx, execution: Execution, finish: Finish) -> Callable[[], None]:
        """Keep the point or the proof with the end of the execution."""
        holds.note_end(tx, execution)
        if finish.detail and execution.kind in {ExecutionKind.BACKUP, ExecutionKind.DRILL}:
            self._keep(tx, execution)
        return lambda: self.noticed(execution.correlation_id)

    def _keep(self, tx: Tx, execution: Execution) -> None:
        """The point or proof of a result, by the order that it was made after: its policy may be gone meanwhile."""
        run_dir = self.book.policies.config.state / execution.run_dir
        if not (run_dir / engines.RESULT).exists():
            return
        result = engines.load_result((run_dir / engines.RESULT).read_text(encoding="utf-8"))
        job = engines.load_job((run_dir / engines.JOB).read_text(encoding="utf-8"))
        if isinstance(result, BackupResult) and (point := result.point(job)) is not None:
            backups.add_point(tx, point)
        if isinstance(result, BackupResult) and result.revision is not None and job.key in self.book.policies.backups:
            self.revised(tx, self.backup(execution), result.revision)
        if isinstance(result, DrillResult):
            backups.add_proof(tx, result.proof(job, self.clock.now()))
