"""Recoveries on their hosts, and on the scratch hosts where they are rehearsed; nothing of worth is ever overwritten."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

from agent import errors
from agent.actions import play_tree, play_variables
from agent.model.backup import Backup
from agent.model.check import NO_HOST, Check, host_of, item_of, key_of
from agent.model.host import Connection, Host
from agent.model.recovery import Recovery, Scratch, Step
from agent.policy import expand_checks, references, templates, when, wording
from agent.policy.catalogue import Place
from agent.policy.expand_checks import for_host, paused_until, variables_of
from agent.policy.faults import Fault
from agent.policy.reading import Document
from agent.policy.references import Register
from agent.policy.scene import Scene, hosts_of, resolved
from agent.policy.schema_recoveries import RecoverySpec, StepSpec

_IN_PLACE = "files"  # what this engine saves has places to go back to
_PLAY_SECONDS = 1800.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Frame:
    """What the expansion of one recovery looks at."""

    scene: Scene
    register: Register
    backups: Mapping[str, Backup]
    document: Document
    place: Place


def recoveries(
    scene: Scene, register: Register, document: Document, backups: Iterable[Backup], wrong: list[Fault]
) -> Iterator[Recovery]:
    """All recoveries of a document, on all their hosts; `backups` are those of all documents."""
    assert document.header is not None
    by_key = {backup.key: backup for backup in backups}
    for name, spec in document.recoveries.items():
        if spec is None or not spec.enabled:
            continue
        place = Place(file=document.file, path=("recoveries", name))
        frame = _Frame(scene=scene, register=register, backups=by_key, document=document, place=place)
        hosts = hosts_of(scene, document.header, spec.hosts, place, wrong)
        known = len(wrong)
        _check_plays(frame, spec, wrong)
        scratch = _scratch_hosts(frame, spec, tuple(host for host in hosts if host), wrong)
        for host in hosts:
            if host is None:
                wrong.append(place.fault("a recovery needs a host: hosts: none is not for it", at_key=True))
                break
            recovery = _on(frame, spec, f"{document.service}/recoveries/{name}", host, wrong)
            recovery = dataclasses.replace(recovery, scratch=tuple(_scratch(frame, spec, recovery, scratch, wrong)))
            if len(wrong) > known:
                break  # the first host that shows an error is enough
            yield recovery


def _on(frame: _Frame, spec: RecoverySpec, item: str, host: str, wrong: list[Fault]) -> Recovery:
    header, zone = frame.document.header, frame.scene.config.timezone
    assert header is not None
    rehearse = spec.rehearse
    return Recovery(
        key=key_of(item, host),
        item=item,
        service=frame.document.service or "",
        host=host,
        steps=_steps(frame, spec, host, host, wrong),
        verify=_verified(frame, spec, host, wrong),
        verify_within_seconds=spec.verify_within,
        rto_seconds=spec.rto,
        every=when.in_zone(rehearse.every, zone) if rehearse is not None and rehearse.every is not None else (),
        title=spec.title,
        owner=frame.scene.owner(header, spec),
        paused_until_us=paused_until(frame.scene, spec, frame.place, wrong),
        paused_why=spec.paused.why if spec.paused is not None else "",
    )


def _check_plays(frame: _Frame, spec: RecoverySpec, wrong: list[Fault]) -> None:
    """What is wrong with the steps on every host."""
    for index, step in enumerate(spec.steps):
        place = frame.place / "steps" / index
        if step.playbook is None:
            continue
        try:
            play_tree.locate(frame.scene.config.playbooks, step.playbook)
        except errors.InputError as error:
            folder = frame.scene.config.playbooks
            words = str(error).replace(str(folder), folder.name + "/")
            wrong.append((place / "playbook").fault(words + (f"; {error.hint}" if error.hint else "")))
        refused = play_variables.check_names(step.vars)
        wrong += [(place / "vars" / why.partition(":")[0]).fault(why, at_key=True) for why in refused]


def _steps(frame: _Frame, spec: RecoverySpec, host: str, onto: str, wrong: list[Fault]) -> tuple[Step, ...]:
    """The steps that recover `host`, as they are carried out on `onto`."""
    made: list[Step] = []
    for index, step in enumerate(spec.steps):
        place = frame.place / "steps" / index
        one = _play(frame, step, onto, place, wrong) if step.playbook else _restore(frame, step, host, place, wrong)
        if one is not None:
            made.append(one)
    return tuple(made)


def _play(frame: _Frame, step: StepSpec, onto: str, place: Place, wrong: list[Fault]) -> Step | None:
    host = frame.scene.snapshot.hosts[onto]
    try:
        variables = templates.rendered(step.vars, variables_of(host))
    except templates.TemplateFault as error:
        wrong.append(for_host((place / "vars").fault(str(error)), host))
        return None
    return Step(
        name=f"playbook {step.playbook}", playbook=step.playbook or "", variables=tuple(variables.items()),
        timeout_seconds=step.timeout or _PLAY_SECONDS,
    )  # fmt: skip


def _restore(frame: _Frame, step: StepSpec, host: str, place: Place, wrong: list[Fault]) -> Step | None:
    text = step.restore or ""
    backup = _backup(frame, text, host, place / "restore", wrong)
    if backup is None:
        return None
    if backup.kind == "device_config":
        wrong.append((place / "restore").fault(f"{text!r} is a device's configuration: a playbook brings it back"))
        return None
    if backup.kind != _IN_PLACE and step.to is None:
        wrong.append((place / "restore").fault(f"{text!r} has no place of its own: say to which folder, `to: /…`"))
        return None
    return Step(
        name=f"restore {text}", backup=backup.key, include=step.include, to=step.to or "",
        timeout_seconds=backup.timeout_seconds,
    )  # fmt: skip


def _backup(frame: _Frame, text: str, host: str, place: Place, wrong: list[Fault]) -> Backup | None:
    """The backup that a step names, seen from a host; None with a fault, or where its own file has one already."""
    named, at, other = text.partition("@")
    parts = named.split("/")
    if len(parts) not in {2, 3} or not all(parts) or parts[-2] != "backups":
        wrong.append(place.fault(f"{wording.quoted(text)} is not a backup: write it like backups/files"))
        return None
    service = parts[0] if len(parts) == 3 else frame.document.service or ""
    document = frame.scene.documents.get(service)
    if document is None:
        if not frame.scene.is_open:
            wrong.append(place.fault(wording.unknown("service", service, frame.scene.documents)))
        return None
    if parts[-1] not in document.backups:
        if document.whole:
            wrong.append(place.fault(wording.unknown("backup", parts[-1], document.backups)))
        return None
    item = f"{service}/backups/{parts[-1]}"
    found = frame.backups.get(key_of(item, other if at else host))
    known = sorted(backup.host for backup in frame.backups.values() if backup.item == item)
    if found is None and known:
        wanted = other if at else host
        wrong.append(place.fault(f"{named!r} does not save {wanted}; it saves {', '.join(known)}: name one by @HOST"))
    elif found is None and document.backups[parts[-1]] is not None:
        wrong.append(place.fault(f"{named!r} is switched off, or saves no host"))
    return found


def _verified(frame: _Frame, spec: RecoverySpec, host: str, wrong: list[Fault]) -> tuple[str, ...]:
    keys: list[str] = []
    for index, text in enumerate(spec.verify):
        at = frame.place / "verify" / index
        found = references.check_keys(frame.register, text, frame.document.service or "", host, at)
        if isinstance(found, Fault):
            wrong.append(found)
        else:
            keys += found
    return tuple(dict.fromkeys(keys))


# scratch hosts


def _scratch_hosts(frame: _Frame, spec: RecoverySpec, hosts: tuple[str, ...], wrong: list[Fault]) -> tuple[Host, ...]:
    """Where it may be rehearsed: reached over SSH, not recovered by this, saved by no backup, at no such address."""
    if spec.rehearse is None:
        return ()
    place = frame.place / "rehearse" / "on"
    if spec.rehearse.on == NO_HOST:
        wrong.append(place.fault("a rehearsal needs a host"))
        return ()
    names = resolved(frame.scene.snapshot, spec.rehearse.on, place, wrong)
    saved = {backup.host for backup in frame.backups.values()}
    inventory = frame.scene.snapshot.hosts
    taken = {(inventory[name].address, inventory[name].port): name for name in {*saved, *hosts} if name in inventory}
    for name in names:
        host = inventory[name]
        if why := _not_scratch(host, hosts, saved, taken):
            wrong.append(place.fault(f"{name!r} is no host to rehearse on: {why}"))
    return tuple(inventory[name] for name in names)


def _not_scratch(host: Host, hosts: tuple[str, ...], saved: set[str], taken: Mapping[tuple[str, int], str]) -> str:
    if host.name in hosts:
        return "it is one of those that this recovers"
    if host.name in saved:
        return "a backup saves it, so it holds something of worth"
    if host.connection is not Connection.SSH:
        return "it is not reached over SSH"
    if other := taken.get((host.address, host.port)):
        return f"it is at the address of {other}"
    return ""


def _scratch(
    frame: _Frame, spec: RecoverySpec, recovery: Recovery, hosts: tuple[Host, ...], wrong: list[Fault]
) -> Iterator[Scratch]:
    for host in hosts:
        known = len(wrong)
        steps = _steps(frame, spec, recovery.host, host.name, wrong)
        checks = tuple(_check_there(frame, key, host, wrong) for key in recovery.verify)
        if len(wrong) > known:
            return
        yield Scratch(host=host.name, steps=steps, verify=tuple(check for check in checks if check is not None))


def _check_there(frame: _Frame, key: str, host: Host, wrong: list[Fault]) -> Check | None:
    """A check as it would be on a scratch host; one that looks at a fixed thing would prove nothing there."""
    place = frame.place / "verify"
    item = item_of(key)
    if host_of(key) is None:
        wrong.append(place.fault(f"{item!r} is about no host: it cannot prove a rehearsal on {host.name}"))
        return None
    return expand_checks.elsewhere(frame.scene, frame.register, item, host, wrong)
