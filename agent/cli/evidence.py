"""The chain of evidence behind a check's state, for `check why`: from the rules over the results to what was done."""

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from agent.cli import facts, output
from agent.cli.wording import local, plural, span
from agent.clock import MICROSECONDS, rfc3339
from agent.model.look import Unit, Verdict
from agent.model.spelling import spelled
from agent.model.state import Phase
from agent.model.window import WindowKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agent.model.bounds import Bounds
    from agent.model.check import Check
    from agent.model.state import CheckState
    from agent.runtime.agent import Agent

EVIDENCE_LINES = 12  # for people; all of it is in the document


def chain(agent: "Agent", key: str, *, limit: int, units: "Mapping[str, Unit] | None" = None) -> dict[str, Any]:
    """Everything that explains the present state of one check, as one document; `units` are those its probe declares."""
    from agent.runtime import documents, verbs
    from agent.store import incidents

    policies, state = agent.book.policies, agent.book.state(key)
    check = policies.checks[key]
    with agent.store.read() as reader:
        incident = incidents.open_of(reader, key) or incidents.last_of(reader, key)
        remedies = verbs.remedies_of(reader, incident) if incident else []
    (present,) = facts.checks(agent, [key])
    lines = [_line(line) for line in verbs.story_of(agent.store, key, limit=limit)]
    return {
        **present,
        "units": {name: unit.value for name, unit in (units or {}).items()} | _look(lines).get("units", {}),
        "unmeasured": unmeasured(check, present),
        "evidence": evidence(lines, present),
        "because": clash(lines, present)
        or because(check, state, present, incident is not None and incident.resolved_at_us is None),
        "rules": rules(check),
        "counters": {
            name or "the check": told for name, inner in state.instances.items() if (told := facts.counting(inner, check))
        },
        "parents": [{"key": parent, "failing": parent in state.parents} for parent in check.rules.needs],
        "windows": [window.item for window in policies.windows if _covers(window, check)],
        "incident": documents.incident(incident, remedies) if incident else None,
        "remedy": _remedy(state),
        "refusals": [_line(line) for line in _refusals(agent, check, limit)],
        "journal": lines,
        "generation": agent.book.generation,
    }  # fmt: skip


def because(check: "Check", state: "CheckState", present: dict[str, Any], has_incident: bool) -> str:  # noqa: FBT001
    """One sentence: why it is so, and why there is an incident or none."""
    word = present["state"]
    if word == "pending":
        return "it was not looked at yet: nothing is known, so nothing is filed"
    if word == "suppressed":
        return f"{present['summary']}: results are shown, nothing is counted, nothing is filed"
    if word == "stale":
        return f"its last result is from {_local(present['seen_at'])}: too old to say anything; is the agent running?"
    if word == "unknown":
        minutes = span(check.rules.unknown_after_seconds)
        return (
            f"the probe could not tell: it neither counts nor resets; after {minutes} the agent files that about itself"
        )
    if word == "ok" and state.hard is Verdict.OK:
        return "it's ok: the last result is within every bound" + (_memory(state) if not has_incident else "")
    if word == "ok":
        return f"the last result is ok, and {check.rules.recover_after} in a row end the hard {state.hard}"
    if state.hard is Verdict.OK:
        return f"it fails, but not long enough: hard after {facts.threshold(check)}, so no incident yet"
    return _hard(check, state, has_incident=has_incident)


def _hard(check: "Check", state: "CheckState", *, has_incident: bool) -> str:
    if has_incident:
        return f"it is hard {state.hard}: its incident is open"
    wanted = check.rules.incident_from
    if wanted is None:
        return f"it is hard {state.hard}, and its policy says: incident none"
    if state.silenced:
        return f"it is hard {state.hard}, and {state.silenced} silences it"
    if state.hard.weight < wanted.weight:
        return f"it is hard {state.hard}, and incidents are filed from {wanted} on"
    if state.mark is not None and state.mark.overridden:
        return f"it is hard {state.hard}, and a person resolved the incident all the same"
    return f"it is hard {state.hard}"


def _memory(state: "CheckState") -> str:
    if state.mark is None or state.mark.resolved_us is None:
        return ""
    return f"; its last incident was resolved at {local(state.mark.resolved_us)}"


def rules(check: "Check") -> list[str]:
    """The rules of a check in words."""
    given = check.rules
    told = [f"{check.kind}, its own verdict first"]
    told += [f"{severity} if {bound}" for severity, bounds in (("critical", given.crit), ("warning", given.warn))
             for bound in _bounds(bounds)]  # fmt: skip
    told.append(f"hard after {facts.threshold(check)}, recovered after {given.recover_after}")
    told.append(f"incident from {given.incident_from}" if given.incident_from else "no incident")
    told += [f"needs {parent}" for parent in given.needs]
    told += [f"at warning: {item}" for item in given.ladder_warning]
    told += [f"at critical: {item}" for item in given.ladder_critical]
    return told


def _bounds(bounds: "Bounds") -> list[str]:
    return [f"{metric} {' or '.join(bound.text for bound in alternatives)}" for metric, alternatives in bounds]


def unmeasured(check: "Check", present: dict[str, Any]) -> list[str]:
    """The metrics of its bounds that the last look has not measured, anywhere: these bounds cannot trip."""
    if not present["seen_at"]:
        return []
    measured = {*present["metrics"]}.union(*(inner["metrics"] for inner in present["instances"].values()))
    return sorted({name for name, _ in (*check.rules.crit, *check.rules.warn)} - measured)


def evidence(lines: list[dict[str, Any]], present: dict[str, Any]) -> str:
    """What the probe had to say beside its summary, and what to type next, when the state became what it is; "" for none."""
    look = _look(lines)
    told = str(look.get("evidence", ""))
    is_new = told.strip() not in {"", present["summary"]}
    return told if is_new and look.get("verdict") == present["raw"] else ""


def clash(lines: list[dict[str, Any]], present: dict[str, Any]) -> str:
    """Why it is unknown though the probe saw something: a bound speaks of another unit than the plugin; "" otherwise."""
    if present["state"] != Verdict.UNKNOWN.value or _look(lines).get("verdict") in {None, Verdict.UNKNOWN.value}:
        return ""
    results = [line["why"] for line in lines if (line["input"] or {}).get("input") == "Result"]
    found = re.search(r"\(([^()]+ does not fit it)\)", results[-1])
    return f"a bound cannot be compared with what was measured: {found[1]}" if found else ""


def _look(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The last look that is in the journal; not every look is."""
    results = [line["input"] for line in lines if (line["input"] or {}).get("input") == "Result"]
    return dict(results[-1].get("look", {})) if results else {}


def _covers(window: Any, check: "Check") -> bool:
    if window.kind is not WindowKind.SILENCE:
        return False
    return window.service in {check.service, ""} and (not window.hosts or check.host in window.hosts)


def _remedy(state: "CheckState") -> dict[str, Any] | None:
    climb = state.climb
    if climb is None:
        return None
    return {
        "item": climb.remedy,
        "rung": climb.rung + 1,
        "attempt": climb.attempt,
        "phase": climb.phase.value,
        "uncertain": climb.uncertain,
        "refusal": climb.refusal if climb.phase in {Phase.REFUSED, Phase.WAITING} else "",
        "asked_again_at": rfc3339(climb.ask_again_us),
        "proofs": [{"key": key, "passes": passes, "failures": failures} for key, passes, failures in climb.proofs],
    }


def _refusals(agent: "Agent", check: "Check", limit: int) -> list[Any]:
    from agent.runtime import verbs

    items = {*check.rules.ladder_critical, *check.rules.ladder_warning}
    lines = [line for item in sorted(items) for line in verbs.story_of(agent.store, item, limit=limit)]
    mine = [line for line in lines if line["body"].get("request", {}).get("cause") == check.key]
    return sorted(mine, key=lambda line: int(line["seq"]))[-limit:]


def _line(line: Any) -> dict[str, Any]:
    body = line["body"]
    return {
        "seq": line["seq"],
        "at": rfc3339(line["at_us"]),
        "kind": line["kind"],
        "actor": line["actor"],
        "why": line["why"],
        "generation": line["generation"],
        "input": body.get("input"),
        "decisions": body.get("decisions", []),
        "answers": body.get("answers", []),
    }


def tell(found: dict[str, Any]) -> None:
    """Print the chain for people."""
    since = f", since {_local(found['since'])}" if found["since"] else ""
    output.say(f"{found['key']} is {found['state']} (hard {found['hard']}{since})", style=found["state"])
    output.say(f"because  {found['because']}")
    _tell_seen(found)
    for name, told in found["counters"].items():
        output.say(f"counted  {name}: {told}")
    for rule in found["rules"]:
        output.say(f"rule     {rule}")
    if found["unmeasured"]:
        output.say(f"note     not measured, so no bound on it can trip: {', '.join(found['unmeasured'])}")
    for parent in found["parents"]:
        output.say(f"parent   {parent['key']} {'fails' if parent['failing'] else 'is well'}")
    for window in found["windows"]:
        output.say(f"window   {window}{', open now' if window == found['silenced'] else ''}")
    _tell_deeds(found)
    output.say()
    output.say(f"journal, the last {plural(len(found['journal']), 'line')}:")
    for line in found["journal"]:
        output.say(f"  {line['seq']:>6}  {_local(line['at'])}  {line['actor']}: {_words(line)}")


def _tell_seen(found: dict[str, Any]) -> None:
    output.say(f"seen     {found['summary']}  ({_local(found['seen_at']) if found['seen_at'] else 'never'})")
    for told in _measured(found["metrics"], found["units"]):
        output.say(f"         {told}")
    for name, inner in found["instances"].items():
        measured = "; ".join((inner["summary"].removeprefix(f"{name}: "), *_measured(inner["metrics"], found["units"])))
        output.say(f"         {name}: {inner['state']} (hard {inner['hard']}): {measured}")
    if found["state"] != "ok":
        for line in found["evidence"].splitlines()[:EVIDENCE_LINES]:
            output.say(f"evidence {line}")


def _measured(metrics: "Mapping[str, Any]", units: "Mapping[str, str]") -> "Iterator[str]":
    for name, value in sorted(metrics.items()):
        yield f"{name} = {spelled(value, Unit.SECONDS if name == 'time' else Unit(units.get(name, Unit.NUMBER)))}"


def _local(text: str) -> str:
    """A moment of a document in this machine's own time zone."""
    return local(int(datetime.fromisoformat(text).timestamp()) * MICROSECONDS)


def _tell_deeds(found: dict[str, Any]) -> None:
    incident, remedy = found["incident"], found["remedy"]
    if incident is None:
        output.say("incident none was ever filed")
    else:
        output.say(f"incident {incident['number']} {incident['state']}, {incident['priority']}: {incident['title']}")
        for tried in incident["remedies"]:
            worked = {True: "worked", False: "did not work", None: "not verified"}[tried["verified"]]
            output.say(f"remedy   {tried['number']} {tried['item']}: {tried['state']}, {worked}")
    if remedy is not None:
        output.say(
            f"remedy   {remedy['item']}, attempt {remedy['attempt']}: {remedy['phase']} {remedy['refusal']}".rstrip()
        )
    for line in found["refusals"]:
        output.say(f"gate     {_local(line['at'])}  {line['kind'].removeprefix('gate-')}: {line['why']}")


def _words(line: dict[str, Any]) -> str:
    given = line["input"] or {}
    name = given.get("input", line["kind"])
    if name == "Result":
        look = given.get("look", {})
        return f"result {look.get('verdict', '')}: {line['why']}"
    return f"{name}: {line['why']}"
