"""Journal lines in plain words, as the live view tells them: what a colleague would say, and nothing twice."""

from typing import TYPE_CHECKING, Any, NamedTuple

from agent.cli.wording import time_of_day
from agent.model.check import host_of, item_of

if TYPE_CHECKING:
    from agent.model.journal import Line

TOLD_VERBS = frozenset({"note", "remedy-proven", "remedy-failed"})  # the others are told by the incident's own line
SILENT = frozenset({"gate-passed", "execution-dispatched", "incident-remedy-worked", "incident-remedy-failed"})


class Told(NamedTuple):
    """One line for people, and the word for a state that colours it."""

    text: str
    style: str


class Teller:
    """Tells lines in order; remembers what a run's number stands for."""

    def __init__(self) -> None:
        self._runs: dict[str, str] = {}

    def tell(self, line: "Line") -> Told | None:
        """A line in words; None when it says nothing to people, or another line says the same."""
        entry = line.entry
        if entry.kind in {"gate-passed", "backup-intent", "drill-intent", "restore-intent"}:
            request: dict[str, Any] = entry.body.get("request", {})
            what = request.get("item") or item_of(str(entry.body.get("backup", "")))
            self._runs[entry.object_id] = (
                f"{entry.kind.removesuffix('-intent')} of {what}" if not request else str(what)
            )
        found = self._words(line)
        return None if found is None else Told(f"{time_of_day(line.recorded_at_us)}  {found.text}", found.style)

    def _words(self, line: "Line") -> Told | None:
        entry = line.entry
        if entry.kind in SILENT or (entry.kind == "incident-comment" and entry.actor == "agent"):
            return None
        if entry.object_type == "check":
            return _check(line)
        if entry.object_type == "incident":
            return _incident(line)
        if entry.object_type == "execution":
            return self._execution(line)
        if entry.kind == "gate-refused":
            return Told(f"{entry.object_id} is held back by {entry.why}", "warning")
        who = "" if entry.actor == "agent" else f" by {entry.actor}"
        return Told(f"{entry.kind.replace('-', ' ')}{who}: {entry.why}", "")

    def _execution(self, line: "Line") -> Told:
        entry = line.entry
        what = self._runs.get(entry.object_id, "")
        named = f"{entry.object_id} {what}".rstrip()
        if entry.kind.endswith("-intent"):
            return Told(f"{named} begins: {entry.why}", "")
        state = entry.kind.removeprefix("execution-")
        return Told(f"{named} {state}: {entry.why}", state)


def _check(line: "Line") -> Told | None:
    told = [one for one in line.entry.body.get("decisions", []) if one.get("verb") in TOLD_VERBS]
    if not told:
        return None
    key = line.entry.object_id
    worst = told[-1]
    style = str(worst.get("severity", "")) if worst["verb"] == "note" else ""
    if worst["verb"] != "note":
        style = "ok" if worst["verb"] == "remedy-proven" else "failed"
    return Told(f"{item_of(key)}{f' on {host}' if (host := host_of(key)) else ''}: {worst['why']}", style)


def _incident(line: "Line") -> Told:
    entry = line.entry
    verb = entry.kind.removeprefix("incident-")
    if verb in {"opened", "reopened"}:
        return Told(
            f"{entry.object_id} {verb}, {entry.body.get('priority')}: {entry.body.get('title')} ({entry.why})", "open"
        )
    who = "" if entry.actor == "agent" else f" by {entry.actor}"
    return Told(
        f"{entry.object_id} {verb.replace('-', ' ')}{who}: {entry.why}", "resolved" if verb == "resolved" else ""
    )
