"""config.yaml: the agent itself."""

from typing import Literal

from pydantic import Field

from agent.closed import ClosedModel, SecretRef, Texts
from agent.policy.schema import Defaults, Given, Name, Span, Version
from agent.policy.when import Zone
from agent.units import BudgetText


class TeamSpec(ClosedModel):
    """A team: gets incidents, and its members can be assigned."""

    members: Texts = ()


class RepositorySpec(ClosedModel):
    """Where restic keeps its data."""

    url: Given
    password: SecretRef


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
    safety: SafetySpec = SafetySpec()
    defaults: Defaults = Defaults()
    inventory_every: Span = 300.0
