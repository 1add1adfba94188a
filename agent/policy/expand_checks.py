"""Checks on their hosts: each one rendered, its rules complete, every reference a key."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from agent.checks import refers
from agent.closed import ClosedModel
from agent.model.bounds import Bounds
from agent.model.check import NO_HOST, Check, RemedyRules, Rules, RunFrom, key_of, reach_key
from agent.model.host import Connection, Host
from agent.model.look import Verdict
from agent.policy import catalogue, limits, references, templates, when
from agent.policy.catalogue import Place
from agent.policy.faults import Fault
from agent.policy.reading import CheckEntry, Document
from agent.policy.references import Register
from agent.policy.scene import Hosts, Pace, Scene
from agent.policy.schema import Item
from agent.policy.schema_items import RemedySpec


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Common:
    """What a check is on every one of its hosts; it needs the line to those of them that have one."""

    item: str
    service: str
    entry: CheckEntry
    place: Place
    pace: Pace
    run_from: RunFrom
    owner: str
    lines: Collection[str] = ()
    paused_until_us: int | None = None


def checks(
    scene: Scene, register: Register, document: Document, lines: Collection[str], wrong: list[Fault]
) -> Iterator[Check]:
    """All checks of a document, on all their hosts; `lines` are the hosts whose connection is a check of its own."""
    for name in document.checks:
        hosts = register.checks.get(f"{document.service}/checks/{name}", ())
        common = _common(scene, register, document, name, hosts, wrong) if hosts else None
        if common is not None:
            until_us = paused_until(scene, common.entry.spec, common.place, wrong)
            common = dataclasses.replace(common, lines=lines, paused_until_us=until_us)
            yield from _spread(scene, register, common, hosts, wrong)


def _common(
    scene: Scene, register: Register, document: Document, name: str, hosts: Hosts, wrong: list[Fault]
) -> Common | None:
    """What a check of a document is on every one of these hosts; None where it cannot be made, or stand there."""
    header, service, entry = document.header, document.service, document.checks.get(name)
    if header is None or service is None or entry is None:
        return None
    item, place = f"{service}/checks/{name}", Place(file=document.file, path=("checks", name))
    run_from = _stand(scene, entry, hosts, place, wrong)
    if run_from is None:
        return None
    return Common(
        item=item,
        service=service,
        entry=entry,
        place=place,
        pace=register.paces[item],
        run_from=run_from,
        owner=scene.owner(header, entry.spec),
    )


def paused_until(scene: Scene, item: Item, place: Place, wrong: list[Fault]) -> int | None:
    """Until when an item is left alone, in microseconds UTC."""
    if item.paused is None:
        return None
    try:
        return when.microseconds(item.paused.until, scene.config.timezone)
    except ValueError as error:
        wrong.append((place / "paused" / "until").fault(str(error)))
        return None


def stands(scene: Scene, entry: CheckEntry) -> RunFrom:
    """Where a probe looks from: what its policy says, else what is its own way."""
    run_from: RunFrom = entry.spec.run_from or scene.known.probes[entry.kind].RUN_FROM  # type: ignore[attr-defined]
    return run_from


def _stand(scene: Scene, entry: CheckEntry, hosts: Hosts, place: Place, wrong: list[Fault]) -> RunFrom | None:
    """Where the probe stands, or a fault when it cannot stand there."""
    probe: Any = scene.known.probes[entry.kind]
    run_from = stands(scene, entry)
    at = place / ("run_from" if entry.spec.run_from is not None else entry.kind)
    message = None
    if refers(probe) is not None:
        return _counting(entry, run_from, hosts, at, wrong)
    if run_from is RunFrom.AGENT:
        message = None if hasattr(probe, "reach") else f"{entry.kind!r} looks at a host: it cannot run from the agent"
    elif hosts == (None,):
        message = f"{entry.kind!r} looks at a host, and this item is about none (hosts: none)"
    elif not any(hasattr(probe, shape) for shape in ("script", "look", "command")):
        message = f"{entry.kind!r} looks from the agent: it cannot run from a host"
    else:
        message = _unreachable(scene, probe, entry.kind, hosts)
    if message is not None:
        wrong.append(at.fault(message, at_key=True))
        return None
    return run_from


def _counting(entry: CheckEntry, run_from: RunFrom, hosts: Hosts, at: Place, wrong: list[Fault]) -> RunFrom | None:
    if run_from is RunFrom.AGENT and hosts == (None,):
        return run_from
    message = f"{entry.kind!r} counts the hosts of another check and is about none itself: write hosts: none"
    if run_from is RunFrom.HOST:
        message = f"{entry.kind!r} counts what the agent knows: it cannot run from a host"
    wrong.append(at.fault(message, at_key=True))
    return None


def _unreachable(scene: Scene, probe: Any, kind: str, hosts: Hosts) -> str | None:
    for name in hosts:
        connection = scene.snapshot.hosts[name].connection if name is not None else Connection.LOCAL
        if connection is Connection.NETWORK_CLI and not hasattr(probe, "command"):
            return f"{kind!r} cannot look at host {name!r}: its ansible_connection is network_cli"
        if connection is not Connection.NETWORK_CLI and not (hasattr(probe, "script") or hasattr(probe, "look")):
            return f"{kind!r} looks at network devices, and host {name!r} is none: ansible_connection: network_cli"
        if connection is Connection.SSH and not hasattr(probe, "script"):
            return f"{kind!r} looks at this machine only, and host {name!r} is another one"
    return None


def _spread(scene: Scene, register: Register, common: Common, hosts: Hosts, wrong: list[Fault]) -> Iterator[Check]:
    known = len(wrong)
    ladders = _ladders(register, common, hosts, wrong)
    for name in hosts:
        host = scene.snapshot.hosts[name] if name is not None else None
        looked = _rendered(scene, common, host, wrong)
        needs = _needs(register, common, host, wrong)
        members = _members(scene, register, common, looked[0] if looked else None, wrong)
        if len(wrong) > known:
            return  # the first host that shows an error is enough
        assert looked is not None
        options, warn, crit = looked
        warning, critical = (_rungs(register, items, name) for items in ladders)
        rules = Rules(
            key=key_of(common.item, name),
            fail_after=common.pace.fail_after,
            recover_after=common.pace.recover_after,
            warn=warn,
            crit=crit,
            incident_from=_incident_from(common.entry),
            urgency=common.entry.spec.incident.urgency if common.entry.spec.incident is not None else None,
            needs=needs,
            ladder_warning=warning,
            ladder_critical=critical,
            remedies=_remedy_rules(register, (*warning, *critical), name, wrong),
        )
        yield _check(common, name, options, rules, members)


def elsewhere(scene: Scene, register: Register, item: str, host: Host, wrong: list[Fault]) -> Check | None:
    """A check as it would be on a host that is not one of its own; nothing suppresses it there, nothing follows."""
    service, _, name = item.split("/")
    common = _common(scene, register, register.documents[service], name, (host.name,), wrong)
    looked = _rendered(scene, common, host, wrong) if common is not None else None
    if common is None or looked is None:
        return None
    options, warn, crit = looked
    return _check(common, host.name, options, Rules(key=key_of(item, host.name), warn=warn, crit=crit))


def _check(
    common: Common, host: str | None, options: ClosedModel, rules: Rules, members: tuple[str, ...] = ()
) -> Check:
    spec = common.entry.spec
    return Check(
        key=rules.key,
        item=common.item,
        service=common.service,
        host=host,
        kind=common.entry.kind,
        options=options,
        run_from=common.run_from,
        every=common.pace.every,
        timeout_seconds=common.pace.timeout_seconds,
        retry_every_seconds=common.pace.retry_seconds,
        rules=rules,
        members=members,
        title=spec.title,
        runbook=spec.runbook,
        owner=common.owner,
        labels=tuple(spec.labels.items()),
        paused_until_us=common.paused_until_us,
        paused_why=spec.paused.why if spec.paused is not None else "",
    )


def _incident_from(entry: CheckEntry) -> Verdict | None:
    incident = entry.spec.incident
    return None if incident is None else Verdict(incident.from_)


def variables_of(host: Host | None) -> Mapping[str, Any]:
    """What templates may name: a host's inventory variables, nothing without a host."""
    return {} if host is None else host.variables


def for_host(fault: Fault, host: Host | None) -> Fault:
    """The fault, saying on which host it shows."""
    return dataclasses.replace(fault, message=f"{fault.message} (on host {host.name})") if host is not None else fault


def options_for(
    cls: type, kind: str, given: Any, place: Place, host: Host | None, wrong: list[Fault]
) -> ClosedModel | None:
    """Options whose templates are filled in for a host, then validated."""
    try:
        filled = templates.rendered(given, variables_of(host))
    except templates.TemplateFault as error:
        wrong.append(for_host(place.fault(str(error)), host))
        return None
    options, unsound = catalogue.validated(cls, kind, filled, place)
    wrong += [for_host(fault, host) for fault in unsound]
    return options


def _rendered(
    scene: Scene, common: Common, host: Host | None, wrong: list[Fault]
) -> tuple[ClosedModel, Bounds, Bounds] | None:
    entry = common.entry
    probe: Any = scene.known.probes[entry.kind]
    options = entry.options
    if options is None:
        options = options_for(probe, entry.kind, entry.given, common.place / entry.kind, host, wrong)
    warn, crit = entry.warn, entry.crit
    if warn is None:
        warn = _bounds(entry.spec.warn, probe, common.place / "warn", host, wrong)
    if crit is None:
        crit = _bounds(entry.spec.crit, probe, common.place / "crit", host, wrong)
    return None if options is None else (options, warn, crit)


def _bounds(
    given: Mapping[str, tuple[str, ...]], probe: Any, place: Place, host: Host | None, wrong: list[Fault]
) -> Bounds:
    try:
        filled = templates.rendered(given, variables_of(host))
    except templates.TemplateFault as error:
        wrong.append(for_host(place.fault(str(error)), host))
        return ()
    found, unsound = limits.bounds(filled, probe.METRICS, place)
    wrong += [for_host(fault, host) for fault in unsound]
    return found


def _members(
    scene: Scene, register: Register, common: Common, options: ClosedModel | None, wrong: list[Fault]
) -> tuple[str, ...]:
    """The keys of the check that a quorum counts."""
    option = refers(scene.known.probes[common.entry.kind])
    if option is None or options is None:
        return ()
    place = common.place / common.entry.kind / option
    found = references.check_keys(register, getattr(options, option), common.service, None, place)
    if isinstance(found, Fault):
        wrong.append(found)
        return ()
    return found


def _needs(register: Register, common: Common, host: Host | None, wrong: list[Fault]) -> tuple[str, ...]:
    """The keys of its parents: the line to its host, and those that its policy names."""
    name = host.name if host is not None else None
    keys = [reach_key(name)] if name is not None and name in common.lines else []
    for index, text in enumerate(common.entry.spec.needs):
        place = common.place / "needs" / index
        try:
            named = templates.rendered(text, variables_of(host))
        except templates.TemplateFault as error:
            wrong.append(for_host(place.fault(str(error)), host))
            continue
        found = references.check_keys(register, named, common.service, name, place)
        if isinstance(found, Fault):
            wrong.append(found)
        else:
            keys += found
    return tuple(dict.fromkeys(keys))


def _ladders(
    register: Register, common: Common, hosts: Hosts, wrong: list[Fault]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    ladders = common.entry.spec.remedy
    place = common.place / "remedy"
    if hosts == (None,) and (ladders.warn or ladders.crit):
        wrong.append(place.fault("a remedy needs a host, and this item is about none (hosts: none)", at_key=True))
        return (), ()
    return (
        _ladder(register, common, ladders.warn, place / "warn", hosts, wrong),
        _ladder(register, common, ladders.crit, place / "crit", hosts, wrong),
    )


def _ladder(
    register: Register, common: Common, names: tuple[str, ...], place: Place, hosts: Hosts, wrong: list[Fault]
) -> tuple[str, ...]:
    items = []
    for index, text in enumerate(names):
        item = references.remedy_item(register, text, common.service, place / index)
        if isinstance(item, Fault):
            wrong.append(item)
            continue
        covered = register.remedies.get(item, ())
        if covered and not set(covered) & set(hosts):
            message = f"remedy {text!r} is for none of this check's hosts ({hosts[0] or NO_HOST}, …)"
            wrong.append((place / index).fault(message))
        items.append(item)
    return tuple(dict.fromkeys(items))


def _rungs(register: Register, items: tuple[str, ...], host: str | None) -> tuple[str, ...]:
    """The ladder as it stands on one host: a remedy that is not for it, or switched off, is no rung there."""
    return tuple(item for item in items if host in register.remedies.get(item, ()))


def _remedy_rules(
    register: Register, items: tuple[str, ...], host: str | None, wrong: list[Fault]
) -> tuple[RemedyRules, ...]:
    return tuple(_rules_of(register, item, host, wrong) for item in dict.fromkeys(items))


def _rules_of(register: Register, item: str, host: str | None, wrong: list[Fault]) -> RemedyRules:
    service, _, name = item.split("/")
    document = register.documents[service]
    spec: RemedySpec | None = document.remedies[name]
    assert spec is not None
    proofs: list[tuple[str, int, int]] = []
    place = Place(file=document.file, path=("remedies", name, "post_checks"))
    for index, text in enumerate(spec.post_checks):
        found = references.check_keys(register, text, service, host, place / index)
        if isinstance(found, Fault):
            wrong.append(found)
            continue
        for key in found:
            pace = register.paces[key.rpartition("@")[0]]
            proofs.append((key, pace.recover_after, pace.hard_count))
    return RemedyRules(
        item=item,
        attempts=spec.attempts,
        verify_within_seconds=spec.verify_within,
        post_checks=tuple(dict.fromkeys(proofs)),
    )
