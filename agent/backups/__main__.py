"""Runs one job in a process of its own: `python -m agent.backups RUN_DIR`; exit code 0 only after a full success."""

import dataclasses
import errno
import gc
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import agent.backups
from agent.backups import (
    ANSWER,
    FAMILY,
    JOB,
    PROGRESS,
    QUESTION,
    RESULT,
    BackupResult,
    Engine,
    Job,
    Outcome,
    Progress,
    Result,
    Setting,
    alone,
    dump,
    failure,
    load_job,
    papers,
)
from agent.clock import NANOSECONDS, Clock, Deadline, SystemClock
from agent.errors import TransportError, WatchkeeperError
from agent.registry import one

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_LOOK_NS = NANOSECONDS // 5  # for an answer
_REPORT_NS = NANOSECONDS // 2  # people look at it; twice a second is as fast as they read


def main(arguments: list[str]) -> int:
    """Do the job of a run folder; 0 when it went well, 1 when not, 2 when there is no job."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m agent.backups RUN_DIR\n")
        return 2
    alone.begin()
    run_dir = Path(arguments[0])
    try:
        job = load_job((run_dir / JOB).read_text(encoding="utf-8"))
    except (OSError, WatchkeeperError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    result = _do(job, run_dir)
    if isinstance(result, BackupResult):
        result = dataclasses.replace(result, cpu_seconds=round(sum(os.times()[:4]), 2))
    papers.replace(run_dir / RESULT, dump(result))
    sys.stdout.write(f"{result.summary}\n")
    return 0 if result.outcome is Outcome.OK else 1


def _do(job: Job, run_dir: Path) -> Result:
    clock = SystemClock()
    setting = Setting(
        deadline=Deadline.after(clock, job.timeout_seconds),
        environment=alone.handed_down(),
        report=_Reporter(run_dir / PROGRESS, clock).report,
        ask=_Asker(run_dir, Deadline.after(clock, job.timeout_seconds)).ask,
        secrets=_secrets(os.environ.get("WATCHKEEPER_SECRETS")),
    )
    try:
        engine = cast("Engine", one(agent.backups, FAMILY, "kind of backup", job.engine))
        return getattr(engine, job.kind.value)(job, setting)  # type: ignore[no-any-return]  # one method per kind
    except TimeoutError:
        return failure(job.kind, Outcome.TIMEOUT, "there was no time left", "give it a longer timeout")
    except WatchkeeperError as error:
        may_pass = type(error) is TransportError  # a changed host key, or too much output, is the same an hour later
        return failure(job.kind, Outcome.UNREACHABLE if may_pass else Outcome.FAILED, str(error), error.hint)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        if error.errno in _NO_ROOM:
            return failure(job.kind, Outcome.NO_SPACE, f"{where}{error.strerror}", f"make room for {job.state}")
        return failure(job.kind, Outcome.FAILED, f"{where}{error.strerror}", f"look at the disk of {job.state}")


def _secrets(path: str | None) -> Mapping[str, str]:
    """The values of the secrets that the options name; their file exists in the shim's memory alone."""
    if path is None:
        return {}
    return {str(name): str(value) for name, value in json.loads(Path(path).read_bytes()).items()}


class _Asker:
    """Puts a question into the run folder, and waits for the answer beside it."""

    def __init__(self, run_dir: Path, deadline: Deadline) -> None:
        self._run_dir, self._deadline = run_dir, deadline

    def ask(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answer; TimeoutError when the job's time is up before it is there."""
        papers.replace(self._run_dir / QUESTION, json.dumps(question))
        import asyncio  # few jobs wait for anything

        asyncio.run(self._wait())
        answer: Mapping[str, Any] = json.loads((self._run_dir / ANSWER).read_text(encoding="utf-8"))
        return answer

    async def _wait(self) -> None:
        clock = self._deadline.clock
        while not (self._run_dir / ANSWER).exists():
            if self._deadline.is_over():
                raise TimeoutError
            await clock.sleep_until(clock.boottime() + _LOOK_NS)


class _Reporter:
    """Keeps progress.json fresh, within reason."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock, self._next_ns = path, clock, 0

    def report(self, progress: Progress) -> None:
        """Write it down, unless that was done a moment ago."""
        now = self._clock.boottime()
        if now >= self._next_ns:
            self._next_ns = now + _REPORT_NS
            papers.replace(self._path, dump(progress), is_durable=False)


if __name__ == "__main__":
    gc.disable()  # short-lived and without cycles worth collecting: walks over its own objects would only cost
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # all is written: to take the interpreter down in good order would only cost as well
