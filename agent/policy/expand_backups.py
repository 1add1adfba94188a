"""Backups on their hosts."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from agent.closed import ClosedModel
from agent.model.backup import NOWHERE, Backup, DrillPlan, Repository
from agent.model.check import key_of
from agent.model.device import Reaction
from agent.model.host import Connection
from agent.policy import expand_around, expand_copies, repositories, when, wording
from agent.policy.catalogue import Place
from agent.policy.expand_checks import options_for, paused_until
from agent.policy.faults import Fault
from agent.policy.reading import BackupEntry, Document
from agent.policy.scene import Hosts, Scene, hosts_of
from agent.policy.schema import BackupDefaults
from agent.policy.schema_items import BackupSpec, DrillSpec

_TIMEOUT_SECONDS = 14400.0
_DEVICES = "device_config"


def backups(scene: Scene, document: Document, wrong: list[Fault]) -> Iterator[Backup]:
    """All backups of a document, on all their hosts."""
    assert document.header is not None
    for name, entry in document.backups.items():
        place = Place(file=document.file, path=("backups", name))
        if entry is None or not entry.spec.enabled:
            continue
        defaults = (document.header.defaults.backups, scene.defaults.backups)
        plan = _plan(scene, entry, defaults, place, wrong)
        hosts = hosts_of(scene, document.header, entry.spec.hosts, place, wrong)
        expand_around.check(scene, entry.spec, place, wrong)
        if plan is not None:
            whole = dataclasses.replace(
                plan,
                item=f"{document.service}/backups/{name}",
                service=document.service or "",
                kind=entry.kind,
                owner=scene.owner(document.header, entry.spec),
            )
            yield from _backup_on(scene, entry, whole, hosts, place, wrong)


def _plan(
    scene: Scene, entry: BackupEntry, defaults: tuple[BackupDefaults, ...], place: Place, wrong: list[Fault]
) -> Backup | None:
    """A backup as it is on every host; its key, host and options are filled in per host."""
    spec = entry.spec
    words: tuple[BackupSpec | BackupDefaults, ...] = (spec, *defaults)
    repository = _repository(scene, entry, words, place, wrong)
    every = next((word.every for word in words if word.every is not None), None)
    if every is None:
        wrong.append(place.fault("'every' is missing: how often?", at_key=True))
    if repository is None or every is None:
        return None
    zone = scene.config.timezone
    return Backup(
        key="",
        item="",
        service="",
        host="",
        kind="",
        options=None,
        repository=repository,
        every=when.in_zone(every, zone),
        splay_seconds=next((word.splay for word in words if word.splay is not None), 0.0),
        run_missed=next((word.missed for word in words if word.missed is not None), "run_once") == "run_once",
        rpo_seconds=next((word.rpo for word in words if word.rpo is not None), None),
        drill=_drill(spec.drill, zone),
        drift=Reaction(spec.drift or ""),
        timeout_seconds=next((word.timeout for word in words if word.timeout is not None), _TIMEOUT_SECONDS),
        copies=expand_copies.copies(scene, spec, repository, place, wrong),
        keep=expand_copies.keep(scene, spec, repository, place, wrong),
        title=spec.title,
        paused_until_us=paused_until(scene, spec, place, wrong),
        paused_why=spec.paused.why if spec.paused is not None else "",
    )


def _drill(spec: DrillSpec | None, zone: str) -> DrillPlan | None:
    if spec is None:
        return None
    return DrillPlan(
        every=when.in_zone(spec.every, zone),
        contains=spec.contains,
        rto_seconds=spec.rto,
        sample=spec.sample or 0,
        playbook=spec.playbook or "",
    )


def _repository(
    scene: Scene,
    entry: BackupEntry,
    words: tuple[BackupSpec | BackupDefaults, ...],
    place: Place,
    wrong: list[Fault],
) -> Repository | None:
    named = next((word.repository for word in words if word.repository is not None), None)
    known: Mapping[str, Repository] = scene.config.repositories
    keeps_history = getattr(scene.known.engines[entry.kind], "KEEPS_HISTORY", False)
    if entry.spec.drift is not None and not keeps_history:
        wrong.append((place / "drift").fault(f"{entry.kind!r} sees no drift: only a device's configuration has one"))
    if named is None and keeps_history:
        asked = [key for key in ("drill", "copies", "keep") if getattr(entry.spec, key, None)]
        wrong += [(place / key).fault("this is about a repository, and none is named", at_key=True) for key in asked]
        return None if asked else NOWHERE
    if named is None:
        wrong.append(place.fault("'repository' is missing: where to?", at_key=True))
        return None
    if named not in known:
        wrong.append((place / "repository").fault(wording.unknown("repository", named, known)))
    return known.get(named)


def _backup_on(
    scene: Scene, entry: BackupEntry, plan: Backup, hosts: Hosts, place: Place, wrong: list[Fault]
) -> Iterator[Backup]:
    engine: Any = scene.known.engines[entry.kind]
    for name in hosts:
        if name is None:
            wrong.append(place.fault("a backup needs a host: hosts: none is not for it", at_key=True))
            return
        host = scene.snapshot.hosts[name]
        if host.connection not in engine.REACHES:
            message = f"{entry.kind!r} saves {_whom(engine.REACHES)} only, and host {name!r} is another one"
            wrong.append((place / entry.kind).fault(message, at_key=True))
            return
        if why := repositories.names_no_folder((plan.repository, *plan.copies), name):
            wrong.append((place / entry.kind).fault(why, at_key=True))
            return
        options: ClosedModel | None = entry.options
        if options is None:
            options = options_for(engine, entry.kind, entry.given, place / entry.kind, host, wrong)
        if options is None:
            return
        if getattr(options, "run_from", None) == "host" and (why := repositories.cannot_be_lent(plan.repository, host)):
            wrong.append((place / entry.kind / "run_from").fault(why))
            return
        whole = expand_around.on_host(plan, entry.spec, host, place, wrong)
        yield dataclasses.replace(whole, key=key_of(plan.item, name), host=name, options=options)


def _whom(reaches: frozenset[Connection]) -> str:
    """In words, whom an engine gets at."""
    words = {Connection.LOCAL: "this machine", Connection.SSH: "hosts over SSH", Connection.NETWORK_CLI: "devices"}
    return " and ".join(text for connection, text in words.items() if connection in reaches)


def devices_twice(backups: Iterable[Backup], documents: Mapping[str, Document]) -> Iterator[Fault]:
    """A device has one file in the history: two policies for it would overwrite each other's."""
    first: dict[str, Backup] = {}
    for one in backups:
        if one.kind != _DEVICES:
            continue
        other = first.setdefault(one.host, one)
        if other.item != one.item:
            service, _, name = one.item.split("/")
            place = Place(file=documents[service].file, path=("backups", name))
            yield place.fault(f"the configuration of {one.host!r} is kept by {other.item} already", at_key=True)
