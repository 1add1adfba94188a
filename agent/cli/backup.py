"""backup: list, report, run, restore, drill, snapshots; of repositories: check, prune, copy."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli import ExitCode, folding, output, plain, upkeep
from agent.cli.context import parts_of, the_agent
from agent.cli.following import POLL_NS, begun_or_none, follow_job, tell, watched
from agent.cli.options import moment
from agent.cli.output import AsJson, Column
from agent.cli.wording import ago, local, person, plural, size
from agent.errors import RefusedError

if TYPE_CHECKING:
    from agent.model.backup import Backup
    from agent.model.execution import Execution, ExecutionKind
    from agent.runtime.agent import Agent

app = plain(help="Backups: made, listed, proven by restoring, restored.")
Which = Annotated[str, typer.Argument(metavar="ID", help="A name such as files, shop/files or shop/backups/files.")]
OnHost = Annotated[str | None, typer.Option(help="On this host alone.")]
Why = Annotated[str, typer.Option(help="Why; it is written down.")]


@app.command("list")
def list_(ctx: typer.Context, *, as_json: AsJson = False) -> None:
    """List backups: the last good one, when one was last proven by restoring it, the promises and what is attained."""
    from agent.cli import backup_report, facts

    with the_agent(ctx) as agent:
        items = [{**item, **backup_report.numbers(agent, str(item["key"]))} for item in facts.backups(agent)]
        times = {str(item["key"]): _times(agent, str(item["key"])) for item in items}
        now_us = agent.clock.now()
    columns = [
        Column("verdict", lambda item: item["verdict"]),
        Column("backup", lambda item: item["item"]),
        Column("host", lambda item: item["host"]),
        Column("last good", lambda item: ago(times[str(item["key"])][0], now_us)),
        Column("proven", lambda item: ago(times[str(item["key"])][1], now_us)),
        Column("rpo", lambda item: backup_report.of(item["rpo_now_s"], item["rpo_s"])),
        Column("rto", lambda item: backup_report.of(item["rto_measured_s"], item["rto_s"])),
        Column("size", lambda item: size(item["size_bytes"])),
        Column("trend", lambda item: item["trend"]),
        Column("growth", backup_report.per_day),
        Column("copies", lambda item: ", ".join(item["copies"])),
    ]
    if any(item["drift"] for item in items):
        from agent.cli.wording import drifted

        columns.append(Column("drift", lambda item: drifted(item["drift"])))
    output.listing(items, folding.for_terminal(columns, items, keep=5), as_json=as_json, none="no backups")


@app.command()
def report(ctx: typer.Context, *, as_json: AsJson = False) -> None:
    """Reckon up 30 days: success, worst RPO and RTO, growth, cost, when a disk is full, hosts of which nothing is saved."""
    from agent.cli import backup_report

    with the_agent(ctx) as agent:
        backup_report.show(agent, as_json=as_json)


def _times(agent: "Agent", key: str) -> tuple[int | None, int | None]:
    _, _, more = agent.freshness.standing(agent.book.policies.backups[key])
    return more["last_good_at_us"], more["proven_at_us"]


@app.command()
def run(
    ctx: typer.Context, which: Which, *, host: OnHost = None, reason: Why = "by hand", as_json: AsJson = False
) -> None:
    """Make it now. Ends with 1 when it fails."""
    from agent.model.execution import ExecutionKind

    _each(ctx, which, host, ExecutionKind.BACKUP, reason, as_json=as_json)


@app.command()
def drill(
    ctx: typer.Context, which: Which, *, host: OnHost = None, reason: Why = "by hand", as_json: AsJson = False
) -> None:
    """Prove the newest one: restore it into a sandbox, and compare it with what was saved. Ends with 1 when it fails."""
    from agent.model.execution import ExecutionKind

    _each(ctx, which, host, ExecutionKind.DRILL, reason, as_json=as_json)


def _each(
    ctx: typer.Context, which: str, host: str | None, kind: "ExecutionKind", reason: str, *, as_json: bool
) -> None:
    from agent.cli.naming import matching

    with the_agent(ctx, found=True) as agent:
        keys = matching(agent.book.policies.backups, which, "backup", host=host)
        policies = agent.book.policies
        ended = [one for key in keys for one in _begin(agent, kind, policies.backups[key], reason, quiet=as_json)]
    tell(ended, lines="faults", as_json=as_json)


def _begin(agent: "Agent", kind: "ExecutionKind", backup: "Backup", reason: str, *, quiet: bool) -> "list[Execution]":
    async def work() -> "list[Execution]":
        execution = await begun_or_none(agent, lambda: agent.rounds.begin(kind, backup, actor=person(), why=reason))
        if execution is None:
            room = f"there is no room for it: another job works on {backup.host}, or as many run as may"
            raise RefusedError(agent.rounds.why_not(backup) or room, hint="wait for it: watchkeeper status")
        begun.append(execution.number)
        step: Execution | None = execution
        is_round = "round" in execution.args
        while step is not None or (is_round and agent.rounds.is_open(backup.key)):
            if step is not None:
                await follow_job(agent, step, quiet=quiet)
            else:  # another process takes a step, or the next one has its time
                await agent.clock.sleep_until(agent.clock.boottime() + POLL_NS)
            step = await agent.rounds.go_on(backup.key) if is_round else None
        return agent.rounds.taken(execution)

    begun: list[str] = []
    return watched(work(), begun)


@app.command()
def restore(  # noqa: PLR0913  a restore is all of this
    ctx: typer.Context,
    which: Which,
    *,
    target: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Into an empty folder on this machine, or a new one.")
    ] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Back to where it was, on its host; what is replaced is kept aside.")
    ] = False,
    host: Annotated[str | None, typer.Option(help="Whose backup.")] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="As it was at 2026-11-23T02:00; else the newest.")
    ] = None,
    snapshot: Annotated[
        str, typer.Option(metavar="ID", help="This one, by its id or how that begins; also one of doubtful date.")
    ] = "",
    include: Annotated[list[str] | None, typer.Option(metavar="PATH", help="This alone; may be repeated.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be written and replaced.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Put it in place without asking.")] = False,
    reason: Why = "by hand",
    as_json: AsJson = False,
) -> None:
    """Bring a backup back, aside or in place, through the gates like every change, and compare it with what was saved.

    Nothing is ever deleted. Ends with 1 when something is not there as it was.
    """
    from agent.cli import restoring
    from agent.cli.naming import one

    with the_agent(ctx, found=True) as agent:
        policies = agent.book.policies
        backup = policies.backups[one(policies.backups, which, "backup", host=host)]
        at_us = moment(at, "--at", policies.config.timezone) if at else None
        wish = restoring.wish(
            target, include, in_place=in_place, at_us=at_us, snapshot=snapshot, reason=reason, yes=yes, as_json=as_json
        )  # fmt: skip
        restoring.check_kind(backup, in_place=in_place)
        if dry_run:
            point, found = restoring.preview(agent, backup, wish)
            restoring.show(backup, wish, point, found)
            raise typer.Exit(ExitCode.WRONG_IN_THE_WORLD if found.blocked else ExitCode.DONE)
        if not restoring.agreed(agent, backup, wish):
            raise restoring.nothing_done()
        ended = restoring.run(agent, backup, wish)
    tell([ended], lines="faults", as_json=as_json)


@app.command()
def snapshots(ctx: typer.Context, which: Which, *, host: OnHost = None, as_json: AsJson = False) -> None:
    """List what is in the repository to be restored, the newest first."""
    from agent.cli import snapshot_reading
    from agent.cli.naming import matching

    with the_agent(ctx, found=True) as agent:
        found = agent.book.policies.backups
        keys = matching(found, which, "backup", host=host)
        items = [
            item
            for key in keys
            for item in snapshot_reading.snapshots(agent, found[key], parts_of(ctx).catalogue().engines)
        ]
    if not as_json:
        output.say(plural(len(items), "snapshot"))
    columns = [
        Column("snapshot", lambda item: str(item["id"])[:12]),
        Column("made", lambda item: local(item["at_us"])),
        Column("host", lambda item: item["host"]),
        Column("state", lambda item: item["state"]),
        Column("size", lambda item: size(item["size_bytes"])),
        Column("run", lambda item: item["run"]),
        Column("paths", lambda item: ", ".join(item["paths"])),
    ]
    if any(item["why"] for item in items):
        columns.insert(-1, Column("why", lambda item: item["why"]))
    output.listing(items, folding.for_terminal(columns, items, keep=5), as_json=as_json, none="no snapshots")


app.command("check")(upkeep.check)
app.command("prune")(upkeep.prune)
app.command("copy")(upkeep.copy)
