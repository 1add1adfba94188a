"""backup report: the last 30 days of backups in numbers, their repositories, and the hosts of which nothing is saved."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agent.cli import folding, output
from agent.cli.output import Column
from agent.cli.wording import plural, size, span

if TYPE_CHECKING:
    from agent.runtime.agent import Agent

NUMBERS = ("rpo_now_s", "rto_measured_s", "growth_bytes_per_day", "success_rate", "copies", "trend")


def numbers(agent: "Agent", key: str) -> dict[str, Any]:
    """What the listing shows of a backup beside its standing."""
    found = _recoverability(agent).of(agent.book.policies.backups[key])
    return {name: found[name] for name in NUMBERS}


def show(agent: "Agent", *, as_json: bool) -> None:
    """Print the report."""
    report = _recoverability(agent).report()
    if as_json:
        output.document(report)
        return
    columns = folding.for_terminal(_BACKUPS, report["items"], keep=5)
    output.listing(report["items"], columns, as_json=False, none="no backups")
    if report["repositories"]:
        output.say()
        output.listing(report["repositories"], _REPOSITORIES, as_json=False, none="")
    if hosts := report["hosts_without_backup"]:
        output.say(f"\nnothing is saved of {plural(len(hosts), 'host')}: {', '.join(hosts)}")


def _recoverability(agent: "Agent") -> Any:
    from agent.runtime.recoverability import Recoverability

    return Recoverability(store=agent.store, clock=agent.clock, book=agent.book)


def of(attained: float | None, objective: float | None) -> str:
    """`7 h of 1 d 2 h`: what is, and what was promised."""
    return span(attained) if objective is None else f"{span(attained)} of {span(objective)}"


def per_day(item: Mapping[str, Any]) -> str:
    """`1.2 MB a day`."""
    grown = item["growth_bytes_per_day"]
    return "-" if grown is None else f"{size(int(grown))} a day"


_BACKUPS = (
    Column("backup", lambda item: item["item"]),
    Column("host", lambda item: item["host"]),
    Column("runs", lambda item: item["runs"]),
    Column("success", lambda item: "-" if item["success_rate"] is None else f"{item['success_rate']:.1%}"),
    Column("worst rpo", lambda item: of(item["rpo_worst_s"], item["rpo_s"])),
    Column("worst rto", lambda item: of(item["rto_worst_s"], item["rto_s"])),
    Column("growth", per_day),
    Column("time", lambda item: span(item["wall_s"])),
    Column("cpu", lambda item: span(item["cpu_s"])),
    Column("added", lambda item: size(item["added_bytes"])),
)
_REPOSITORIES = (
    Column("repository", lambda item: item["repository"]),
    Column("host", lambda item: item["host"]),
    Column("growth", per_day),
    Column("free", lambda item: size(item["free_bytes"])),
    Column("full in", lambda item: span(item["full_in_s"])),
)
