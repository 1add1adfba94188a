"""Saves the files of a host by the restic that is there, and believes nothing of it that can be seen from here."""

import contextlib
import dataclasses
import hashlib
import itertools
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from agent.backups import PASSWORD_FILE, BackupResult, Job, Outcome, Progress, Setting
from agent.backups.mirror.line import Line
from agent.backups.onhost import heads
from agent.backups.onhost.description import Description, Told, known_from, unknown
from agent.backups.onhost.heads import Head
from agent.backups.onhost.host import Host, Seen
from agent.backups.onhost.server import serving
from agent.backups.onhost.session import Call, Session
from agent.backups.onhost.witness import Witness
from agent.backups.restic import locks, manifest, repository, snapshots
from agent.backups.restic import save as saving
from agent.backups.restic.census import Previous
from agent.backups.restic.command import Ended, Restic
from agent.backups.restic.compare import FAULTS_KEPT, printable
from agent.backups.restic.locks import Register
from agent.backups.restic.manifest import Draft, Header, Totals
from agent.backups.restic.wanted import Wanted
from agent.clock import MICROSECONDS, Deadline
from agent.errors import InputError

FOLDER = "onhost"
_SAVED = {Outcome.OK, Outcome.PARTIAL}
_PAUSES = (0.5, 1.0, 2.0, 5.0)  # seconds between tries while somebody else has the lock, the last for good


def save_there(job: Job, setting: Setting, wanted: Wanted) -> BackupResult:
    """Save what is wanted of the job's host."""
    restic = Restic(job, setting)
    if job.route is None or restic.folder is None:
        raise InputError("`run_from: host` is for hosts over SSH and a folder of this machine as repository",
                         hint="leave `run_from` out")  # fmt: skip
    if not (restic.folder / "config").exists():
        made = repository.found(restic, job)
        if made.outcome is not Outcome.OK:
            return saving.failed(made.outcome, made.why())
    with _work(job) as work:
        return _Save(job, setting, wanted, restic, Line(route=job.route, work=work, deadline=setting.deadline)).run()


@contextlib.contextmanager
def _work(job: Job) -> Iterator[Path]:
    """A folder of this job's; what a killed one left is removed."""
    folder = Path(job.state) / FOLDER / hashlib.sha256(job.key.encode()).hexdigest()[:16]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Kept:
    """What a manifest tells that was written; `missing` are sources that are not in the snapshot."""

    totals: Totals
    hashed: int = 0
    missing: tuple[str, ...] = ()


class _Save:
    """One backup."""

    def __init__(self, job: Job, setting: Setting, wanted: Wanted, restic: Restic, line: Line) -> None:
        assert restic.folder is not None
        self._job, self._setting, self._wanted, self._restic, self._line = job, setting, wanted, restic, line
        self._folder = restic.folder
        self._state = Path(job.state)
        self._host = Host(line, wanted)
        self._register = Register(locks.folder_of(self._state, restic.digest), setting.deadline.clock, job.exec_id)
        self._previous = Previous(manifest.newest(self._state, job.key))
        self._began_us = setting.deadline.clock.now() // MICROSECONDS * MICROSECONDS  # restic is told whole seconds

    def run(self) -> BackupResult:
        """Look, let restic save there, look again, and see what came of it."""
        self._setting.report(Progress(phase="listing"))
        before = self._host.look()
        if not before.told.sources:
            missing = ", ".join(self._wanted.paths)
            return saving.failed(Outcome.SOURCE_MISSING, f"there is nothing to save: {missing} is missing on the host")
        return self._lend(before)

    def _lend(self, before: Seen) -> BackupResult:
        """Let restic save there, and clear up behind it; behind a job that was killed with its server, whoever is next."""
        self._restic.tidy()
        witness = Witness(self._folder)
        try:
            with serving(self._folder, self._setting.deadline) as server:
                saved = self._saved(before, Session(self._line, server, self._register))
        finally:
            mended = witness.mend()
        return self._witnessed(before, saved, witness, mended)

    def _witnessed(self, before: Seen, saved: Ended, witness: Witness, mended: list[str]) -> BackupResult:
        """What the repository shows of it."""
        summary = saved.of_type("summary") or {}
        came = witness.appeared("snapshots")
        named = str(summary.get("snapshot_id") or "?")
        ours = [one for one in came if one.startswith(named)] if saved.outcome in _SAVED else []
        besides = [f"a snapshot that was not ordered: {one}" for one in sorted(came - set(ours))]
        besides += [f"a key that was not there before: {one}" for one in sorted(witness.appeared("keys"))]
        besides += mended
        if saved.outcome not in _SAVED:
            return _with(saving.failed(saved.outcome, saved.why()), besides)
        repository.remember(self._restic, self._job)
        if len(ours) != 1:
            return _with(_refused("restic there ended well, but no snapshot came of it"), besides)
        result = BackupResult(
            outcome=Outcome.OK, summary="", snapshot=ours[0], at_us=self._began_us,
            added_bytes=int(summary.get("data_added", 0)),
        )  # fmt: skip
        return self._described(result, saved, before, besides)

    def _saved(self, before: Seen, session: Session) -> Ended:
        """The call, repeated while somebody else has the lock, within bounds."""
        call = Call(
            version=before.version, arguments=self._arguments(before), hear=saving.progress(self._setting),
            password=Path(self._setting.environment[PASSWORD_FILE]).read_text(encoding="utf-8").strip(),
        )  # fmt: skip
        patience = Deadline.after(self._setting.deadline.clock, self._job.lock_wait_seconds)
        for pause in itertools.chain(_PAUSES, itertools.repeat(_PAUSES[-1])):
            ended = session.call(call)
            left = min(patience.remaining_seconds(), self._setting.deadline.remaining_seconds())
            if ended.outcome is not Outcome.LOCKED or left <= 0:
                break
            locks.wait(min(left, pause))
        return ended

    def _arguments(self, before: Seen) -> list[str]:
        job = self._job
        at = datetime.fromtimestamp(self._began_us // MICROSECONDS, UTC)
        words = ["backup", "--json", f"--host={job.host}", f"--time={at:%Y-%m-%d %H:%M:%S}"]
        words += [f"--tag={tag}" for tag in snapshots.tags(job)]
        words += [f"--exclude={pattern}" for pattern in self._wanted.exclude]
        words += ["--one-file-system"] if self._wanted.one_file_system else []
        words += [f"--parent={parent}"] if (parent := self._parent()) else []
        limits = [kib for kib in (job.limit_kib, self._wanted.limit_kib) if kib]
        words += [f"--limit-{way}={min(limits)}" for way in ("upload", "download")] if limits else []
        return [*words, "--", *before.told.sources]

    def _parent(self) -> str:
        """The snapshot of the last manifest, if it is still there."""
        last = self._previous.header
        return last.snapshot if last is not None and (self._folder / "snapshots" / last.snapshot).is_file() else ""

    def _described(self, result: BackupResult, saved: Ended, before: Seen, faults: list[str]) -> BackupResult:
        self._setting.report(Progress(phase="describing", total_files=len(before.items)))
        try:
            made = self._made(result.snapshot)
            if isinstance(made, Ended):
                return saving.unproven(result, made.outcome, f"saved, but it cannot be looked at: {made.why()}")
            if wrong := heads.wrong(made[0], self._job, before.told.sources, self._began_us):
                return _with(_refused(f"restic there saved something else than was ordered: {wrong}"), faults)
            with Draft(manifest.folder_of(self._state, self._job.key), self._job.exec_id) as draft:
                told = self._taken_over(draft, made, before) or self._listed(draft, made[0], before)
                if isinstance(told, Ended):
                    return saving.unproven(result, told.outcome, f"saved, but it cannot be listed: {told.why()}")
                kept = draft.keep()
        except TimeoutError:
            return saving.unproven(result, Outcome.TIMEOUT, "saved, but there was no time left to write its manifest")
        except OSError as error:
            why = f"saved, but its manifest cannot be written: {error.strerror}"
            return saving.unproven(result, Outcome.FAILED, why)
        result = dataclasses.replace(
            result, files=told.totals.files, size_bytes=told.totals.size_bytes, hashed=told.hashed,
            torn=told.totals.torn, manifest=manifest.name_of(kept),
        )  # fmt: skip
        holes = [f"does not exist: {printable(path)}" for path in before.told.missing]
        holes += [f"only the link itself: {printable(path)}" for path in before.told.sources
                  if path in before.items and before.items[path].kind == "symlink"]  # fmt: skip
        holes += [f"not in the snapshot: {printable(path)}" for path in told.missing]
        return saving.judged(result, saved, [*faults, *holes])

    def _made(self, snapshot: str) -> tuple[Head, Head | None] | Ended:
        """The snapshot, and the one before, by our own restic."""
        said: list[str] = []
        asked = [one for one in (snapshot, self._parent()) if one]
        ended = self._restic.call("snapshots", "--json", "--no-lock", *asked, hear=said.append)
        found = heads.read("".join(said)) if ended.outcome is Outcome.OK else {}
        return (found[snapshot], found.get(asked[-1])) if snapshot in found else ended

    def _taken_over(self, draft: Draft, made: tuple[Head, Head | None], before: Seen) -> _Kept | None:
        """Of the same tree, by its id, the last manifest is true: contents, names, modes, owners and times are in it."""
        new, old = made
        last = self._previous.header
        if old is None or last is None or last.totals is None or last.sources != before.told.sources:
            return None
        if old.id != last.snapshot or new.tree != old.tree:
            return None
        if any(path not in before.items for path in last.sources):  # left out, or gone since: that is told every time
            return None
        draft.begin(Header(snapshot=new.id, at_us=self._began_us, sources=last.sources, totals=last.totals))
        draft.take_over(self._previous.body)
        return _Kept(totals=last.totals)

    def _listed(self, draft: Draft, new: Head, before: Seen) -> _Kept | Ended:
        """By restic's listing: a second start of it."""
        told, hashed = self._told(before)
        description = Description(before.told.sources, told)
        ended = self._restic.call("ls", "--json", "--no-lock", new.id, hear=description.hear)
        if ended.outcome is not Outcome.OK:
            return ended
        description.write(draft, Header(snapshot=new.id, at_us=self._began_us, sources=before.told.sources))
        return _Kept(totals=description.totals, hashed=hashed, missing=description.unlisted)

    def _told(self, before: Seen) -> tuple[Told, int]:
        """What the host says of its files, how many it hashed. Where nothing is new, restic took all from its parent."""
        known = known_from(manifest.newest(self._state, self._job.key))
        files, devices = unknown(before, known)
        if not files and not devices and self._parent():
            return Told(before, before, {}, known), 0
        numbers = self._host.devices(devices)
        after, hashes = self._host.look_again(before, files)
        return Told(before, after, {**numbers, **hashes}, known), len(hashes)


def _refused(summary: str) -> BackupResult:
    return BackupResult(outcome=Outcome.FAILED, summary=summary, hint="look at that host: who else works there?")


def _with(result: BackupResult, besides: list[str]) -> BackupResult:
    """A failure, and what was found beside it."""
    if not besides:
        return result
    summary = f"{result.summary}; besides, {besides[0]}"
    return dataclasses.replace(result, summary=summary, faults=tuple(besides[:FAULTS_KEPT]), fault_count=len(besides))
