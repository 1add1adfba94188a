"""Remedies and windows, on their hosts."""

from collections.abc import Iterator, Mapping

from agent import errors
from agent.actions import play_tree, play_variables
from agent.model.check import NO_HOST
from agent.model.remedy import Limits, Remedy
from agent.model.window import Window, WindowKind
from agent.policy import references, templates, when
from agent.policy.catalogue import Place
from agent.policy.expand_checks import for_host, paused_until, variables_of
from agent.policy.faults import Fault
from agent.policy.reading import Document
from agent.policy.references import Register
from agent.policy.scene import Hosts, Scene, resolved
from agent.policy.schema import RESERVED, WindowSpec
from agent.policy.schema_items import AroundSpec, LimitSpec, RemedySpec


def remedies(scene: Scene, register: Register, document: Document, wrong: list[Fault]) -> Iterator[Remedy]:
    """All remedies of a document, on all their hosts."""
    for name, spec in document.remedies.items():
        item = f"{document.service}/remedies/{name}"
        if spec is None or not spec.enabled:
            continue
        place = Place(file=document.file, path=("remedies", name))
        check_play(scene, spec, place, wrong)
        _check_proofs(register, spec, item, place, wrong)
        yield from _remedy_on(scene, spec, item, register.remedies.get(item, ()), place, wrong)


def check_play(scene: Scene, spec: RemedySpec | AroundSpec, place: Place, wrong: list[Fault]) -> None:
    """The playbook is there, and takes variables of these names."""
    try:
        play_tree.locate(scene.config.playbooks, spec.playbook)
    except errors.InputError as error:
        wrong.append((place / "playbook").fault(_playbook_message(scene, error)))
    refused = play_variables.check_names(spec.vars)
    wrong += [(place / "vars" / reason.partition(":")[0]).fault(reason, at_key=True) for reason in refused]


def _playbook_message(scene: Scene, error: errors.InputError) -> str:
    folder = scene.config.playbooks
    message = str(error).replace(str(folder), folder.name + "/")
    return message + (f"; {error.hint}" if error.hint else "")


def _check_proofs(register: Register, spec: RemedySpec, item: str, place: Place, wrong: list[Fault]) -> None:
    """Post checks must exist, and be switched on, also when no check asks for the remedy yet."""
    service = item.partition("/")[0]
    for index, text in enumerate(spec.post_checks):
        at = place / "post_checks" / index
        for host in register.remedies.get(item, ())[:1]:
            found = references.check_keys(register, text, service, host, at)
            if isinstance(found, Fault):
                wrong.append(found)
            elif not found and _is_off(register, text, service):
                wrong.append(at.fault(f"check {text!r} is switched off: nothing would prove that this remedy worked"))


def _is_off(register: Register, text: str, service: str) -> bool:
    parts = text.partition("@")[0].split("/")
    document = register.documents.get(parts[0] if len(parts) == 3 else service)
    entry = document.checks.get(parts[-1]) if document is not None else None
    return entry is not None and not entry.spec.enabled


def _remedy_on(
    scene: Scene, spec: RemedySpec, item: str, hosts: Hosts, place: Place, wrong: list[Fault]
) -> Iterator[Remedy]:
    until = paused_until(scene, spec, place, wrong)
    for name in hosts:
        if name is None:
            wrong.append(place.fault("a remedy needs a host: hosts: none is not for it", at_key=True))
            return
        host = scene.snapshot.hosts[name]
        try:
            variables = templates.rendered(spec.vars, variables_of(host))
        except templates.TemplateFault as error:
            wrong.append(for_host((place / "vars").fault(str(error)), host))
            return
        yield Remedy(
            item=item,
            service=item.partition("/")[0],
            host=name,
            playbook=spec.playbook,
            variables=tuple(variables.items()),
            risk=spec.risk,
            mode=spec.mode,
            limits=_limits(spec.limits),
            timeout_seconds=spec.timeout,
            title=spec.title,
            paused_until_us=until,
            paused_why=spec.paused.why if spec.paused is not None else "",
        )


def _limits(spec: LimitSpec) -> Limits:
    ours = Limits()
    return Limits(
        per_host=spec.per_host or ours.per_host,
        per_policy=spec.per_policy or ours.per_policy,
        at_once=spec.at_once or ours.at_once,
        stop_if_failing=ours.stop_if_failing if spec.stop_if_failing is None else spec.stop_if_failing,
        cooldown_seconds=ours.cooldown_seconds if spec.cooldown is None else spec.cooldown,
        same_symptom=spec.same_symptom or ours.same_symptom,
    )


def windows(scene: Scene, document: Document, wrong: list[Fault]) -> Iterator[Window]:
    """The windows of a document."""
    for name, spec in document.windows.items():
        place = Place(file=document.file, path=("windows", name))
        if spec is not None and spec.enabled:
            item = f"{document.service}/windows/{name}"
            yield from _window(scene, spec, item, document.service or "", place, wrong)


def company_windows(scene: Scene, specs: Mapping[str, WindowSpec], file: str, wrong: list[Fault]) -> Iterator[Window]:
    """The windows of config.yaml: their service is "", so they are about every service."""
    for name, spec in specs.items():
        if spec.enabled:
            yield from _window(
                scene, spec, f"{RESERVED}/windows/{name}", "", Place(file=file, path=("windows", name)), wrong
            )


def _window(
    scene: Scene, spec: WindowSpec, item: str, service: str, place: Place, wrong: list[Fault]
) -> Iterator[Window]:
    if spec.hosts == NO_HOST:
        wrong.append((place / "hosts").fault("a window is over hosts; leave hosts out for all checks of the service"))
        return
    hosts = resolved(scene.snapshot, spec.hosts, place / "hosts", wrong) if spec.hosts is not None else ()
    if spec.hosts is not None and not hosts:
        return
    zone = scene.config.timezone
    try:
        start = None if spec.start is None else when.microseconds(spec.start, zone)
        end = None if spec.end is None else when.microseconds(spec.end, zone)
    except ValueError as error:
        wrong.append(place.fault(str(error), at_key=True))
        return
    if start is not None and end is None and spec.for_ is not None:
        end = start + int(spec.for_ * 1_000_000)
    if start is not None and end is not None and end <= start:
        wrong.append((place / "end").fault("this window can never open: its end is not after its start"))
        return
    yield Window(
        item=item,
        service=service,
        kind=WindowKind(spec.kind),
        hosts=hosts,
        every=when.in_zone(spec.every or (), zone),
        duration_seconds=spec.for_ or 0.0,
        start_us=start,
        end_us=end,
        title=spec.title,
    )
