"""config.yaml: the agent itself."""

from typing import Literal

from pydantic import Field

from agent.closed import ClosedModel, Count, Flag, SecretRef, Texts
from agent.policy.schema import Defaults, Given, Name, Rate, Span, Version
from agent.policy.when import When, Zone
from agent.units import BudgetText, Duration


class TeamSpec(ClosedModel):
    """A team: gets incidents, and its members can be assigned."""

    members: Texts = ()


class CheckPlanSpec(ClosedModel):
    """When a repository is checked, and within which time every byte of it is read."""

    every: When
    cover: Span = 30 * 86400.0


class PruneSpec(ClosedModel):
    """When what is no longer kept is removed."""

    every: When


class RepositorySpec(ClosedModel):
    """Where restic keeps its data."""

    url: Given | SecretRef
    password: SecretRef
    credentials: dict[Given, SecretRef] = Field(default_factory=dict)
    per_host: Flag = True
    at_once: Count = 4
    limit: Rate | None = None
    lock_wait: Duration = 60.0
    check: CheckPlanSpec | None = None
    prune: PruneSpec | None = None


class BackupsSpec(ClosedModel):
    """Bounds for all backups together, and their program."""

    at_once: Count = 4
    restic: Given | None = None


class BreakerSpec(ClosedModel):
    """How long the breaker rests before one canary is tried."""

    cooldown: Span = 600.0


class SafetySpec(ClosedModel):
    """Bounds that no policy can raise."""

    global_: BudgetText | None = Field(default=None, validation_alias="global")
    breaker: BreakerSpec = BreakerSpec()


class SecretsSpec(ClosedModel):
    """Where secrets come from."""

    from_: tuple[Literal["files"], ...] = Field(default=("files",), validation_alias="from")


class ConfigSpec(ClosedModel):
    """config.yaml without its sinks and windows, which are read one by one."""

    version: Version
    name: Name
    timezone: Zone = "UTC"
    owner: Given
    inventory: Given = "inventory/"
    policies: Given = "policies/"
    playbooks: Given = "playbooks/"
    state: Given = "var/"
    secrets: SecretsSpec = SecretsSpec()
    teams: dict[Name, TeamSpec] = Field(default_factory=dict)
    repositories: dict[Name, RepositorySpec] = Field(default_factory=dict)
    backups: BackupsSpec = BackupsSpec()
    safety: SafetySpec = SafetySpec()
    defaults: Defaults = Defaults()
    inventory_every: Span = 300.0
