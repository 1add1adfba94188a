"""A policy set in words, as `plan` shows it: what looks at which hosts and when, and the limits in force."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import TypeVar

from agent import units
from agent.model.backup import Around, Backup
from agent.model.cadence import Cadence
from agent.model.check import Check, Threshold
from agent.model.policy import PolicySet
from agent.model.recovery import Recovery
from agent.model.remedy import Limits, Remedy
from agent.model.upkeep import Keep
from agent.model.window import Window
from agent.policy.when import text_of

SPANS = ("last", "hourly", "daily", "weekly", "monthly", "yearly")
Item = TypeVar("Item", Check, Remedy, Backup, Recovery)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One item on all its hosts. `hosts` is empty for what is about no host; `notes` are short phrases, in order.

    `cadence` is empty for a remedy: it runs when a check asks for it.
    """

    section: str
    item: str
    kind: str
    hosts: tuple[str, ...]
    when: str
    cadence: Cadence = ()
    notes: tuple[str, ...] = ()
    owner: str = ""
    title: str = ""


def lines(policies: PolicySet) -> tuple[Line, ...]:
    """All items of a set: checks, remedies, backups, the upkeep of repositories, recoveries, windows, each by its id."""
    theirs = {*policies.backups, *policies.recoveries}
    watched = [check for check in policies.checks.values() if check.key not in theirs]
    found = [_check(check, hosts) for check, hosts in _grouped(watched)]
    found += [_remedy(remedy, hosts) for remedy, hosts in _grouped(policies.remedies.values())]
    found += [_backup(backup, hosts) for backup, hosts in _grouped(policies.backups.values())]
    found += _repositories(policies)
    found += [_recovery(recovery, hosts) for recovery, hosts in _grouped(policies.recoveries.values())]
    found += [_window(window) for window in sorted(policies.windows, key=lambda window: window.item)]
    return tuple(found)


def safety(policies: PolicySet) -> tuple[tuple[str, str], ...]:
    """The limits that no policy can raise: name and value."""
    limits = policies.config.safety
    return (
        ("global", str(limits.global_budget)),
        ("breaker cooldown", units.seconds_text(limits.breaker_cooldown_seconds)),
    )


def threshold_text(threshold: Threshold) -> str:
    """A threshold as a policy writes it."""
    if threshold.seconds is not None:
        return units.seconds_text(threshold.seconds)
    return f"{threshold.count} of {threshold.window}" if threshold.window is not None else str(threshold.count)


def limit_notes(limits: Limits) -> tuple[str, ...]:
    """The limits of a remedy as a policy writes them."""
    return (
        f"per_host {limits.per_host}",
        f"per_policy {limits.per_policy}",
        f"at_once {limits.at_once}",
        f"stop_if_failing {limits.stop_if_failing:.0%}",
        f"cooldown {units.seconds_text(limits.cooldown_seconds)}",
        f"same_symptom {limits.same_symptom}",
    )


def _grouped(items: Iterable[Item]) -> Iterator[tuple[Item, tuple[str, ...]]]:
    """Each item once, as it is on its first host, with all its hosts; by id."""
    together: dict[str, list[Item]] = {}
    for item in items:
        together.setdefault(item.item, []).append(item)
    for _, same in sorted(together.items()):
        yield same[0], tuple(filter(None, (one.host for one in same)))


def _check(check: Check, hosts: tuple[str, ...]) -> Line:
    rules = check.rules
    notes = [f"from the {check.run_from}", f"hard after {threshold_text(rules.fail_after)}"]
    notes += [f"warn {metric} {bound.text}" for metric, bounds in rules.warn for bound in bounds]
    notes += [f"crit {metric} {bound.text}" for metric, bounds in rules.crit for bound in bounds]
    if rules.incident_from is None:
        notes.append("files no incident")
    notes += [
        f"remedy {item.rpartition('/')[2]}" for item in dict.fromkeys(rules.ladder_warning + rules.ladder_critical)
    ]
    return Line(
        section="checks",
        item=check.item,
        kind=check.kind,
        hosts=hosts,
        when=text_of(check.every),
        cadence=check.every,
        notes=(*notes, *_paused(check.paused_until_us, check.paused_why)),
        owner=check.owner,
        title=check.title,
    )


def _recovery(recovery: Recovery, hosts: tuple[str, ...]) -> Line:
    """Rehearsals have a calendar; the recovery itself runs by hand."""
    notes = [step.name for step in recovery.steps]
    notes += [f"rto {units.seconds_text(recovery.rto_seconds)}"] if recovery.rto_seconds is not None else []
    notes += [f"rehearsed on {recovery.scratch[0].host}"] if recovery.scratch else []
    return Line(
        section="recoveries",
        item=recovery.item,
        kind="rehearsal" if recovery.every else "recovery",
        hosts=hosts,
        when=text_of(recovery.every) if recovery.every else "by hand",
        cadence=recovery.every,
        notes=(*notes, *_paused(recovery.paused_until_us, recovery.paused_why)),
        owner=recovery.owner,
        title=recovery.title,
    )


def _remedy(remedy: Remedy, hosts: tuple[str, ...]) -> Line:
    notes = (f"risk {remedy.risk.name.lower()}", f"mode {remedy.mode.name.lower()}", *limit_notes(remedy.limits))
    return Line(
        section="remedies",
        item=remedy.item,
        kind=remedy.playbook,
        hosts=hosts,
        when="when a check asks for it",
        notes=(*notes, *_paused(remedy.paused_until_us, remedy.paused_why)),
        title=remedy.title,
    )


def _backup(backup: Backup, hosts: tuple[str, ...]) -> Line:
    notes = [f"to {backup.repository.name or 'git'}"]
    if backup.drift:
        notes.append(f"drift: {backup.drift}")
    if backup.rpo_seconds is not None:
        notes.append(f"rpo {units.seconds_text(backup.rpo_seconds)}")
    if backup.drill is not None:
        notes.append(f"drill {text_of(backup.drill.every)}")
    if backup.copies:
        notes.append(f"copies in {', '.join(copy.name for copy in backup.copies)}")
    if backup.keep is not None:
        notes.append(f"keep {_kept(backup.keep)}")
    notes += [f"{name} {one.playbook}" for name, one in _around(backup) if one is not None]
    if backup.window:
        notes.append(f"within {backup.window.rpartition('/')[2]}")
    return Line(
        section="backups",
        item=backup.item,
        kind=backup.kind,
        hosts=hosts,
        when=text_of(backup.every),
        cadence=backup.every,
        notes=(*notes, *_paused(backup.paused_until_us, backup.paused_why)),
        owner=backup.owner,
        title=backup.title,
    )


def _kept(keep: Keep) -> str:
    counts = [f"{name} {count}" for name in SPANS if (count := getattr(keep, name))]
    return " ".join([*counts, f"within {units.seconds_text(keep.within_seconds)}"])


def _repositories(policies: PolicySet) -> Iterator[Line]:
    """What is done to each repository by its own calendar, with the hosts of which something is in it."""
    hosts: dict[str, set[str]] = {}
    for backup in policies.backups.values():
        for repository in (backup.repository, *backup.copies):
            hosts.setdefault(repository.name, set()).add(backup.host if repository.per_host else "")
    for name, repository in sorted(policies.config.repositories.items()):
        cover = (f"all of it within {units.seconds_text(repository.check.cover_seconds)}",) if repository.check else ()
        tasks = (
            ("check", repository.check.every if repository.check else (), cover),
            ("prune", repository.prune, ()),
        )
        for task, every, notes in tasks:
            if every and name in hosts:
                yield Line(
                    section="repositories",
                    item=f"agent/repositories/{name}",
                    kind=task,
                    hosts=tuple(sorted(hosts[name] - {""})),
                    when=text_of(every),
                    cadence=every,
                    notes=notes,
                )


def _around(backup: Backup) -> tuple[tuple[str, Around | None], ...]:
    return ("prepare", backup.prepare), ("cleanup", backup.cleanup)


def _window(window: Window) -> Line:
    recurring = f"{text_of(window.every)} for {units.seconds_text(window.duration_seconds)}"
    return Line(
        section="windows",
        item=window.item,
        kind=str(window.kind),
        hosts=window.hosts,
        when=recurring if window.every else "once",
        cadence=window.every,
        title=window.title,
    )


def _paused(until_us: int | None, why: str) -> tuple[str, ...]:
    return () if until_us is None else (f"paused: {why}",)
