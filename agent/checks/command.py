"""check: command — does a command of the operator succeed?

A shell command (sh -c) that only looks. Critical unless it exits 0 in time; the first line that it prints is the
summary, the first number in what it prints the metric `value`, its exit code the metric `exit`. When the shell cannot
find it or may not run it (127, 126: POSIX.1-2017 XCU 2.8.2) the check is what is broken: unknown.
"""

import re
from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field, field_validator

from agent.checks import check
from agent.checks.reading import apart, one_line, split, told
from agent.closed import ClosedModel, Text
from agent.model.check import RunFrom
from agent.model.look import Look, Section, Unit, Verdict

_NUMBER = re.compile(r"(?<![\w.])[-+]?[0-9]{1,300}(?:\.[0-9]{1,300})?")
_CANNOT = {126: "the command cannot be executed", 127: "the command was not found"}


class CommandOptions(ClosedModel):
    """What to run."""

    command: Text = Field(description="A shell command that only looks and changes nothing")

    @field_validator("command")
    @classmethod
    def _says_something(cls, command: str) -> str:
        if not command.strip() or "\x00" in command:
            raise ValueError("a shell command is expected here")
        return command


@check("command")
class Command:
    """One command, judged by its exit code."""

    OPTIONS: ClassVar = CommandOptions
    SHORT: ClassVar = "command"
    METRICS: ClassVar[Mapping[str, Unit]] = {"value": Unit.NUMBER, "exit": Unit.NUMBER}
    RUN_FROM: ClassVar = RunFrom.HOST
    INSTANCES: ClassVar = False

    @staticmethod
    def script(options: CommandOptions) -> str:
        """The command, with its stdout and stderr told apart."""
        return apart(options.command)

    @staticmethod
    def read(section: Section, _options: CommandOptions) -> Look:
        """Exit code first, then what was printed."""
        out, errors = split(section.text)
        said = one_line(out.strip().partition("\n")[0]) or one_line(errors.rpartition("\n")[2])
        evidence = f"{out}\n{errors}"
        if section.timed_out:
            return told(Verdict.CRITICAL, "the command did not end in time", evidence=evidence)
        metrics = {"exit": float(section.exit_code)}
        if (number := _NUMBER.search(out)) is not None:
            metrics["value"] = float(number[0])
        if section.exit_code in _CANNOT:
            summary = f"{_CANNOT[section.exit_code]}: {said}"
            return told(Verdict.UNKNOWN, summary, metrics=metrics, evidence=evidence)
        verdict = Verdict.OK if section.exit_code == 0 else Verdict.CRITICAL
        summary = said or "nothing was printed"
        if verdict is Verdict.CRITICAL:
            summary = f"exit {section.exit_code}: {summary}"
        return told(verdict, summary, metrics=metrics, evidence=evidence)
