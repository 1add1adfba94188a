"""The section `recoveries` of a policy file: what is done in which order, what proves it, where it is rehearsed."""

from typing import Annotated

from pydantic import AfterValidator, Field

from agent.closed import ClosedModel, FreeMap, Texts
from agent.policy.schema import Given, Item, Span
from agent.policy.when import When


def _full(path: str) -> str:
    if not path.startswith("/") or "\0" in path or "//" in path or {"..", "."} & set(path.split("/")):
        raise ValueError(f"{path!r} is no full path: write it like /srv/shop")
    return path.rstrip("/") or "/"


def _below(path: str) -> str:
    if _full(path).count("/") < 2:
        raise ValueError(f"{path!r} is too near the top: name a folder of its own, like /var/lib/restored")
    return _full(path)


def _all_full(paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_full(path) for path in paths)


class StepSpec(ClosedModel):
    """One step: `restore` a backup, or run a `playbook`."""

    restore: Given | None = Field(default=None, description="a backup: backups/files")
    include: Annotated[Texts, AfterValidator(_all_full)] = Field(default=(), description="of the backup, this alone")
    to: Annotated[Given, AfterValidator(_below)] | None = Field(
        default=None, description="below this folder of the host instead of in place"
    )
    playbook: Given | None = None
    vars: FreeMap = Field(default_factory=dict)
    timeout: Span | None = None


class RehearseSpec(ClosedModel):
    """Where it is rehearsed: hosts that hold nothing of worth; and when."""

    on: Given = Field(description="an Ansible host pattern: hosts that may be overwritten")
    every: When | None = None


class RecoverySpec(Item):
    """How a service is brought back on a host."""

    steps: tuple[StepSpec, ...]
    verify: Texts = ()
    verify_within: Span = 300.0
    rto: Span | None = None
    rehearse: RehearseSpec | None = None


def wrong_with(step: StepSpec) -> tuple[str, str] | None:
    """The key that makes a step nonsense, and why; None when it makes sense."""
    if (step.restore is None) == (step.playbook is None):
        return ("playbook" if step.restore else "", "a step has one thing to do: restore or playbook")
    if step.restore is not None and step.vars:
        return ("vars", "vars are for a playbook")
    if step.restore is not None and step.timeout is not None:
        return ("timeout", "a restore has the timeout of its backup")
    if step.playbook is not None and step.to is not None:
        return ("to", "to is for a restore")
    if step.playbook is not None and step.include:
        return ("include", "include is for a restore")
    return None
