"""The agent's own configuration, validated."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from agent.model.backup import Repository
from agent.model.remedy import Budget

GLOBAL_BUDGET = Budget(count=20, seconds=3600)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SinkSpec:
    """One place where incidents are also filed: `options` is the validated model of its kind."""

    name: str
    kind: str
    options: object


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Team:
    """Who can own and be assigned."""

    name: str
    members: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Safety:
    """Company-wide bounds that no policy can raise."""

    global_budget: Budget = GLOBAL_BUDGET
    breaker_cooldown_seconds: float = 600.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Backups:
    """What holds for all backups: how many jobs at a time, and which restic (empty: the one on PATH)."""

    at_once: int = 4
    restic: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """config.yaml. Paths are absolute; `home` is the folder of the file itself."""

    path: Path
    home: Path
    name: str
    timezone: str
    owner: str
    inventory: Path
    policies: Path
    playbooks: Path
    state: Path
    secrets: Path
    teams: Mapping[str, Team] = dataclasses.field(default_factory=lambda: MappingProxyType({}))
    repositories: Mapping[str, Repository] = dataclasses.field(default_factory=lambda: MappingProxyType({}))
    sinks: tuple[SinkSpec, ...] = ()
    backups: Backups = Backups()
    safety: Safety = Safety()
    inventory_every_seconds: float = 300.0
