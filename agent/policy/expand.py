"""Policies times inventory: every item on every one of its hosts, as one immutable set, or everything that is wrong."""

import dataclasses
import hashlib
import itertools
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from agent.model.backup import Backup
from agent.model.cadence import Every
from agent.model.check import Check, Rules, RunFrom, host_of, item_of, key_of, reach_key
from agent.model.config import Config
from agent.model.host import Connection
from agent.model.policy import PolicySet
from agent.model.recovery import Recovery
from agent.model.remedy import Remedy
from agent.model.service import Service
from agent.model.window import Window
from agent.policy import (
    expand_actions,
    expand_around,
    expand_backups,
    expand_checks,
    expand_recoveries,
    references,
    watching,
    wording,
)
from agent.policy.catalogue import Place
from agent.policy.faults import Fault
from agent.policy.reading import Document
from agent.policy.references import Register
from agent.policy.scene import Hosts, Pace, Scene, enabled_checks, hosts_of, pace, resolved
from agent.policy.schema import RESERVED, CheckDefaults, Item, WindowSpec

REACH = "reach"  # the kind of the implicit check of a host's connection


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Expansion:
    """What came out. The set is complete and sound only when there are no faults."""

    checks: Mapping[str, Check]
    remedies: Mapping[str, Remedy]
    backups: Mapping[str, Backup]
    recoveries: Mapping[str, Recovery]
    windows: tuple[Window, ...]
    services: Mapping[str, Service]
    faults: tuple[Fault, ...]


def expand(scene: Scene, windows: Mapping[str, WindowSpec], config_file: str) -> Expansion:
    """Every document on every host; `windows` are those of config.yaml."""
    wrong: list[Fault] = []
    register = _register(scene, wrong)
    whole = [document for document in scene.documents.values() if document.header is not None]
    checks: list[Check] = []
    remedies: list[Remedy] = []
    backups: list[Backup] = []
    spans = list(expand_actions.company_windows(scene, windows, config_file, wrong))
    for document in whole:
        _check_top(scene, document, wrong)
        remedies += expand_actions.remedies(scene, register, document, wrong)
        backups += expand_backups.backups(scene, document, wrong)
        spans += expand_actions.windows(scene, document, wrong)
    lines = _lines(scene, register, itertools.chain((r.host for r in remedies), (b.host for b in backups)))
    for document in whole:
        checks += expand_checks.checks(scene, register, document, lines, wrong)
    backups = list(expand_around.in_windows(backups, spans, scene.documents, wrong))
    wrong += _circles(scene, checks)
    wrong += expand_backups.devices_twice(backups, scene.documents)
    recoveries = [
        recovery
        for document in whole
        for recovery in expand_recoveries.recoveries(scene, register, document, backups, wrong)
    ]
    checks += watching.checks(backups, recoveries, scene.config.owner)
    reach = _reach(scene, checks, lines)
    by_key = {check.key: check for check in (*reach, *checks)}
    return Expansion(
        checks=MappingProxyType(by_key),
        remedies=MappingProxyType({key_of(remedy.item, remedy.host): remedy for remedy in remedies}),
        backups=MappingProxyType({backup.key: backup for backup in backups}),
        recoveries=MappingProxyType({recovery.key: recovery for recovery in recoveries}),
        windows=tuple(spans),
        services=MappingProxyType(_services(scene, whole, by_key)),
        faults=tuple(dict.fromkeys(wrong)),
    )


def policy_set(scene: Scene, expansion: Expansion, sources: Mapping[str, bytes]) -> PolicySet:
    """The standing order made of an expansion without faults."""
    return PolicySet(
        digest=_digest(sources, scene.snapshot.digest),
        config=scene.config,
        services=expansion.services,
        hosts=MappingProxyType(dict(scene.snapshot.hosts)),
        checks=expansion.checks,
        remedies=expansion.remedies,
        backups=expansion.backups,
        recoveries=expansion.recoveries,
        windows=expansion.windows,
        sources=MappingProxyType(dict(sources)),
    )


def _digest(sources: Mapping[str, bytes], inventory: str) -> str:
    digest = hashlib.sha256(inventory.encode())
    for name in sorted(sources):
        digest.update(f"\0{name}\0{len(sources[name])}\0".encode())
        digest.update(sources[name])
    return digest.hexdigest()


def _register(scene: Scene, wrong: list[Fault]) -> Register:
    """Where every check and every remedy stands, before any of them refers to another."""
    checks: dict[str, Hosts] = {}
    remedies: dict[str, Hosts] = {}
    paces: dict[str, Pace] = {}
    for document in scene.documents.values():
        header = document.header
        if header is None:
            continue
        for name, entry in enabled_checks(document):
            item = f"{document.service}/checks/{name}"
            place = Place(file=document.file, path=("checks", name))
            checks[item] = hosts_of(scene, header, entry.spec.hosts, place, wrong)
            paces[item] = scene.pace(header, entry.spec)
        for name, remedy in document.remedies.items():
            if remedy is not None and remedy.enabled:
                place = Place(file=document.file, path=("remedies", name))
                remedies[f"{document.service}/remedies/{name}"] = hosts_of(scene, header, remedy.hosts, place, wrong)
    return Register(documents=scene.documents, is_open=scene.is_open, checks=checks, remedies=remedies, paces=paces)


def _check_top(scene: Scene, document: Document, wrong: list[Fault]) -> None:
    """What the top of a file, and the owners of its items, refer to."""
    header = document.header
    assert header is not None
    top = Place(file=document.file, path=())
    if header.hosts is not None and header.hosts != "none":
        resolved(scene.snapshot, header.hosts, top / "hosts", wrong)
    for index, service in enumerate(header.depends_on):
        if service not in scene.documents and not scene.is_open:
            message = wording.unknown("service", service, scene.documents)
            wrong.append((top / "depends_on" / index).fault(message))
    owners = [(top, header.owner)]
    owners += [(top / section / name, item.owner) for section, name, item in _items(document)]
    for place, owner in owners:
        if owner is not None and owner not in scene.config.teams:
            wrong.append((place / "owner").fault(wording.unknown("team", owner, scene.config.teams)))


def _items(document: Document) -> Iterable[tuple[str, str, Item]]:
    found: list[tuple[str, str, Item]] = []
    found += [("checks", name, entry.spec) for name, entry in document.checks.items() if entry is not None]
    found += [("remedies", name, spec) for name, spec in document.remedies.items() if spec is not None]
    found += [("backups", name, entry.spec) for name, entry in document.backups.items() if entry is not None]
    found += [("recoveries", name, spec) for name, spec in document.recoveries.items() if spec is not None]
    return found


def _circles(scene: Scene, checks: Collection[Check]) -> Iterable[Fault]:
    """Checks that wait for each other, and services that depend on each other, would never be judged."""
    counting = {check.key for check in checks if check.members}
    needs = {check.key: (*check.rules.needs, *check.members) for check in checks if check.rules.needs or check.members}
    told: set[frozenset[str]] = set()
    for keys in references.circles(needs):
        items = frozenset(map(item_of, keys))
        if items in told:
            continue  # the same circle on another host
        told.add(items)
        service, _, name = item_of(keys[0]).split("/")
        link = "quorum" if keys[0] in counting else "needs"
        place = Place(file=scene.documents[service].file, path=("checks", name, link))
        what = "needs and quorums" if counting.intersection(keys) else "needs"
        yield place.fault(f"{what} form a circle: {' → '.join(keys)}", at_key=True)
    depends = {name: one.header.depends_on for name, one in scene.documents.items() if one.header is not None}
    for names in references.circles(depends):
        place = Place(file=scene.documents[names[0]].file, path=("depends_on",))
        yield place.fault(f"services depend on each other in a circle: {' → '.join(names)}", at_key=True)


def _reach(scene: Scene, checks: Iterable[Check], hosts: Iterable[str]) -> list[Check]:
    """One check per host that is reached over a transport, as often as its fastest check."""
    fastest: dict[str, float] = {}
    for check in checks:
        if check.host is not None:
            seconds = min((rule.seconds for rule in check.every if isinstance(rule, Every)), default=None)
            if seconds is not None:
                fastest[check.host] = min(seconds, fastest.get(check.host, seconds))
    usual = pace(CheckDefaults(), (scene.defaults.checks,), scene.config.timezone)
    return [_reach_of(scene.config, name, usual, fastest.get(name)) for name in sorted(hosts)]


def _lines(scene: Scene, register: Register, changed: Iterable[str]) -> set[str]:
    """The hosts to which a line is kept: something logs in there, not only the agent that asks by SNMP or the like.

    To change a host, or to save it, also means to log in; to a device that happens too rarely to watch its line.
    """
    asked = {
        host
        for document in scene.documents.values()
        for name, entry in enabled_checks(document)
        if expand_checks.stands(scene, entry) is RunFrom.HOST
        for host in register.checks.get(f"{document.service}/checks/{name}", ())
        if host is not None
    }
    kept = {host: scene.snapshot.hosts[host].connection for host in asked.union(changed)}
    return {
        host
        for host, connection in kept.items()
        if connection is Connection.SSH or (connection is Connection.NETWORK_CLI and host in asked)
    }


def _reach_of(config: Config, host: str, usual: Pace, seconds: float | None) -> Check:
    key = reach_key(host)
    every = usual.every if seconds is None else (Every(seconds=seconds),)
    retry = usual.retry_seconds if seconds is None else min(usual.retry_seconds, seconds)
    return Check(
        key=key,
        item=key.rpartition("@")[0],
        service=RESERVED,
        host=host,
        kind=REACH,
        options=None,
        run_from=RunFrom.AGENT,
        every=every,
        timeout_seconds=usual.timeout_seconds,
        retry_every_seconds=retry,
        rules=Rules(key=key, fail_after=usual.fail_after, recover_after=usual.recover_after),
        title="Connection to the host",
        owner=config.owner,
    )


def _services(scene: Scene, documents: Iterable[Document], checks: Mapping[str, Check]) -> dict[str, Service]:
    """The services by name; the agent itself is one of them. Hosts: the top's, else those that its checks are about."""
    own: dict[str, dict[str, None]] = {}
    for key, check in checks.items():
        host = host_of(key)
        if host is not None:
            own.setdefault(check.service, {})[host] = None
    services = {RESERVED: Service(name=RESERVED, title="Watchkeeper", owner=scene.config.owner)}
    for document in documents:
        header = document.header
        assert header is not None
        named = scene.snapshot.patterns.get(header.hosts, ()) if header.hosts is not None else ()
        services[header.service] = Service(
            name=header.service,
            title=header.title,
            description=header.description,
            owner=scene.owner(header),
            importance=header.importance,
            depends_on=header.depends_on,
            min_healthy=header.min_healthy,
            hosts=named or tuple(own.get(header.service, ())),
            labels=tuple(header.labels.items()),
        )
    return services
