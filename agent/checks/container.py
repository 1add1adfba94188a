"""check: container — does a container run, and does it find itself healthy?

What docker-inspect(1) or podman-inspect(1) tells of its state; by the command line, so that whoever the agent logs in as
needs the right to use it (the group docker, or root's podman). `health` is what the container's own health check says,
or none; `restarts` how often the engine has started it anew. Critical unless it runs, and when it is unhealthy; a
warning while it starts, restarts or is paused. Unknown without an engine, or without the right to ask it.
"""

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, field_validator

from agent.checks import check
from agent.checks.reading import one_line, told
from agent.closed import ClosedModel, Text
from agent.model.check import RunFrom
from agent.model.look import Look, Measure, Section, Unit, Verdict

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}\Z")  # of Docker and Podman; an id fits too
_ENGINES = ("any", "docker", "podman")
_ABSENT = re.compile(r"no such (?:container|object)", re.IGNORECASE)
_ON_ITS_WAY = frozenset({"restarting", "paused", "created", "initialized", "removing", "stopping"})


class ContainerOptions(ClosedModel):
    """Which container, of which engine."""

    name: Text = Field(description="Name or id of the container")
    engine: Text = Field(default="any", description="docker, podman, or any: the one that the host has, docker first")

    @field_validator("name")
    @classmethod
    def _is_name(cls, name: str) -> str:
        if _NAME.match(name) is None:
            raise ValueError(f"{name!r} is not the name of a container")
        return name

    @field_validator("engine")
    @classmethod
    def _is_engine(cls, engine: str) -> str:
        if engine not in _ENGINES:
            raise ValueError(f"{engine!r} is not one of: {', '.join(_ENGINES)}")
        return engine


@check("container")
class Container:
    """One container of Docker or Podman."""

    OPTIONS: ClassVar = ContainerOptions
    SHORT: ClassVar = "name"
    METRICS: ClassVar[Mapping[str, Unit]] = {"state": Unit.TEXT, "health": Unit.TEXT, "restarts": Unit.NUMBER}
    RUN_FROM: ClassVar = RunFrom.HOST
    INSTANCES: ClassVar = False

    @staticmethod
    def script(options: ContainerOptions) -> str:
        """One inspect; its State alone comes back."""
        engines = "docker podman" if options.engine == "any" else options.engine
        what = '\'{"state": {{json .State}}, "restarts": {{json .RestartCount}}}\''
        inspect = f"$engine inspect --type container --format {what} {shlex.quote(options.name)} 2>&1"
        loop = f"for engine in {engines}; do command -v $engine >/dev/null 2>&1 || continue; {inspect}; exit; done"
        return f"LC_ALL=C; export LC_ALL\n{loop}\necho 'this host has no container engine'; exit 127\n"

    @staticmethod
    def read(section: Section, options: ContainerOptions) -> Look:
        """One object of JSON."""
        text = section.text
        if section.timed_out:
            return told(Verdict.UNKNOWN, f"{options.name}: the engine did not answer in time")
        if _ABSENT.search(text) and section.exit_code != 0:
            return told(Verdict.CRITICAL, f"{options.name}: there is no such container", evidence=text)
        found = _object(text)
        state = found.get("state")
        if section.exit_code != 0 or not isinstance(state, dict) or not isinstance(state.get("Status"), str):
            words = one_line(text) or f"exit {section.exit_code}"
            return told(Verdict.UNKNOWN, f"{options.name}: cannot be inspected: {words}", evidence=text)
        return _judged(options.name, state, found.get("restarts"))


def _object(text: str) -> Mapping[str, Any]:
    """The line that is JSON: engines print warnings before it."""
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                return {}
            return found if isinstance(found, dict) else {}
    return {}


def _judged(name: str, state: Mapping[str, Any], restarts: object) -> Look:
    status = one_line(state["Status"], 40).lower() or "unknown"
    check_up = state.get("Health") or state.get("Healthcheck")  # Podman before 4.0 called it by the second name
    health = _word(check_up.get("Status") if isinstance(check_up, dict) else None)
    counted = float(restarts) if isinstance(restarts, int) and 0 <= restarts < 1e9 else 0.0
    metrics: dict[str, Measure] = {"state": status, "health": health, "restarts": counted}
    verdict, words = _verdict(status, health)
    if status not in {"running", "created"} and isinstance(state.get("ExitCode"), int):
        words += f", exit {one_line(str(state['ExitCode']), 20)}"
    if state.get("OOMKilled") is True:
        words += ", killed for want of memory"
    if isinstance(state.get("Error"), str) and state["Error"]:
        words += f": {one_line(state['Error'], 80)}"
    return told(verdict, f"{name}: {words}", metrics=metrics)


def _word(health: object) -> str:
    return one_line(health, 40).lower() or "none" if isinstance(health, str) else "none"


def _verdict(status: str, health: str) -> tuple[Verdict, str]:
    if status == "running" and health == "unhealthy":
        return Verdict.CRITICAL, "running, but unhealthy"
    if status == "running" and health == "starting":
        return Verdict.WARNING, "running, its first health check is still to come"
    if status == "running":
        return Verdict.OK, status if health == "none" else f"{status}, {health}"
    return Verdict.WARNING if status in _ON_ITS_WAY else Verdict.CRITICAL, status
