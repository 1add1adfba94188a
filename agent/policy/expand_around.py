"""What a backup says of its surroundings: playbooks before and after it, when it is left out, tried again, or may begin."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

from agent.model.backup import Around, Backup, Retries
from agent.model.host import Connection, Host
from agent.model.window import Window, WindowKind
from agent.policy import expand_actions, templates, wording
from agent.policy.catalogue import Place
from agent.policy.expand_checks import for_host, variables_of
from agent.policy.faults import Fault
from agent.policy.reading import Document
from agent.policy.scene import Scene
from agent.policy.schema import RESERVED
from agent.policy.schema_items import AroundSpec, BackupSpec


def check(scene: Scene, spec: BackupSpec, place: Place, wrong: list[Fault]) -> None:
    """What is the same on every host: the playbooks are there, and take their variables."""
    for name, around in (("prepare", spec.prepare), ("cleanup", spec.cleanup)):
        if around is not None:
            expand_actions.check_play(scene, around, place / name, wrong)
    if spec.drill is not None and spec.drill.playbook is not None:
        expand_actions.check_play(scene, AroundSpec(playbook=spec.drill.playbook), place / "drill", wrong)


def on_host(plan: Backup, spec: BackupSpec, host: Host, place: Place, wrong: list[Fault]) -> Backup:
    """The plan with what it says for this host."""
    if spec.skip_unless is not None and host.connection is Connection.NETWORK_CLI:
        message = f"host {host.name!r} is a device: it has no shell to ask"
        wrong.append((place / "skip_unless").fault(message, at_key=True))
    retries = spec.retries
    return dataclasses.replace(
        plan,
        prepare=_around(spec.prepare, host, place / "prepare", wrong),
        cleanup=_around(spec.cleanup, host, place / "cleanup", wrong),
        skip_unless=spec.skip_unless or "",
        retries=Retries(attempts=retries.attempts, pause_seconds=retries.pause) if retries else Retries(),
        window=spec.window or "",
    )


def _around(spec: AroundSpec | None, host: Host, place: Place, wrong: list[Fault]) -> Around | None:
    if spec is None:
        return None
    try:
        variables = templates.rendered(spec.vars, variables_of(host))
    except templates.TemplateFault as error:
        wrong.append(for_host((place / "vars").fault(str(error)), host))
        return None
    return Around(playbook=spec.playbook, variables=tuple(variables.items()), timeout_seconds=spec.timeout)


def in_windows(
    backups: Iterable[Backup], windows: Sequence[Window], documents: Mapping[str, Document], wrong: list[Fault]
) -> Iterator[Backup]:
    """The backups with the window that each of them names: its service's own, else that of config.yaml."""
    known = {window.item: window for window in windows}
    for one in backups:
        if not one.window:
            yield one
            continue
        _, _, name = one.item.split("/", 2)
        place = Place(file=documents[one.service].file, path=("backups", name, "window"))
        items = (one.window, f"{one.service}/windows/{one.window}", f"{RESERVED}/windows/{one.window}")
        found = next((known[item] for item in items if item in known), None)
        if found is None:
            names = [item.rpartition("/")[2] for item in known if item.split("/")[0] in {one.service, RESERVED}]
            wrong.append(place.fault(wording.unknown("window", one.window, names)))
        elif found.kind is not WindowKind.BACKUP:
            wrong.append(
                place.fault(f"{one.window!r} is a window of kind {found.kind}: for a backup it is kind: backup")
            )
        elif found.hosts and one.host not in found.hosts:
            wrong.append(place.fault(f"{one.window!r} never opens for host {one.host!r}: see its hosts"))
        else:
            yield dataclasses.replace(one, window=found.item)
