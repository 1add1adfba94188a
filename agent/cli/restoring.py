"""How `backup restore` goes about it: what it would do, whether that is wanted, and doing it through the gates."""

import dataclasses
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from agent.cli import ExitCode, output
from agent.cli.following import follow_job, watched
from agent.cli.output import Column
from agent.cli.wording import local, person, size
from agent.errors import InputError

if TYPE_CHECKING:
    from agent.backups.restic.preview import Preview
    from agent.model.backup import Backup
    from agent.model.execution import Execution
    from agent.model.proof import Point
    from agent.runtime.agent import Agent

LOOK_SECONDS = 600.0
_ID = re.compile("[0-9a-f]{8,64}")
_WORDS = {"new": "write", "changed": "replace"}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What a person typed. Without `target` it goes back in place."""

    target: Path | None
    at_us: int | None
    include: tuple[str, ...]
    reason: str
    snapshot: str = ""
    yes: bool = False
    as_json: bool = False

    def args(self) -> dict[str, Any]:
        """What the execution is told."""
        target = "" if self.target is None else str(self.target)
        named = {"snapshot": self.snapshot} if self.snapshot else {}
        given = {"target": target, "at_us": self.at_us, "include": list(self.include), "in_place": self.target is None}
        return given | named

    def means(self, point: "Point") -> bool:
        """Whether it may be that one."""
        return point.snapshot.startswith(self.snapshot) and (self.at_us is None or point.at_us <= self.at_us)


def wish(target: Path | None, include: list[str] | None, *, in_place: bool, **more: Any) -> Wish:
    """What is wanted; InputError unless it is said where to."""
    if in_place == (target is not None):
        raise InputError("where to?", hint="--target DIR for an empty folder here, or --in-place")
    if (named := more.get("snapshot", "")) and not _ID.fullmatch(named):
        raise InputError(f"--snapshot {named} is no id", hint="see: watchkeeper backup snapshots")
    if named and more.get("at_us") is not None:
        raise InputError("--snapshot or --at, not both", hint="see: watchkeeper backup snapshots")
    full = tuple(os.path.normpath(path) for path in include or ())
    if wrong := [path for path in full if not path.startswith("/")]:
        raise InputError(f"--include {wrong[0]} is no full path", hint="write it like --include /etc/nginx")
    return Wish(target=target.absolute() if target is not None else None, include=full, **more)


def check_kind(backup: "Backup", *, in_place: bool) -> None:
    """Only files have a place to go back to."""
    if in_place and backup.kind != "files":
        hint = "restore it with --target DIR, then run the playbook that loads it"
        raise InputError(f"{backup.item} is a {backup.kind}: it has no place of its own", hint=hint)


def preview(agent: "Agent", backup: "Backup", wish: Wish) -> "tuple[Point, Preview]":
    """What would be done, without doing it; InputError when nothing can be said, or nothing is there."""
    from agent.backups.restic import manifest
    from agent.backups.restic import preview as looking
    from agent.clock import Deadline
    from agent.store import backups
    from agent.transports import openssh

    config, host = agent.book.policies.config, agent.book.policies.hosts[backup.host]
    with agent.store.read() as reader:
        known = backups.points(reader, backup.key)
    point = next(filter(wish.means, known), None)
    if point is None or not point.manifest:
        which = "its snapshots"
        if wish.snapshot or wish.at_us is not None:
            which = "that snapshot" if wish.snapshot else "a snapshot that old"
        raise InputError(
            f"{backup.key}: the agent has no record of {which}, and cannot say what would change",
            hint=f"watchkeeper backup snapshots {backup.key} lists what there is; --target DIR restores it aside",
        )
    path = config.state / manifest.FOLDER / point.manifest
    manifest.verify(path)
    wanted = looking.Wanted(path=path, include=wish.include)
    if wish.target is not None:
        forbidden = (str(config.state), *([url] if (url := backup.repository.url).startswith("/") else []))
        return point, looking.aside(wanted, str(wish.target), forbidden)
    route = openssh.route(host, config.state / "known_hosts") if host.is_remote else None
    return point, looking.in_place(wanted, route, Deadline.after(agent.clock, LOOK_SECONDS))


def show(backup: "Backup", wish: Wish, point: "Point", found: "Preview") -> None:
    """Say it: counts, and the first of what would change."""
    items = [{"does": _WORDS[verdict], "path": path, "size_bytes": bytes_} for verdict, path, bytes_ in found.listed]
    if wish.as_json:
        counts = {name: value for name, value in dataclasses.asdict(found).items() if isinstance(value, int)}
        document = {"backup": backup.key, "snapshot": point.snapshot, "counts": counts, "blocked": list(found.blocked)}
        output.document({**document, "items": items})
        return
    columns = [
        Column("would", lambda item: item["does"]),
        Column("size", lambda item: size(item["size_bytes"])),
        Column("path", lambda item: item["path"]),
    ]
    output.listing(items, columns, as_json=False, none="nothing would change")
    more = found.new + found.changed - len(items)
    if more > 0:
        output.say(f"and {more} more")
    where = f"{wish.target} on this machine" if wish.target is not None else f"its place on {backup.host}"
    output.say(f"{backup.key} of {local(point.at_us)}, snapshot {point.snapshot[:12]}, into {where}:")
    if point.partial:
        output.say("  partial:     some files could not be read when it was saved", style="warning")
    output.say(f"  to write:    {found.new} entries, {size(found.new_bytes)}")
    output.say(f"  to replace:  {found.changed} entries, {size(found.changed_bytes)}; kept aside on that host")
    output.say(f"  as they are: {found.same} entries, {size(found.same_bytes)}")
    if found.others:
        output.say(f"  left alone:  {found.others} entries that the snapshot does not have")
    for words in found.blocked:
        output.say(f"  in the way:  {words}", style="critical")


def agreed(agent: "Agent", backup: "Backup", wish: Wish) -> bool:
    """Whether files that are in use may be replaced: by `--yes`, or after a look on a terminal."""
    if wish.target is not None or wish.yes:
        return True
    if not sys.stdin.isatty():
        raise InputError("nobody is here to agree", hint="look with --dry-run, then add --yes")
    show(backup, wish, *preview(agent, backup, wish))
    return typer.confirm("Put this back in place?", default=False)


def run(agent: "Agent", backup: "Backup", wish: Wish) -> "Execution":
    """Do it, and follow it to its end."""
    execution = _admitted(agent, backup, wish)

    async def work() -> "Execution":
        await agent.executor.start(execution)
        return await follow_job(agent, execution, quiet=wish.as_json)

    return watched(work(), [execution.number])


def _admitted(agent: "Agent", backup: "Backup", wish: Wish) -> "Execution":
    from agent.cli.gated import admitted
    from agent.model.execution import ExecutionKind
    from agent.model.gate import Request, Trigger
    from agent.model.remedy import Risk
    from agent.runtime.gates import Wanted

    risk = Risk.REVERSIBLE if wish.target is not None else Risk.IRREVERSIBLE
    request = Request(
        item=backup.item, service=backup.service, hosts=(backup.host,), trigger=Trigger.PERSON, actor=person(),
        cause=wish.reason, risk=risk,
    )  # fmt: skip
    return admitted(
        agent,
        Wanted(
            request=request, kind=ExecutionKind.RESTORE, correlation_id=backup.key,
            timeout_seconds=backup.timeout_seconds, args=wish.args(), why=wish.reason,
        ),
    )  # fmt: skip


def nothing_done() -> typer.Exit:
    """Somebody looked, and thought better of it."""
    output.say("nothing was restored")
    return typer.Exit(ExitCode.REFUSED)
