"""Reads the snapshots of a backup from its repository; the password exists in memory only."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from agent.clock import Deadline, rfc3339
from agent.errors import ToolError

if TYPE_CHECKING:
    from agent.backups import Snapshot
    from agent.model.backup import Backup
    from agent.model.proof import Point
    from agent.runtime.agent import Agent

READ_SECONDS = 300.0


def snapshots(agent: "Agent", backup: "Backup", engines: Mapping[str, type]) -> list[dict[str, Any]]:
    """What can be restored, as documents, the newest first; ToolError when the repository cannot be read."""
    from agent import backups
    from agent.registry import named
    from agent.runtime import repositories
    from agent.store import backups as record
    from agent.store import executions

    engine: Any = named(engines, "kind of backup", backup.kind)
    access = repositories.access(backup.repository, backup.host, agent.saves.secrets)
    with ExitStack() as memories:
        setting = backups.Setting(
            deadline=Deadline.after(agent.clock, READ_SECONDS),
            environment={
                name: memories.enter_context(_in_memory(content)) for name, content in access.secret_files.items()
            },
            report=lambda _: None,
        )
        result: backups.SnapshotsResult = engine.snapshots(_job(agent, backup), setting)
    if result.outcome is not backups.Outcome.OK:
        raise ToolError(result.summary, hint=result.hint)
    with agent.store.read() as reader:
        runs = {one.exec_id: executions.get(reader, one.exec_id) for one in result.snapshots if one.exec_id}
        points = {point.snapshot: point for point in record.points(reader, backup.key)}
    return [
        {
            "id": one.id, "number": None, **_standing(one, point := points.get(one.id)), "service": backup.service, "item": backup.item,
            "host": backup.host, "at": rfc3339(one.at_us), "at_us": one.at_us, "paths": list(one.paths),
            "files": point.files if point else None, "size_bytes": point.size_bytes if point else None,
            "run": run.number if (run := runs.get(one.exec_id)) else None,
        }
        for one in result.snapshots
    ]  # fmt: skip


def _standing(one: "Snapshot", point: "Point | None") -> dict[str, str]:
    """Whether it can be what it says it is, and lacks nothing."""
    if one.doubt:
        return {"state": "doubtful", "why": one.doubt}
    if point is not None and point.partial:
        return {"state": "partial", "why": "some files could not be read"}
    return {"state": "good", "why": "" if point is not None else "not in the record"}


def _job(agent: "Agent", backup: "Backup") -> Any:
    from agent import backups
    from agent.closed import as_plain
    from agent.runtime import repositories
    from agent.store import ids

    config = agent.book.policies.config
    return backups.Job(
        kind=backups.Kind.SNAPSHOTS, engine=backup.kind, key=backup.key, item=backup.item, host=backup.host,
        exec_id=ids.ulid(agent.clock), options=as_plain(backup.options), **repositories.words(backup.repository, backup.host, config),
        state=str(config.state), timeout_seconds=READ_SECONDS,
    )  # fmt: skip


@contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """A path that leads to a secret in our memory: a child of ours can read it, no disk ever holds it."""
    number = os.memfd_create("secret", os.MFD_CLOEXEC)
    os.fchmod(number, 0o600)
    try:
        os.write(number, content)
        yield f"/proc/{os.getpid()}/fd/{number}"
    finally:
        os.close(number)
