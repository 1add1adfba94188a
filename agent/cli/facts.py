"""Checks, backups and services as documents: what listings, `status` and the live view show."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agent.clock import MICROSECONDS, rfc3339
from agent.model.look import Verdict
from agent.practices import calendar

if TYPE_CHECKING:
    from agent.model.backup import Backup
    from agent.model.check import Check
    from agent.model.state import CheckState, Instance
    from agent.runtime.agent import Agent
    from agent.store.looks import LatestLook

GRACE_SECONDS = 10.0  # looks are written in batches, and a busy host is looked at late
SHOWN = 3  # instances in one summary
ORDER = ("critical", "unknown", "warning", "stale", "suppressed", "pending", "ok")


def checks(agent: "Agent", keys: list[str] | None = None) -> list[dict[str, Any]]:
    """The state of checks, all of them or these, the worst first."""
    from agent.store import looks

    policies, now_us = agent.book.policies, agent.clock.now()
    wanted = list(policies.checks) if keys is None else keys
    with agent.store.read() as reader:
        seen = looks.latest(reader, wanted)
    found = [check(policies.checks[key], agent.book.state(key), seen.get(key), now_us) for key in wanted]
    return sorted(found, key=lambda item: (ORDER.index(item["state"]), item["key"]))


def check(one: "Check", state: "CheckState", seen: "LatestLook | None", now_us: int) -> dict[str, Any]:
    """One check with what was seen last."""
    raw = state.raw or (seen.verdict if seen else None)
    return {
        "key": one.key,
        "id": one.item,
        "number": None,
        "service": one.service,
        "item": one.item,
        "host": one.host,
        "kind": one.kind,
        "state": word(one, state, seen, now_us),
        "raw": raw.value if raw else None,
        "hard": state.hard.value,
        "since": rfc3339(since_us(state) or None),
        "seen_at": rfc3339(seen.at_us if seen else None),
        "summary": _summary(one, state, seen, now_us),
        "metrics": dict(seen.metrics) if seen else {},
        "instances": instances(state, seen),
        "silenced": state.silenced or None,
        "suppressed_by": list(state.parents),
    }


def word(one: "Check", state: "CheckState", seen: "LatestLook | None", now_us: int) -> str:
    """The word for a check's state: its last verdict, unless that verdict does not count."""
    if state.parents or _is_paused(one, now_us):
        return "suppressed"
    if seen is None:
        return "pending"
    if (now_us - seen.at_us) / MICROSECONDS > fresh_for_seconds(one, now_us):
        return "stale"
    return (state.raw or seen.verdict).value


def fresh_for_seconds(one: "Check", now_us: int) -> float:
    """How old a result may be before it says nothing about the present."""
    return 2 * calendar.shortest_seconds(one.every, now_us) + one.timeout_seconds + GRACE_SECONDS


def since_us(state: "CheckState") -> int:
    """Since when the worst instance has been as it is; 0 before the first result."""
    moments = [inner.since_us for inner in state.instances.values() if inner.raw is state.raw]
    return max(moments, default=0)


def instances(state: "CheckState", seen: "LatestLook | None") -> dict[str, Any]:
    """The things that one check judges, such as disks; {} when it judges one."""
    looked: Mapping[str, Any] = seen.instances if seen else {}
    return {
        name: {
            "state": inner.raw.value if inner.raw else "pending",
            "hard": inner.hard.value,
            "since": rfc3339(inner.since_us or None),
            "summary": str(looked.get(name, {}).get("summary", "")),
            "metrics": dict(looked.get(name, {}).get("metrics", {})),
        }
        for name, inner in sorted(state.instances.items())
        if name
    }


def counting(one: "Instance", check_: "Check") -> str:
    """Where an instance's counters are, in words; "" when nothing is being counted."""
    if one.raw in (None, Verdict.UNKNOWN) or one.raw is one.hard:
        return ""
    if one.raw.weight > one.hard.weight:
        run = one.crit_run if one.raw is Verdict.CRITICAL else one.warn_run
        return f"soft: {run} of {threshold(check_)} before it is hard"
    return f"recovering: {one.calm_run} of {check_.rules.recover_after}"


def threshold(one: "Check") -> str:
    """When a failure of the check is hard: `3`, `5 of 15`, `10 min`."""
    fail = one.rules.fail_after
    if fail.seconds is not None:
        return f"{fail.seconds:g} s of bad results"
    return f"{fail.count}" if fail.window is None else f"{fail.count} of the last {fail.window}"


def _is_paused(one: "Check", now_us: int) -> bool:
    return one.paused_until_us is not None and now_us < one.paused_until_us


def _summary(one: "Check", state: "CheckState", seen: "LatestLook | None", now_us: int) -> str:
    if _is_paused(one, now_us):
        return f"paused: {one.paused_why}"
    if state.parents:
        return f"suppressed by {', '.join(state.parents)}"
    return _worst(state, seen) if seen else "not looked at yet"


def _worst(state: "CheckState", seen: "LatestLook") -> str:
    """The summary; where a bound finds instances bad of which the probe has nothing to say, theirs."""
    if state.raw in (None, Verdict.OK) or seen.verdict is not Verdict.OK:
        return seen.summary
    bad = [name for name, inner in sorted(state.instances.items()) if name in seen.instances and inner.raw is state.raw]
    if not bad:
        return seen.summary
    more = f" and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
    return (
        "; ".join(str(seen.instances[name].get("summary", name)) for name in bad[:SHOWN]) + f"{more} ({seen.summary})"
    )


def backups(agent: "Agent", keys: list[str] | None = None) -> list[dict[str, Any]]:
    """The standing of backups, all of them or these."""
    everything = agent.book.policies.backups
    return [backup(agent, everything[key]) for key in sorted(everything if keys is None else keys)]


def backup(agent: "Agent", one: "Backup") -> dict[str, Any]:
    """One backup with its newest point and what its drills say."""
    verdict, point, more = agent.freshness.standing(one)
    proof = more["proof"]
    return {
        "key": one.key,
        "id": one.item,
        "number": None,
        "service": one.service,
        "item": one.item,
        "host": one.host,
        "kind": one.kind,
        "state": verdict.value,
        "verdict": verdict.value,
        "last_good_at": rfc3339(more["last_good_at_us"]),
        "proven_at": rfc3339(more["proven_at_us"]),
        "rpo_s": one.rpo_seconds,
        "rto_s": one.drill.rto_seconds if one.drill else None,
        "restore_s": proof.restore_seconds if proof else None,
        "size_bytes": point.size_bytes if point else None,
        "files": point.files if point else None,
        "snapshot": point.snapshot if point else None,
        "repository": one.repository.name or None,
        "faults": list(proof.faults) if proof and not proof.passed else [],
        "drift": drift(agent, one) if one.drift else None,
    }


def drift(agent: "Agent", one: "Backup") -> dict[str, Any] | None:
    """The last change of a device outside a window for changes; None when there never was one."""
    from agent.runtime.drift import baseline

    with agent.store.read() as reader:
        known = baseline(reader, one.key)
    if known is None or not known.drift_at_us:
        return None
    return {
        "at": rfc3339(known.drift_at_us),
        "stands": bool(known.drifted),
        "commit": known.drift_commit,
        "lines": list(known.drift_lines),
    }


def services(agent: "Agent", of_checks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every service with its worst check."""
    states: dict[str, list[str]] = {name: [] for name in agent.book.policies.services}
    for item in of_checks:
        states.setdefault(item["service"], []).append(item["state"])
    return [
        {
            "id": name,
            "service": name,
            "state": min(found, key=ORDER.index) if found else "ok",
            "checks": len(found),
            "ok": found.count("ok"),
        }
        for name, found in sorted(states.items())
    ]
