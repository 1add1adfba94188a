"""config.yaml: from its bytes to the agent's configuration, with every error of the file."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from agent.model.config import Backups, Config, Safety, SinkSpec, Team
from agent.model.policy import Problem
from agent.policy import catalogue, faults, repositories, source, wording
from agent.policy.catalogue import Catalogue, Place
from agent.policy.faults import Fault
from agent.policy.reading import modelled, window
from agent.policy.schema import Defaults, WindowSpec, name
from agent.policy.schema_config import ConfigSpec, SafetySpec

_APART = ("sinks", "windows")
_SECRETS = "secrets"  # the folder beside config.yaml


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The configuration, the defaults that policies inherit, and the windows of the whole company."""

    config: Config
    defaults: Defaults
    windows: Mapping[str, WindowSpec]


def settings(path: Path, file: str, data: bytes, known: Catalogue) -> tuple[Settings | None, tuple[Problem, ...]]:
    """The settings of config.yaml's bytes, None when anything in it is wrong."""
    tree = source.read(data)
    problems = [Problem(file=file, line=spot.line, column=spot.column, message=spot.message) for spot in tree.spots]
    found: Settings | None = None
    if tree.root is not None:
        wrong: list[Fault] = []
        found = _contents(path, Place(file=file, path=()), tree.root, known, wrong)
        problems += faults.located(wrong, data)
    return None if problems else found, faults.ordered(problems)


def _contents(path: Path, top: Place, root: source.Node, known: Catalogue, wrong: list[Fault]) -> Settings | None:
    if not isinstance(root, dict):
        wrong.append(top.fault("a mapping is expected here"))
        return None
    spec = modelled(ConfigSpec, {key: value for key, value in root.items() if key not in _APART}, top, wrong, _APART)
    sinks = _sinks(root.get("sinks", {}), top / "sinks", known, wrong)
    windows = _windows(root.get("windows", {}), top / "windows", wrong)
    if spec is None:
        return None
    _cross_check(spec, top, wrong)
    return Settings(config=_config(path, spec, sinks), defaults=spec.defaults, windows=MappingProxyType(windows))


def _config(path: Path, spec: ConfigSpec, sinks: tuple[SinkSpec, ...]) -> Config:
    home = path.parent
    return Config(
        path=path,
        home=home,
        name=spec.name,
        timezone=spec.timezone,
        owner=spec.owner,
        inventory=home / spec.inventory,
        policies=home / spec.policies,
        playbooks=home / spec.playbooks,
        state=home / spec.state,
        secrets=home / _SECRETS,
        teams=MappingProxyType({key: Team(name=key, members=team.members) for key, team in spec.teams.items()}),
        repositories=MappingProxyType(
            {key: repositories.read(key, one, home, spec.timezone) for key, one in spec.repositories.items()}
        ),
        sinks=sinks,
        backups=Backups(
            at_once=spec.backups.at_once, restic=str(home / spec.backups.restic) if spec.backups.restic else ""
        ),
        safety=_safety(spec.safety),
        inventory_every_seconds=spec.inventory_every,
    )


def _safety(spec: SafetySpec) -> Safety:
    cooldown = spec.breaker.cooldown
    if spec.global_ is None:
        return Safety(breaker_cooldown_seconds=cooldown)
    return Safety(global_budget=spec.global_, breaker_cooldown_seconds=cooldown)


def _cross_check(spec: ConfigSpec, top: Place, wrong: list[Fault]) -> None:
    if spec.owner not in spec.teams:
        wrong.append((top / "owner").fault(wording.unknown("team", spec.owner, spec.teams)))
    for key, repository in spec.repositories.items():
        wrong += repositories.faults(repository, top / "repositories" / key)
    used = spec.defaults.backups.repository
    if used is not None and used not in spec.repositories:
        place = top / "defaults" / "backups" / "repository"
        wrong.append(place.fault(wording.unknown("repository", used, spec.repositories)))


def _named(items: source.Node, place: Place, wrong: list[Fault]) -> Mapping[str, source.Node]:
    if items == "":
        return {}
    if not isinstance(items, dict):
        wrong.append(place.fault("a mapping of names is expected here"))
        return {}
    for key in items:
        try:
            name(key)
        except ValueError as error:
            wrong.append((place / key).fault(str(error), at_key=True))
    return items


def _sinks(items: source.Node, place: Place, known: Catalogue, wrong: list[Fault]) -> tuple[SinkSpec, ...]:
    found = []
    for key, item in _named(items, place, wrong).items():
        spec = _sink(key, item, place / key, known.sinks, wrong)
        if spec is not None:
            found.append(spec)
    return tuple(found)


def _sink(key: str, item: source.Node, place: Place, known: Mapping[str, type], wrong: list[Fault]) -> SinkSpec | None:
    if not isinstance(item, dict):
        wrong.append(place.fault(f"a mapping is expected here, with one of {', '.join(known)}"))
        return None
    others = [other for other in item if other not in known]
    wrong += [(place / other).fault(faults.unknown_key(other, known), at_key=True) for other in others]
    kinds = [kind for kind in item if kind in known]
    if len(kinds) != 1 or len(item) != 1:
        if len(kinds) == len(item):
            wrong.append(place.fault(f"exactly one kind of sink is due: one of {', '.join(known)}", at_key=True))
        return None
    kind = kinds[0]
    options, unsound = catalogue.validated(known[kind], kind, item[kind], place / kind)
    wrong += unsound
    return None if options is None else SinkSpec(name=key, kind=kind, options=options)


def _windows(items: source.Node, place: Place, wrong: list[Fault]) -> dict[str, WindowSpec]:
    found = {key: window(item, place / key, wrong) for key, item in _named(items, place, wrong).items()}
    return {key: spec for key, spec in found.items() if spec is not None}
