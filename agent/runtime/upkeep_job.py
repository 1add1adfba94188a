"""Runs one errand at a repository in a process of its own: `python -m agent.runtime.upkeep_job RUN_DIR`."""

import os
import sys
from collections import Counter
from pathlib import Path

from agent.backups import (
    PASSWORD_FILE,
    PROGRESS,
    REPOSITORY_FILE,
    SSH_KEY_FILE,
    Outcome,
    Progress,
    Setting,
    alone,
    papers,
)
from agent.backups import dump as dump_job
from agent.backups.restic import copying, forget, upkeep, verify
from agent.backups.restic.command import Ended, Restic
from agent.backups.restic.copying import FROM
from agent.backups.restic.outcome import hint_for
from agent.backups.restic.upkeep import ERRAND, PLAN, RESULT, Errand, Plan, Task, UpkeepResult
from agent.clock import Deadline, SystemClock
from agent.errors import WatchkeeperError
from agent.model.upkeep import Finding, Saved, Strange
from agent.practices import retention
from agent.practices.retention import Verdict


def main(arguments: list[str]) -> int:
    """Do the errand of a run folder; 0 when it went well, 1 when not, 2 when there is none."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m agent.runtime.upkeep_job RUN_DIR\n")
        return 2
    alone.begin()
    run_dir = Path(arguments[0])
    try:
        errand = upkeep.load_errand((run_dir / ERRAND).read_text(encoding="utf-8"))
    except (OSError, WatchkeeperError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    result = _do(errand, run_dir)
    papers.replace(run_dir / RESULT, upkeep.dump(result))
    sys.stdout.write(f"{result.summary}\n")
    return 0 if result.outcome is Outcome.OK and not result.findings else 1


def _do(errand: Errand, run_dir: Path) -> UpkeepResult:
    setting = Setting(
        deadline=Deadline.after(SystemClock(), errand.job.timeout_seconds),
        environment=alone.handed_down(
            {
                FROM[PASSWORD_FILE]: os.environ.get("RESTIC_FROM_PASSWORD_FILE"),
                FROM[REPOSITORY_FILE]: os.environ.get("RESTIC_FROM_REPOSITORY_FILE"),
                FROM[SSH_KEY_FILE]: os.environ.get("WATCHKEEPER_FROM_SSH_KEY"),
            }
        ),
        report=lambda progress: papers.replace(run_dir / PROGRESS, dump_job(progress), is_durable=False),
    )
    task = {Task.CHECK: _check, Task.PRUNE: _prune, Task.COPY: _copy}[errand.task]
    setting.report(Progress(phase=errand.task.value))
    try:
        return task(errand, setting, run_dir)
    except TimeoutError:
        return _failed(errand, Outcome.TIMEOUT, "there was no time left")
    except WatchkeeperError as error:
        return _failed(errand, Outcome.FAILED, str(error), error.hint)
    except OSError as error:
        return _failed(errand, Outcome.FAILED, f"{error.filename or ''}: {error.strerror}")


def _check(errand: Errand, setting: Setting, _: Path) -> UpkeepResult:
    """The structure, some shares of the data, the list of snapshots against our record, and the set of keys."""
    restic = Restic(errand.job, setting)
    found = verify.check(restic, errand.shares, errand.of)
    ended, listed = forget.everything(restic)
    keys: tuple[str, ...] = ()
    if ended.outcome is Outcome.OK:
        ended, keys = forget.keys(restic)
    said = _judged(errand, listed) if ended.outcome is Outcome.OK else Verdict()
    findings = (*said.findings, *_added(errand, keys))
    outcome = found.outcome if found.outcome is not Outcome.OK else ended.outcome
    share = f" and share {', '.join(map(str, found.read))} of {errand.of}" if found.read else ""
    good = f"the structure{share} sound, {len(listed)} snapshots"
    why = found.why or ended.why() if outcome is not Outcome.OK else _words(findings)
    return UpkeepResult(
        task=errand.task, outcome=outcome, summary=why or good, hint=found.hint or hint_for(outcome), read=found.read,
        of=errand.of, damage=found.lines, damage_count=found.count, findings=findings, keys=keys, snapshots=len(listed),
    )  # fmt: skip


def _added(errand: Errand, keys: tuple[str, ...]) -> tuple[Finding, ...]:
    return tuple(
        Finding(what=Strange.KEY, id=key, words=f"key {key[:8]} was added by nobody of ours")
        for key in keys
        if errand.keys and key not in errand.keys
    )


def _words(findings: tuple[Finding, ...]) -> str:
    more = f"; and {len(findings) - 3} more" if len(findings) > 3 else ""
    return "; ".join(one.words for one in findings[:3]) + more


def _judged(errand: Errand, listed: tuple[Saved, ...]) -> Verdict:
    return retention.judge(
        listed,
        errand.holdings,
        now_us=SystemClock().now(),
        since_us=errand.since_us,
        accepted=errand.accepted,
    )


def _prune(errand: Errand, setting: Setting, run_dir: Path) -> UpkeepResult:
    """Decide by the list and our record, remove exactly that, see that it is gone, and free what nobody needs."""
    restic = Restic(errand.job, setting)
    ended, listed = forget.everything(restic)
    if ended.outcome is not Outcome.OK:
        return _ended(errand, ended)
    said = _judged(errand, listed)
    if said.findings:
        summary = f"nothing is removed: {_words(said.findings)}"
        return UpkeepResult(
            task=errand.task, outcome=Outcome.OK, summary=summary, findings=said.findings, snapshots=len(listed)
        )
    papers.replace(run_dir / PLAN, upkeep.dump(Plan(removed=said.remove)))
    gone: list[str] = []
    for ended, some in forget.forget(restic, said.remove):
        if ended.outcome is not Outcome.OK:
            return _ended(errand, ended)
        gone += some
    if gone:
        ended, left = forget.everything(restic)
        stayed = {one.id for one in left} & set(gone)
        if ended.outcome is not Outcome.OK or stayed:  # restic before 0.19 says nothing when a server refuses
            return _failed(errand, ended.outcome if ended.outcome is not Outcome.OK else Outcome.FAILED,
                           f"{len(stayed)} snapshots are still there: the server does not let them be removed")  # fmt: skip
    setting.report(Progress(phase="freeing"))
    ended = forget.prune(restic)
    counts = dict(Counter(said.kept.values()))
    summary = f"{len(gone)} snapshots removed, {len(listed) - len(gone)} kept"
    return UpkeepResult(
        task=errand.task, outcome=ended.outcome, removed=tuple(gone), kept=counts, snapshots=len(listed) - len(gone),
        summary=summary if ended.outcome is Outcome.OK else f"{summary}, but no room was freed: {ended.why()}",
        hint=hint_for(ended.outcome),
    )  # fmt: skip


def _copy(errand: Errand, setting: Setting, _: Path) -> UpkeepResult:
    assert errand.source is not None
    copied = copying.copy(errand.job, errand.source, setting, errand.snapshots)
    good = f"{copied.fresh} snapshots copied, {len(copied.there)} there, each with the content of the first repository"
    damage = tuple(f"snapshot {one[:8]} differs" for one in copied.unlike)
    return UpkeepResult(
        task=errand.task, outcome=copied.outcome, summary=copied.why or good, hint=hint_for(copied.outcome),
        copied=copied.fresh, absent=copied.absent, damage=damage, damage_count=len(damage), of_first=copied.of_first,
    )  # fmt: skip


def _ended(errand: Errand, ended: Ended) -> UpkeepResult:
    return _failed(errand, ended.outcome, ended.why())


def _failed(errand: Errand, outcome: Outcome, summary: str, hint: str = "") -> UpkeepResult:
    return UpkeepResult(
        task=errand.task, outcome=outcome, summary=summary, hint=hint or hint_for(outcome), of=errand.of
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
