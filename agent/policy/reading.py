"""One policy file: from its bytes to its items, each validated by itself, with every error of the file."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from agent.closed import ClosedModel, Text, Texts
from agent.model.bounds import Bounds
from agent.model.look import Unit
from agent.model.policy import Problem
from agent.policy import catalogue, faults, limits, source, templates
from agent.policy.catalogue import Catalogue, Place
from agent.policy.faults import Fault, Given
from agent.policy.schema import RESERVED, Header, WindowSpec, name, wrong_with
from agent.policy.schema_items import BackupSpec, CheckSpec, RemedySpec
from agent.policy.schema_recoveries import RecoverySpec
from agent.policy.schema_recoveries import wrong_with as wrong_step

SECTIONS = ("checks", "remedies", "backups", "recoveries", "windows")
_MOST_READINGS = 4  # of a file with repeated keys: more errors than anybody reads at once
Model = TypeVar("Model", bound=ClosedModel)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CheckEntry:
    """A check as written. `options`, `warn` and `crit` are None when templates in them wait for a host."""

    spec: CheckSpec
    kind: str
    given: Any
    options: ClosedModel | None
    warn: Bounds | None
    crit: Bounds | None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class BackupEntry:
    """A backup as written; `options` as with checks."""

    spec: BackupSpec
    kind: str
    given: Any
    options: ClosedModel | None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """One file. An item with an error is there, as None: one typo makes one error, not one more at each reference.

    `header` is None when the top of the file has an error. `whole` is False when the file could not be read to its
    end: then it may define anything, under `service` if that much was seen.
    """

    file: str
    data: bytes
    problems: tuple[Problem, ...]
    service: str | None = None
    header: Header | None = None
    whole: bool = True
    checks: Mapping[str, CheckEntry | None] = dataclasses.field(default_factory=dict)
    remedies: Mapping[str, RemedySpec | None] = dataclasses.field(default_factory=dict)
    backups: Mapping[str, BackupEntry | None] = dataclasses.field(default_factory=dict)
    recoveries: Mapping[str, RecoverySpec | None] = dataclasses.field(default_factory=dict)
    windows: Mapping[str, WindowSpec | None] = dataclasses.field(default_factory=dict)


def document(file: str, data: bytes, known: Catalogue) -> Document:
    """The document of a file's bytes; whatever is wrong stands in its problems."""
    tree = source.read(data)
    spots = [Problem(file=file, line=spot.line, column=spot.column, message=spot.message) for spot in tree.spots]
    if tree.root is None:
        return _unfinished(file, data, tree.partial, spots)
    found, wrong = _contents(file, data, tree.root, known)
    problems = spots + faults.located(wrong, data)
    for occurrence in range(1, min(tree.repeats + 1, _MOST_READINGS)):
        again = source.read(data, occurrence=occurrence).root
        if again is not None:
            problems += faults.located(_contents(file, data, again, known)[1], data, occurrence=occurrence)
    return dataclasses.replace(found, problems=faults.ordered(problems))


def _unfinished(file: str, data: bytes, partial: source.Node | None, spots: Iterable[Problem]) -> Document:
    service = partial.get("service") if isinstance(partial, dict) else None
    seen = service if isinstance(service, str) and service else None
    return Document(file=file, data=data, problems=faults.ordered(spots), service=seen, whole=False)


def _contents(file: str, data: bytes, root: source.Node, known: Catalogue) -> tuple[Document, list[Fault]]:
    top = Place(file=file, path=())
    if not isinstance(root, dict):
        return Document(file=file, data=data, problems=(), whole=False), [top.fault("a mapping is expected here")]
    wrong: list[Fault] = []
    header = modelled(Header, {key: value for key, value in root.items() if key not in SECTIONS}, top, wrong, SECTIONS)
    service = root.get("service")
    if service == RESERVED:
        wrong.append((top / "service").fault(f"{RESERVED!r} is the agent's own service: take another name"))
    sections = {section: _section(root, section, top, wrong) for section in SECTIONS}
    found = Document(
        file=file,
        data=data,
        problems=(),
        service=str(service) if isinstance(service, str) else None,
        header=header,
        checks={key: _check(item, at, known, wrong) for key, (item, at) in sections["checks"].items()},
        remedies={key: _remedy(item, at, wrong) for key, (item, at) in sections["remedies"].items()},
        backups={key: _backup(item, at, known, wrong) for key, (item, at) in sections["backups"].items()},
        recoveries={key: _recovery(item, at, wrong) for key, (item, at) in sections["recoveries"].items()},
        windows={key: window(item, at, wrong) for key, (item, at) in sections["windows"].items()},
    )
    return found, wrong


def _section(
    root: Mapping[str, source.Node], section: str, top: Place, wrong: list[Fault]
) -> dict[str, tuple[source.Node, Place]]:
    place = top / section
    items = root.get(section, {})
    if not isinstance(items, dict):
        wrong.append(place.fault("a mapping of names is expected here"))
        return {}
    for key in items:
        try:
            name(key)
        except ValueError as error:
            wrong.append((place / key).fault(str(error), at_key=True))
    return {key: (item, place / key) for key, item in items.items()}


def modelled(
    model: type[Model], given: object, place: Place, wrong: list[Fault], also: Iterable[str] = ()
) -> Model | None:
    """The model of a value, or None, with its errors added to `wrong`."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        wrong += faults.of_model(error, model, Given(value=given, file=place.file, path=place.path, also=tuple(also)))
        return None


def window(item: source.Node, place: Place, wrong: list[Fault]) -> WindowSpec | None:
    """A window, of a policy or of config.yaml."""
    spec = modelled(WindowSpec, item, place, wrong)
    reason = None if spec is None else wrong_with(spec)
    if reason is not None:
        wrong.append(place.fault(reason, at_key=True))
    return spec if reason is None else None


def _remedy(item: source.Node, place: Place, wrong: list[Fault]) -> RemedySpec | None:
    spec = modelled(RemedySpec, item, place, wrong)
    if spec is not None and (mistake := templates.mistake(spec.vars)):
        wrong.append((place / "vars").fault(mistake))
        return None
    return spec


def _recovery(item: source.Node, place: Place, wrong: list[Fault]) -> RecoverySpec | None:
    spec = modelled(RecoverySpec, item, place, wrong)
    known = len(wrong)
    if spec is not None and not spec.steps:
        wrong.append((place / "steps").fault("a recovery needs at least one step"))
    for index, step in enumerate(spec.steps if spec is not None else ()):
        at = place / "steps" / index
        if mistake := wrong_step(step):
            key, why = mistake
            wrong.append((at / key).fault(why, at_key=True) if key else at.fault(why))
        if words := templates.mistake(step.vars):
            wrong.append((at / "vars").fault(words))
    return spec if len(wrong) == known else None


def _kind(
    item: source.Node, family: Mapping[str, type], model: type[Model], what: str, place: Place, wrong: list[Fault]
) -> tuple[Model | None, str | None]:
    if not isinstance(item, dict):
        wrong.append(place.fault("a mapping is expected here"))
        return None, None
    kind, unsure = catalogue.kind_of(item, family, what, model, place)
    rest = {key: value for key, value in item.items() if key not in family}
    spec = modelled(model, rest, place, wrong, family)
    wrong += unsure
    return spec, kind


def _options(
    family: Mapping[str, type], kind: str, given: source.Node, place: Place, wrong: list[Fault]
) -> tuple[ClosedModel | None, bool]:
    """The options, and whether they are sound: sound options that are None wait for a host."""
    if templates.is_template(given):
        mistake = templates.mistake(given)
        if mistake is not None:
            wrong.append(place.fault(mistake))
        return None, mistake is None
    options, unsound = catalogue.validated(family[kind], kind, given, place)
    wrong += unsound
    return options, not unsound


def _check(item: source.Node, place: Place, known: Catalogue, wrong: list[Fault]) -> CheckEntry | None:
    spec, kind = _kind(item, known.probes, CheckSpec, "check", place, wrong)
    if kind is None or not isinstance(item, dict):
        return None
    options, sound = _options(known.probes, kind, item[kind], place / kind, wrong)
    metrics: Mapping[str, Unit] | None = known.probes[kind].METRICS  # type: ignore[attr-defined]  # the Probe protocol
    if spec is None:  # its bounds may be wrong as well, and all errors are told at once
        _bounds_of_a_broken_check(item, metrics, place, wrong)
        return None
    warn = _bounds(spec.warn, metrics, place / "warn", wrong)
    crit = _bounds(spec.crit, metrics, place / "crit", wrong)
    if not sound or isinstance(warn, Fault) or isinstance(crit, Fault):
        return None
    return CheckEntry(spec=spec, kind=kind, given=item[kind], options=options, warn=warn, crit=crit)


def _bounds_of_a_broken_check(
    item: Mapping[str, source.Node], metrics: Mapping[str, Unit] | None, place: Place, wrong: list[Fault]
) -> None:
    for key in ("warn", "crit"):
        try:
            given = TypeAdapter(dict[Text, Texts]).validate_python(item.get(key, {}))
        except ValidationError:
            continue  # its shape is wrong: that has been told
        _bounds(given, metrics, place / key, wrong)


def _bounds(
    given: Mapping[str, tuple[str, ...]], metrics: Mapping[str, Unit] | None, place: Place, wrong: list[Fault]
) -> Bounds | Fault | None:
    """The bounds; None when they wait for a host; the first fault when they are wrong."""
    if not given:
        return ()
    if templates.is_template(given):
        mistake = templates.mistake(given)
        if mistake is None:
            return None
        wrong.append(place.fault(mistake))
        return wrong[-1]
    found, unsound = limits.bounds(given, metrics, place)
    wrong += unsound
    return unsound[0] if unsound else found


def _backup(item: source.Node, place: Place, known: Catalogue, wrong: list[Fault]) -> BackupEntry | None:
    spec, kind = _kind(item, known.engines, BackupSpec, "backup", place, wrong)
    if kind is None or not isinstance(item, dict):
        return None
    options, sound = _options(known.engines, kind, item[kind], place / kind, wrong)
    if spec is None or not sound:
        return None
    return BackupEntry(spec=spec, kind=kind, given=item[kind], options=options)
