"""The upkeep of repositories as work: checks, removals and copies, filed as executions and run in a shim."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agent.backups import AWS_FILE, Job, Kind, Outcome
from agent.backups.restic import manifest, upkeep
from agent.backups.restic.copying import FROM
from agent.backups.restic.upkeep import ERRAND, PLAN, RESULT, Errand, Task
from agent.clock import NANOSECONDS, Clock
from agent.errors import AgentError, InputError
from agent.model.backup import Backup, Repository
from agent.model.check import Check, item_of
from agent.model.execution import Execution, ExecutionKind, ExecutionState
from agent.model.journal import Entry
from agent.model.look import Look
from agent.model.proof import Point
from agent.model.upkeep import Finding, Strange
from agent.practices import places
from agent.practices import upkeep as practice
from agent.practices.places import Place
from agent.runtime import filing, holdings, repositories
from agent.runtime.book import Book
from agent.runtime.executor import Finish
from agent.runtime.filing import Intent
from agent.secrets import Secrets
from agent.store import backups, dues, ids, journal, leases
from agent.store.engine import Store
from agent.store.tx import Reader, Tx
from agent.transports.child import Ended, Packet

TASKS = {ExecutionKind.CHECK: Task.CHECK, ExecutionKind.PRUNE: Task.PRUNE, ExecutionKind.COPY: Task.COPY}
TIMEOUT_SECONDS = 12 * 3600.0  # a whole night and half a day; what takes longer is done in shares


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Upkeep:
    """The work; `noticed` is called with the cause of a repository about which something new is known."""

    store: Store
    clock: Clock
    book: Book
    secrets: Secrets
    noticed: Callable[[str], None]

    def places(self) -> Mapping[str, Place]:
        """Every repository in use, by its cause."""
        return self.book.places

    def place(self, cause: str) -> Place:
        """One of them; AgentError when no policy in force uses it any more."""
        found = self.places().get(cause)
        if found is None:
            raise AgentError(f"no backup of the policies in force is in {item_of(cause)}")
        return found

    def watch_from_now(self) -> None:
        """Note since when each repository is watched: what claims to be ours and is younger must be in our record."""
        with self.store.write() as tx:
            dues.watch(tx, self.places())

    def file(
        self, kind: ExecutionKind, place: Place, *, actor: str, why: str, args: Mapping[str, Any]
    ) -> Execution | None:
        """File the intent; None while anybody works on that repository. Runs in the writing thread."""
        with self.store.write() as tx:
            deadline_ns = self.clock.boottime() + int(TIMEOUT_SECONDS * NANOSECONDS)
            identity = ids.ulid(self.clock)
            source = _source(place, str(args["source"])) if kind is ExecutionKind.COPY else None
            names = places.claims(place, source, {lease.name for lease in leases.held(tx)})
            if names is None:
                return None
            for name in names:
                leases.acquire(tx, name=name, owner=identity, pid=0, started=0, deadline_ns=deadline_ns)
            dues.mark(tx, ran(kind, place.cause, str(args.get("source", ""))), self.clock.now())
            intent = Intent(
                identity=identity, deadline_ns=deadline_ns, kind=kind, cause=place.cause, item=item_of(place.cause),
                service="agent", host=place.host, actor=actor, why=why, args=args, about={"repository": place.cause},
            )  # fmt: skip
            return filing.file(tx, intent, self.clock, self.book.generation)

    # what the executor asks

    def packet(self, execution: Execution, run_dir: Path) -> Packet:
        """The errand as the shim runs it."""
        place = self.place(execution.correlation_id)
        errand = self.errand(execution, place)
        run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        (run_dir / ERRAND).write_text(upkeep.dump(errand), encoding="utf-8")
        files = dict(repositories.access(place.repository, place.host or "", self.secrets).secret_files)
        if errand.source is not None:
            source = _source(place, str(execution.args["source"]))
            first = repositories.access(source.repository, source.host, self.secrets)
            if AWS_FILE in first.secret_files:
                files.setdefault(AWS_FILE, first.secret_files[AWS_FILE])
            files |= {FROM[name]: content for name, content in first.secret_files.items() if name in FROM}
        return filing.packet("agent.runtime.upkeep_job", run_dir, timeout_seconds=TIMEOUT_SECONDS, secret_files=files)

    def errand(self, execution: Execution, place: Place) -> Errand:
        """The order of an execution."""
        args = execution.args
        errand = Errand(
            task=TASKS[execution.kind],
            job=self._job(execution, place.repository, place.host or ""),
            name=place.repository.name,
            shares=tuple(args.get("shares", ())),
            of=int(args.get("of", 1)),
        )
        with self.store.read() as reader:
            if execution.kind is ExecutionKind.COPY:
                source = _source(place, str(args["source"]))
                first = self._job(execution, source.repository, source.host)
                wanted = holdings.to_copy(reader, place, str(args["source"]))
                return dataclasses.replace(errand, source=first, snapshots=tuple(one.snapshot for one in wanted))
            return dataclasses.replace(
                errand,
                holdings=holdings.of(reader, place),
                since_us=dues.last_run(reader, f"watched:{place.cause}") or 0,
                accepted=tuple(marked(reader, "accepted", place.cause)),
                keys=tuple(marked(reader, "key", place.cause)),
            )

    def _job(self, execution: Execution, repository: Repository, host: str) -> Job:
        config = self.book.policies.config
        return Job(
            kind=Kind.SNAPSHOTS, engine="", key=execution.correlation_id, item=execution.item, host=host,
            exec_id=execution.id, options={}, state=str(config.state), timeout_seconds=TIMEOUT_SECONDS,
            **repositories.words(repository, host, config),
        )  # fmt: skip

    def finish(self, _: Execution, run_dir: Path, ended: Ended, /) -> Finish:
        """What the errand left behind."""
        path = run_dir / RESULT
        if not path.exists():
            return filing.left_nothing(ended, run_dir, _planned(run_dir))
        result = upkeep.load_result(path.read_text(encoding="utf-8"))
        good = result.outcome is Outcome.OK and not result.findings
        return filing.told(result, ended, good=good, more={} if good else _planned(run_dir))

    def lost(self, execution: Execution, /) -> Finish:
        """What was planned may be done in part; the next run finds out, and goes on."""
        return Finish(
            state=ExecutionState.FAILED,
            summary="its shim is gone and left no result; it will be repeated",
            detail=_planned(self.book.policies.config.state / execution.run_dir),
        )

    def record(self, tx: Tx, execution: Execution, finish: Finish) -> Callable[[], None]:
        """Keep what was read, seen and removed, with the end of the execution."""
        cause, now_us = execution.correlation_id, self.clock.now()
        gone: list[Point] = []
        if execution.kind is ExecutionKind.CHECK:
            for share in finish.detail.get("read", ()):
                for part in _parts(execution, int(share)):
                    dues.mark(tx, f"read:{cause}:{part}", now_us)
            if not marked(tx, "key", cause):
                for key in finish.detail.get("keys", ()):
                    dues.mark(tx, f"key:{cause}:{key}", now_us)
        if execution.kind is ExecutionKind.PRUNE:
            place = self.places().get(cause)
            keys = [one.key for one in place.saved] if place else []
            gone = backups.forget_points(tx, keys, finish.detail.get("removed", ()))
        if finish.detail.get("findings") or finish.detail.get("damage"):
            journal.append(
                tx,
                Entry(actor="agent", kind="retention-rests", object_type="repository", object_id=cause, why=finish.summary,
                      exec_id=execution.id, policy_generation=self.book.generation),
            )  # fmt: skip
        return lambda: self._after(cause, gone)

    def _after(self, cause: str, gone: list[Point]) -> None:
        """Once it is durable: manifests of what is gone for good are gone, too."""
        for point in gone:
            if point.manifest:
                (self.book.policies.config.state / manifest.FOLDER / point.manifest).unlink(missing_ok=True)
        self.noticed(cause)

    # what the pipeline and people ask

    def look(self, check: Check) -> Look:
        """A repository's upkeep as a look."""
        place = self.place(check.key)
        with self.store.read() as reader:
            return practice.look(holdings.facts(reader, place, self.clock.now()))

    def rests(self, place: Place) -> str:
        """Why nothing may be removed there now; "" when it may."""
        with self.store.read() as reader:
            return practice.rests(holdings.facts(reader, place, self.clock.now()))

    def way_out(self, place: Place) -> str:
        """What a person does about that, and types."""
        with self.store.read() as reader:
            hint = holdings.facts(reader, place, self.clock.now()).hint
        return hint or f"mend it; then: watchkeeper backup check {place.cause.rpartition('/')[2]}"

    def accept(self, place: Place, *, actor: str, why: str) -> tuple[Finding, ...]:
        """Take the findings of the last look at a repository for right: a person has looked at each."""
        with self.store.write() as tx:
            found = holdings.findings(tx, place)
            for one in found:
                if one.what is Strange.MISSING:
                    backups.forget_points(tx, [one.key], [one.id])
                else:
                    mark = "key" if one.what is Strange.KEY else "accepted"
                    dues.mark(tx, f"{mark}:{place.cause}:{one.id}", self.clock.now())
            journal.append(
                tx,
                Entry(actor=actor, kind="findings-accepted", object_type="repository", object_id=place.cause, why=why,
                      body={"findings": [one.words for one in found]}, policy_generation=self.book.generation),
            )  # fmt: skip
        return found


def ran(kind: ExecutionKind, cause: str, source: str = "") -> str:
    """The name under which it is kept when it last began."""
    return f"{kind}:{cause}:{source}" if source else f"{kind}:{cause}"


def marked(reader: Reader, mark: str, cause: str) -> list[str]:
    """What is kept of a repository under such a mark."""
    beginning = f"{mark}:{cause}:"
    return sorted(name.removeprefix(beginning) for name in dues.beginning_with(reader, beginning))


def _parts(execution: Execution, share: int) -> list[str]:
    """What a share stands for: itself, or for all of them when the whole was read."""
    of, whole = int(execution.args.get("of", 1)), int(execution.args.get("parts", 0))
    return [f"{share}/{of}"] if of > 1 or not whole else [f"{one}/{whole}" for one in range(1, whole + 1)]


def _planned(run_dir: Path) -> dict[str, Any]:
    path = run_dir / PLAN
    return {"planned": list(upkeep.load_plan(path.read_text(encoding="utf-8")).removed)} if path.exists() else {}


def _source(place: Place, cause: str) -> Backup:
    """A backup that comes from there: its repository and host say where it is."""
    found = place.sources.get(cause)
    if not found:
        raise InputError(f"{item_of(cause)} is no longer copied to {place.repository.name}")
    return found[0]
