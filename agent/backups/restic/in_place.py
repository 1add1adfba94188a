"""Puts a restored tree back where it was saved, or below a folder of the host: first whole and compared, then laid."""

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agent.backups import Job, Outcome, Progress, RestoreResult, Setting
from agent.backups.putting.ground import Ground, ground
from agent.backups.restic import paths, sandbox
from agent.backups.restic.compare import FAULTS_KEPT, printable
from agent.errors import AgentError, TransportError, WatchkeeperError

KEPT = "kept"
_ASIDE = "restore aside and copy what is wanted: --target DIR"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """Of what was restored: the topmost paths of the host, and which files had holes."""

    tops: tuple[str, ...]
    holey: tuple[str, ...]


def put_back(
    job: Job, setting: Setting, restore: Callable[[Path], RestoreResult], shape: Callable[[Path], Shape]
) -> RestoreResult:
    """Restore into a sandbox by `restore`, compare, and only then lay it over what is there.

    Nothing there is touched before all of it lies ready beside it, is as it was saved, and nothing is in the way.
    """
    with sandbox.sandbox(Path(job.state), job.exec_id) as box:
        result = restore(box)
        if result.outcome is not Outcome.OK:
            words = f"nothing was touched: {result.summary.replace(str(box), 'the sandbox')}"
            return dataclasses.replace(result, summary=words, target="", hint=result.hint or _ASIDE)
        if ours := _ours(job, box):
            return _failed(result, Outcome.FAILED, f"{ours} belongs to the agent and is not overwritten", _ASIDE)
        try:
            with ground(job.route, setting.deadline) as there:
                return _laid(job, setting, (there, box, shape(box)), result)
        except TransportError as error:
            return _failed(result, Outcome.FAILED, str(error), error.hint)


def _ours(job: Job, box: Path) -> str:
    """What of the agent's own would be overwritten, on this machine."""
    if job.route is not None:
        return ""
    own = [os.path.realpath(path) for path in (job.state, job.repository) if path.startswith("/")]
    if job.target:
        return next((path for path in own if paths.is_below(os.path.realpath(job.target), path)), "")
    return next((path for path in own if os.path.lexists(f"{box}{path}")), "")


def _laid(job: Job, setting: Setting, where: tuple[Ground, Path, Shape], result: RestoreResult) -> RestoreResult:
    there, box, shape = where
    stage, keep = str(box), f"{job.state}/{KEPT}/{job.exec_id}"
    is_touched = False
    try:
        if not there.is_here:
            room = there.ask({"do": "room", "name": job.exec_id})
            stage, keep = room["stage"], room["keep"]
            lacking = _size(box) - int(room["free"])
            if lacking > 0:
                return _failed(result, Outcome.NO_SPACE, f"{lacking} bytes are missing on {there.name}")
            setting.report(Progress(phase=f"sending to {there.name}", total_files=result.entries))
            there.send(box, stage)
        setting.report(Progress(phase="putting back", total_files=result.entries))
        is_touched = True
        order = {"do": "lay", "root": job.target or "/", "stage": stage, "keep": keep, "sources": sorted(shape.tops),
                 "holey": shape.holey}  # fmt: skip
        return _told(job, there, there.ask(order), keep, result)
    except (WatchkeeperError, TimeoutError) as error:
        if not is_touched:
            raise
        words = f"{there.name} may have a part of it: {str(error) or 'there was no time left'}"
        return _failed(
            result, Outcome.FAILED, words, "look with --dry-run, then run the same restore again: it goes on"
        )
    finally:
        if not there.is_here:
            _clear(there, stage)


def _clear(there: Ground, stage: str) -> None:
    try:
        there.ask({"do": "clear", "stage": stage})
    except (AgentError, TransportError, TimeoutError):
        return  # the line is gone: the next restore there has another folder, and this one is private


def _told(job: Job, there: Ground, answer: Mapping[str, Any], keep: str, result: RestoreResult) -> RestoreResult:
    """What came of it, in words: what is there now, and where the rest is."""
    faults = tuple(printable(words) for words in answer["words"])
    new, changed, same = int(answer["new"]), int(answer["changed"]), int(answer["same"])
    if not answer["touched"]:
        words = (
            f"nothing was touched on {there.name}: {answer['faults']} entries cannot be put back, first: {faults[0]}"
        )
        refused = _failed(result, Outcome.FAILED, words, _ASIDE)
        return dataclasses.replace(refused, faults=faults[:FAULTS_KEPT], fault_count=int(answer["faults"]))
    kept = f"; what was replaced is kept in {keep} on {there.name}" if answer["kept"] else ""
    kept += f", {answer['bare']} without all of its extended attributes" if answer["bare"] else ""
    words = f"{new} written, {changed} replaced, {same} left as they were on {there.name}{kept}"
    if faults:
        words = f"{words}; {answer['faults']} are not in place, first: {faults[0]}"
    return dataclasses.replace(
        result, outcome=Outcome.FAILED if faults else Outcome.OK, summary=words, target=job.target or "/",
        entries=new + changed + same, faults=faults[:FAULTS_KEPT], fault_count=int(answer["faults"]),
        hint="look with --dry-run, then run the same restore again: it goes on" if faults else "",
        kept=keep if answer["kept"] else "",
    )  # fmt: skip


def _size(box: Path) -> int:
    return sum(os.lstat(os.path.join(top, name)).st_size for top, _, names in os.walk(box) for name in names)  # noqa: PTH118  # text in, number out


def _failed(result: RestoreResult, outcome: Outcome, summary: str, hint: str = "") -> RestoreResult:
    return dataclasses.replace(result, outcome=outcome, summary=summary, hint=hint, target="", entries=0)
