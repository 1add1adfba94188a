"""Proves a snapshot: restores it, or a sample of it, into a sandbox and compares every entry with the manifest."""

import os
from collections.abc import Callable
from pathlib import Path

from agent.backups import DrillResult, Job, Outcome, Progress, Setting
from agent.backups.restic import alarm, choosing, manifest, paths, probing, sampling, sandbox, selection
from agent.backups.restic.choosing import UnprovenError
from agent.backups.restic.command import Restic
from agent.backups.restic.compare import FAULTS_KEPT
from agent.backups.restic.outcome import hint_for
from agent.backups.restic.rehearsal import Rehearsed, rehearse
from agent.backups.restic.selection import Selection
from agent.clock import NANOSECONDS, Clock, Deadline
from agent.errors import AgentError
from agent.model.proof import Older

_MICROSECONDS = 1_000_000
Probe = Callable[[Path, Deadline], list[str]]  # the faults of what was restored there; TimeoutError when time is up


def drill(job: Job, setting: Setting, probe: Probe | None = None) -> DrillResult:
    """Restore, compare, tidy up; every doubt is a fault, and so is what `probe` finds in the restored folder."""
    watch = _Watch(setting.deadline.clock, job.drill.ordered_at_us)
    state = Path(job.state)
    try:
        sandbox.sweep(state)
        return _Drill(job, setting, watch, probe).run(state)
    except UnprovenError as error:
        return _failed(job, error.outcome, str(error), error.hint)


class _Watch:
    """The clock of a drill: seconds of each part, from the order on."""

    def __init__(self, clock: Clock, ordered_at_us: int) -> None:
        self._clock, self._last_ns = clock, clock.boottime()
        waited = (clock.now() - ordered_at_us) / _MICROSECONDS if ordered_at_us else 0.0
        self.parts = {"waited": max(0.0, waited)}

    def mark(self, part: str) -> None:
        """What is done now is over; it is counted from the end of the one before."""
        now_ns = self._clock.boottime()
        self.parts[part] = (now_ns - self._last_ns) / NANOSECONDS
        self._last_ns = now_ns

    def split(self, part: str, first: str, seconds: float) -> None:
        """Of that part, so many seconds were spent on something before it."""
        self.parts |= {first: seconds, part: self.parts[part] - seconds}


class _Drill:
    """One drill."""

    def __init__(self, job: Job, setting: Setting, watch: _Watch, probe: Probe | None) -> None:
        self._job, self._setting, self._watch, self._probe = job, setting, watch, probe
        self._restic = Restic(job, setting)
        self._faults: list[str] = []
        self._count = 0
        self._outcome = Outcome.OK
        self._older: Older | None = None
        self._alarm = False

    def run(self, state: Path) -> DrillResult:
        """Prove the newest snapshot, and an older one where it is its turn."""
        chosen = self._select(choosing.newest(self._job, self._restic))
        if not chosen.header.snapshot.startswith(self._job.snapshot):
            why = f"the manifest {chosen.path.name} belongs to snapshot {chosen.header.snapshot}"
            raise UnprovenError(Outcome.FAILED, why)
        self._watch.mark("chosen")
        with sandbox.sandbox(state, self._job.exec_id) as folder:
            done = self._rehearse(chosen, folder / "newest")
            self._watch.mark("compared")
            self._watch.split("compared", "restored", done.restored_seconds)
            self._contains(chosen, folder / "newest")
            self._ask(chosen, folder)
            self._watch.mark("probed")
            seconds = sum(self._watch.parts.values())
            self._try_alarm(chosen, folder / "newest")
            sandbox.remove(folder / "newest")
            if self._job.drill.older:
                self._prove_older(chosen, folder / "older")
                self._watch.mark("older")
        return self._judge(chosen, done, seconds)

    def _select(self, path: Path) -> Selection:
        order, state = self._job.drill, Path(self._job.state)
        try:
            manifest.verify(path)
            if not order.sample:
                return selection.whole(path)
            key = sampling.key_of(state, self._job.key)
            always = [self._real(one) for one in self._job.contains]
            return selection.sample(path, key, order.cycle, order.sample, always)
        except AgentError as error:
            raise UnprovenError(Outcome.FAILED, str(error), error.hint) from error

    def _rehearse(self, chosen: Selection, box: Path) -> Rehearsed:
        box.mkdir(mode=0o700)
        lacking = sandbox.lacking_bytes(box, chosen.size_bytes, chosen.count)
        if lacking:
            where = f"{box.parent.parent}{', which is in memory,' if sandbox.is_in_memory(box) else ''}"
            why = f"{lacking} bytes are missing in {where} to restore {chosen.size_bytes}"
            raise UnprovenError(Outcome.NO_SPACE, why)
        done = rehearse(self._setting, self._restic, chosen, box)
        self._tell(*done.faults())
        if done.ended.outcome is not Outcome.OK:
            self._outcome = done.ended.outcome
        return done

    def _ask(self, chosen: Selection, folder: Path) -> None:
        """Whether what was restored works, and not only is the same."""
        box, deadline = folder / "newest", self._setting.deadline
        try:
            self._tell(probing.faults(chosen, box, folder, deadline))
            if self._probe is not None and not self._faults:
                self._tell(self._probe(box, deadline))
            if self._job.drill.playbook and not self._faults:
                self._tell(self._play(box, chosen.header.snapshot))
        except TimeoutError:
            raise UnprovenError(
                Outcome.TIMEOUT, "restored and compared, but there was no time left to use it"
            ) from None

    def _try_alarm(self, chosen: Selection, box: Path) -> None:
        """A comparison that finds nothing may be one that cannot: it is shown something to find, last of all."""
        if self._faults:
            return
        rings = alarm.rings(chosen.entries(), box, self._setting.deadline)
        self._alarm = rings is True
        if rings is False:
            self._tell(["the comparison is blind: it did not find a byte that was changed on purpose"])

    def _play(self, box: Path, snapshot: str) -> list[str]:
        """What the operator's playbook says of the box, run by whoever watches this drill."""
        playbook = self._job.drill.playbook
        if self._setting.ask is None:
            return [f"{playbook}: nobody watches this drill who could run it"]
        self._setting.report(Progress(phase=f"waiting for {playbook}"))
        answer = self._setting.ask({"playbook": playbook, "sandbox": str(box), "snapshot": snapshot})
        return [] if answer.get("passed") is True else [f"{playbook}: {answer.get('says') or 'it failed'}"]

    def _tell(self, faults: list[str], count: int | None = None) -> None:
        self._faults += faults
        self._count += len(faults) if count is None else count

    def _real(self, path: str) -> str:
        """What a path of the policy is in the snapshot; the links of another host are not ours to follow."""
        return paths.canonical(path) if self._job.route is None else os.path.normpath(path)

    def _contains(self, chosen: Selection, box: Path) -> None:
        """The paths that must be in every point, whatever the manifest says."""
        for path in self._job.contains:
            real = self._real(path)
            if not any(paths.is_below(real, source) for source in chosen.header.sources):
                self._tell([f"must be there, but is not below what is saved: {path}"])
            elif link := _link_on_the_way(box, real):
                self._tell([f"must be there, and lies behind the link {link}: name its real path: {path}"])
            elif not os.path.lexists(f"{box}{real}"):
                self._tell([f"must be there, and is not: {path}"])

    def _prove_older(self, newest: Selection, box: Path) -> None:
        """What is wrong with an older snapshot is a fault like any other, and is told as its."""
        faults, count = self._faults, self._count
        self._faults, self._count = [], 0
        compared = at_us = 0
        name = "?"
        try:
            path = choosing.older(self._job, self._restic, newest.header.snapshot)
            if path is None:
                self._faults, self._count = faults, count
                return
            chosen = self._select(path)
            name, at_us = chosen.header.snapshot, chosen.header.at_us
            compared = self._rehearse(chosen, box).found.compared
        except UnprovenError as error:
            self._outcome = error.outcome
            self._tell([str(error)])
        self._older = Older(snapshot=name, at_us=at_us, compared=compared, fault_count=self._count)
        self._faults = [*faults, *(f"in the older snapshot {name[:8]}: {one}" for one in self._faults)]
        self._count += count

    def _judge(self, chosen: Selection, done: Rehearsed, seconds: float) -> DrillResult:
        then = chosen.then if chosen.then is not None and not self._faults else self._job.drill.cycle
        rto = self._job.rto_seconds
        if rto is not None and seconds > rto:
            self._tell([f"it took {seconds:.1f} s from the order to the proof, more than its rto of {rto:g} s"])
        outcome = self._outcome
        if self._faults and outcome is Outcome.OK:
            outcome = Outcome.FAILED
        part = f", {chosen.sampled} files of {chosen.files}" if chosen.then is not None else ""
        words = f"{done.found.compared} entries{part} restored in {done.restored_seconds:.1f} s"
        more = f", {self._count} faults, first: {self._faults[0]}" if self._faults else " and as they were"
        if done.found.bare and self._job.engine != "stream":  # what a command wrote has none
            more += f"; attributes and ACLs of {done.found.bare} were not compared"
        return DrillResult(
            outcome=outcome,
            summary=f"{words}{more}",
            hint=hint_for(outcome),
            snapshot=chosen.header.snapshot,
            passed=not self._faults,
            compared=done.found.compared,
            torn=done.found.torn,
            faults=tuple(self._faults[:FAULTS_KEPT]),
            fault_count=self._count,
            restore_seconds=done.restored_seconds,
            size_bytes=done.found.size_bytes,
            snapshot_at_us=chosen.header.at_us,
            files=chosen.files,
            sampled=chosen.sampled,
            whole_bytes=chosen.whole_bytes,
            seconds=seconds,
            parts=self._watch.parts,
            cycle=then,
            older=self._older,
            alarm=self._alarm,
        )


def _link_on_the_way(box: Path, path: str) -> str:
    """The link that leads out of the box, to what this machine has there; empty when there is none."""
    above = (path[:at] for at, sign in enumerate(path) if sign == "/" and at)
    return next((folder for folder in above if os.path.islink(f"{box}{folder}")), "")  # noqa: PTH114  # text, as all here


def _failed(job: Job, outcome: Outcome, summary: str, hint: str = "") -> DrillResult:
    """A drill that proved nothing."""
    return DrillResult(
        outcome=outcome,
        summary=summary,
        hint=hint or hint_for(outcome),
        snapshot=job.snapshot,
        faults=(summary,),
        fault_count=1,
        cycle=job.drill.cycle,
    )
