"""check: systemd — is a unit active?

What systemctl(1) `show` says of it (org.freedesktop.systemd1(5): LoadState, ActiveState, SubState, Result). Critical
unless active; a warning while it is on its way (activating, deactivating, reloading), except between two restarts of
a service that keeps dying, which is critical. A unit that does not exist or is masked is critical, and says so.
"""

import re
import shlex
from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field, field_validator

from agent.checks import check
from agent.checks.reading import one_line, told
from agent.closed import ClosedModel, Text
from agent.model.check import RunFrom
from agent.model.look import Look, Section, Unit, Verdict

_UNIT = re.compile(r"[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]{0,254}\Z")  # systemd.unit(5), without a dash in front
_PROPERTY = re.compile(r"^([A-Za-z]+)=(.*)$", re.MULTILINE)
_SHOWN = ("LoadState", "ActiveState", "SubState", "Result", "ExecMainStatus", "NRestarts", "StateChangeTimestamp")
_NOT_LOADED = {
    "not-found": "there is no such unit",
    "masked": "the unit is masked",
    "bad-setting": "the unit file has an error",
    "error": "the unit file cannot be loaded",
}
_ON_ITS_WAY = frozenset({"activating", "deactivating", "reloading", "refreshing", "maintenance"})


class SystemdOptions(ClosedModel):
    """Which unit."""

    unit: Text = Field(description="Name of the unit; .service when it has no suffix")

    @field_validator("unit")
    @classmethod
    def _is_unit(cls, unit: str) -> str:
        if _UNIT.match(unit) is None:
            raise ValueError(f"{unit!r} is not the name of a unit")
        return unit


@check("systemd")
class Systemd:
    """One unit of the system's manager."""

    OPTIONS: ClassVar = SystemdOptions
    SHORT: ClassVar = "unit"
    METRICS: ClassVar[Mapping[str, Unit]] = {"active": Unit.TEXT, "sub_state": Unit.TEXT}
    RUN_FROM: ClassVar = RunFrom.HOST
    INSTANCES: ClassVar = False

    @staticmethod
    def script(options: SystemdOptions) -> str:
        """One call of systemctl: needs no privileges, changes nothing."""
        properties = " ".join(f"-p {name}" for name in _SHOWN)
        return f"LC_ALL=C systemctl --no-pager show {properties} -- {shlex.quote(options.unit)} 2>&1\n"

    @staticmethod
    def read(section: Section, options: SystemdOptions) -> Look:
        """Its properties."""
        shown = {name: one_line(value, 100) for name, value in _PROPERTY.findall(section.text) if name in _SHOWN}
        evidence = section.text
        active, sub_state = shown.get("ActiveState", ""), shown.get("SubState", "")
        if section.timed_out or section.exit_code != 0 or not active:
            return told(Verdict.UNKNOWN, _excuse(section), evidence=evidence)
        verdict, words = _judged(shown.get("LoadState", ""), active, sub_state, shown.get("Result", ""))
        metrics = {"active": active, "sub_state": sub_state}
        return told(verdict, f"{options.unit}: {words}", metrics=metrics, evidence=evidence)


def _excuse(section: Section) -> str:
    if section.timed_out:
        return "systemctl did not answer in time"
    if section.exit_code == 127:
        return "this host has no systemctl"
    return f"systemctl tells nothing of the unit: {one_line(section.text) or f'exit {section.exit_code}'}"


def _judged(loaded: str, active: str, sub_state: str, result: str) -> tuple[Verdict, str]:
    words = f"{active} ({sub_state})" if sub_state and sub_state != active else active
    if result not in {"", "success"}:
        words += f", result {result}"
    if loaded in _NOT_LOADED and active != "active":
        return Verdict.CRITICAL, f"{_NOT_LOADED[loaded]}; {words}"
    if loaded in _NOT_LOADED:
        return Verdict.WARNING, f"{words}, but {_NOT_LOADED[loaded]}"  # it will not come back by itself
    if active == "active":
        return Verdict.OK, words
    if active in _ON_ITS_WAY and not sub_state.startswith("auto-restart"):
        return Verdict.WARNING, words
    return Verdict.CRITICAL, words
