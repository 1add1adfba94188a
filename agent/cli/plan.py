"""plan: what would run when on which hosts, and within which limits, touching nothing."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli import ExitCode, output, plain
from agent.cli.context import parts_of
from agent.cli.options import seconds
from agent.cli.output import AsJson
from agent.cli.wording import local, plural

if TYPE_CHECKING:
    from agent.policy.explain import Line

app = plain(help="Show what would run when on which hosts, touching nothing.")
COUNTED = 100_000  # moments of one item; more than a day of a look every second


@app.command()
def plan(
    ctx: typer.Context,
    *,
    span: Annotated[str, typer.Option("--for", metavar="DURATION", help="How far to look ahead.")] = "24h",
    as_json: AsJson = False,
) -> None:
    """Show what would run when on which hosts, and the limits in force, touching nothing."""
    from agent.policy import explain

    ahead_us = int(seconds(span, "--for") * 1_000_000)
    parts = parts_of(ctx)
    loaded = parts.load()
    if loaded.policies is None or loaded.problems:
        for problem in loaded.problems:
            output.note(str(problem))
        raise typer.Exit(ExitCode.BAD_INPUT)
    now_us = parts.clock().now()
    items = [_document(line, now_us, now_us + ahead_us) for line in explain.lines(loaded.policies)]
    limits = explain.safety(loaded.policies)
    if as_json:
        output.document({"items": items, "limits": dict(limits)})
        return
    _tell(items, span, local(now_us)[:10])
    output.say()
    output.say("limits that no policy can raise: " + ", ".join(f"{name} {value}" for name, value in limits))


def _document(line: "Line", now_us: int, until_us: int) -> dict[str, Any]:
    from agent.clock import rfc3339
    from agent.practices import calendar

    moments = calendar.upcoming(line.cadence, now_us, until_us, limit=COUNTED) if line.cadence else ()
    return {
        "id": line.item,
        "number": None,
        "item": line.item,
        "service": line.item.partition("/")[0],
        "host": line.hosts[0] if len(line.hosts) == 1 else None,
        "hosts": list(line.hosts),
        "section": line.section,
        "kind": line.kind,
        "when": line.when,
        "runs": len(moments) * max(1, len(line.hosts)) if line.cadence else None,
        "next_at": rfc3339(moments[0]) if moments else None,
        "next_at_us": moments[0] if moments else None,
        "notes": list(line.notes),
        "owner": line.owner,
        "title": line.title,
    }


def _tell(items: list[dict[str, Any]], span: str, today: str) -> None:
    for section in ("checks", "remedies", "backups", "repositories", "recoveries", "windows"):
        found = [item for item in items if item["section"] == section]
        if not found:
            continue
        output.say(f"{section}, {plural(len(found), 'item')}:", style="bold")
        output.table(
            ["item", "kind", "hosts", "when", f"runs in {span}", "next", "rules"],
            [
                (
                    item["item"], item["kind"], _hosts(item["hosts"]), item["when"], item["runs"],
                    local(item["next_at_us"]).removeprefix(f"{today} "), ", ".join(item["notes"]),
                )
                for item in found
            ],
        )  # fmt: skip
        output.say()


def _hosts(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} and {len(names) - 2} more"
