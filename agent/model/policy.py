"""The whole standing order: every policy file, expanded over every host, as one immutable set."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from agent.model.backup import Backup
from agent.model.check import Check
from agent.model.config import Config
from agent.model.host import Host
from agent.model.recovery import Recovery
from agent.model.remedy import Remedy
from agent.model.service import Service
from agent.model.window import Window


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One error of one file. Line and column count from 1; 0 when the file as a whole is meant."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.message}"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PolicySet:
    """What is in force. `checks`, `backups` and `recoveries` by key, `remedies` by key (`service/remedies/name@host`).

    The implicit reach checks are among the checks (kind `reach`). `digest` is the hash of everything that went in:
    config, policy files, inventory. `sources` are the policy files, by relative name, as read.
    """

    digest: str
    config: Config
    services: Mapping[str, Service]
    hosts: Mapping[str, Host]
    checks: Mapping[str, Check]
    remedies: Mapping[str, Remedy]
    backups: Mapping[str, Backup]
    recoveries: Mapping[str, Recovery] = dataclasses.field(default_factory=lambda: MappingProxyType({}))
    windows: tuple[Window, ...] = ()
    sources: Mapping[str, bytes] = dataclasses.field(default_factory=lambda: MappingProxyType({}))
