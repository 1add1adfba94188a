"""Saves the output of a command as one file of a snapshot, and describes it in a manifest: two starts of restic."""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agent.backups import BackupResult, Job, Outcome, Progress, Setting
from agent.backups.restic import manifest, repository, snapshots
from agent.backups.restic.command import Ended, Restic
from agent.backups.restic.manifest import Draft, Entry, Header
from agent.backups.restic.outcome import hint_for, read_message
from agent.backups.restic.survey import nanoseconds
from agent.backups.streaming import plausible
from agent.backups.streaming.feeder import Feeder
from agent.backups.streaming.producer import Place, Produced, Producer
from agent.clock import Deadline
from agent.errors import AgentError

_TIDY_SECONDS = 60.0  # to forget a snapshot that must not be, even when the job's own time is up
_RESTICS_OWN = {
    Outcome.LOCKED, Outcome.WRONG_PASSWORD, Outcome.MISSING_REPOSITORY, Outcome.NO_SPACE, Outcome.DAMAGED,
    Outcome.REFUSED, Outcome.UNREACHABLE,
}  # fmt: skip


def save(job: Job, setting: Setting, producer: Producer, filename: str, at_least: float) -> BackupResult:
    """Save what the command writes as `filename`; a command that fails leaves no snapshot."""
    restic = Restic(job, setting)
    feeder = Feeder(producer, Place(route=job.route, folder=_folder(job)), setting.deadline)
    setting.report(Progress(phase="saving"))
    arguments = ["--json", f"--host={job.host}", *(f"--tag={tag}" for tag in snapshots.tags(job))]
    arguments += ["--stdin", f"--stdin-filename={filename}"]
    saved = repository.call_or_found(
        restic, job, "backup", *arguments, hear=_progress(setting, feeder), feed=feeder.feed
    )
    summary = saved.of_type("summary") or {}
    snapshot, produced = str(summary.get("snapshot_id") or ""), feeder.produced
    if produced is None or not produced.is_good or saved.outcome is not Outcome.OK:
        return _unsaved(job, setting, snapshot, _reason(saved, produced))
    if not snapshot:
        return BackupResult(outcome=Outcome.FAILED, summary="restic ended well and named no snapshot")
    result = BackupResult(
        outcome=Outcome.OK,
        summary="",
        snapshot=snapshot,
        size_bytes=produced.size_bytes,
        added_bytes=int(summary.get("data_added", 0)),
    )
    return _Describing(job, setting, f"/{filename}").describe(restic, result, produced, at_least)


def _reason(saved: Ended, produced: Produced | None) -> BackupResult:
    """Whose failure it is: restic's where it has a word for it, else the command's, which restic was stopped for."""
    if produced is not None and not produced.is_good and saved.outcome not in _RESTICS_OWN:
        return BackupResult(outcome=produced.outcome, summary=produced.why, hint=produced.hint)
    outcome = saved.outcome if saved.outcome not in {Outcome.OK, Outcome.PARTIAL} else Outcome.FAILED
    return BackupResult(outcome=outcome, summary=saved.why(), hint=hint_for(outcome))


def _unsaved(job: Job, setting: Setting, snapshot: str, reason: BackupResult) -> BackupResult:
    """The failure; a snapshot that appeared nevertheless is forgotten by its id."""
    if not snapshot:
        return reason
    own = dataclasses.replace(setting, deadline=Deadline.after(setting.deadline.clock, _TIDY_SECONDS))
    ended = Restic(job, own).call("forget", snapshot)
    if ended.outcome is Outcome.OK:
        return reason
    summary = f"{reason.summary}; its snapshot {snapshot} is worthless and could not be forgotten: {ended.why()}"
    return dataclasses.replace(reason, summary=summary, hint=f"run: restic forget {snapshot}")


def _folder(job: Job) -> Path:
    """Where ssh's configuration for this item is; it holds no secret, and is the same each time."""
    folder = Path(job.state) / "ssh" / hashlib.sha256(job.key.encode()).hexdigest()[:16]
    if job.route is not None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _progress(setting: Setting, feeder: Feeder) -> Callable[[str], None]:
    def hear(line: str) -> None:
        message = read_message(line) or {}
        if message.get("message_type") == "status":
            feeder.begin()
            setting.report(Progress(phase="saving", size_bytes=message.get("bytes_done", 0)))

    return hear


class _Describing:
    """Writes the manifest of a snapshot with one file, and holds the file against what was sent."""

    def __init__(self, job: Job, setting: Setting, path: str) -> None:
        self._job, self._setting, self._path = job, setting, path
        self._header: Header | None = None
        self._node: Mapping[str, Any] = {}

    def describe(self, restic: Restic, result: BackupResult, produced: Produced, at_least: float) -> BackupResult:
        """The result with its manifest; without one a snapshot cannot be proven, and is no success."""
        self._setting.report(Progress(phase="describing", size_bytes=produced.size_bytes))
        state = Path(self._job.state)
        earlier = _sizes(state, self._job.key)
        try:
            listed = restic.call("ls", "--json", "--no-lock", result.snapshot, hear=self._hear)
            if listed.outcome is not Outcome.OK or self._header is None:
                return _unproven(result, listed.outcome, f"saved, but it cannot be listed: {listed.why()}")
            if self._node.get("size", 0) != produced.size_bytes:
                lost = f"restic stored {self._node.get('size', 0)} of {produced.size_bytes} bytes"
                return _unsaved(self._job, self._setting, result.snapshot, _failed(lost))
            with Draft(manifest.folder_of(state, self._job.key), self._job.exec_id) as draft:
                draft.begin(self._header)
                draft.add(self._entry(produced))
                kept = draft.keep()
        except TimeoutError:
            return _unproven(result, Outcome.TIMEOUT, "saved, but there was no time left to write its manifest")
        except OSError as error:
            return _unproven(result, Outcome.FAILED, f"saved, but its manifest cannot be written: {error.strerror}")
        result = dataclasses.replace(
            result,
            snapshot=self._header.snapshot,
            at_us=self._header.at_us,
            files=1,
            hashed=1,
            manifest=manifest.name_of(kept),
        )
        return _weighed(result, self._path[1:], plausible.doubt(produced.size_bytes, earlier, at_least))

    def _hear(self, line: str) -> None:
        node = read_message(line) or {}
        if node.get("struct_type", node.get("message_type")) == "snapshot":
            at_us = nanoseconds(node["time"]) // 1000
            self._header = Header(snapshot=node["id"], at_us=at_us, sources=(self._path,))
        elif node.get("path") == self._path:
            self._node = node

    def _entry(self, produced: Produced) -> Entry:
        """What a restore will be compared with: owner, mode and time are restic's, the content is what we saw."""
        node = self._node
        mtime_ns = nanoseconds(node["mtime"])
        return Entry(
            path=self._path,
            kind="file",
            mode=int(node.get("mode", 0)) & 0o777,
            uid=int(node.get("uid", 0)),
            gid=int(node.get("gid", 0)),
            size=produced.size_bytes,
            mtime_ns=mtime_ns,
            ctime_ns=mtime_ns,
            sha256=produced.sha256,
        )


def _sizes(state: Path, key: str) -> list[int]:
    """The sizes of the last dumps, oldest first, from their manifests."""
    sizes = []
    for path in sorted(manifest.folder_of(state, key).glob("*.gz"))[-plausible.REMEMBERED :]:
        try:
            sizes.append(sum(entry.size for entry in manifest.read(path)[1]))
        except AgentError:
            continue  # a drill says what is wrong with it
    return sizes


def _weighed(result: BackupResult, name: str, doubt: str) -> BackupResult:
    words = f"saved {name}: {result.size_bytes} bytes, {result.added_bytes} new"
    if not doubt:
        return dataclasses.replace(result, summary=words)
    hint = "look whether the data is all there; if it is meant to be so small, lower `at_least`"
    return dataclasses.replace(
        result, outcome=Outcome.PARTIAL, summary=f"{words}; suspicious: {doubt}", hint=hint, faults=(f"{name}: {doubt}",),
        fault_count=1,
    )  # fmt: skip


def _failed(summary: str) -> BackupResult:
    return BackupResult(outcome=Outcome.FAILED, summary=summary, hint="run it again; if it stays so, run: restic check")


def _unproven(result: BackupResult, outcome: Outcome, summary: str) -> BackupResult:
    outcome = Outcome.FAILED if outcome is Outcome.OK else outcome
    return dataclasses.replace(result, outcome=outcome, summary=summary, hint=hint_for(outcome))
