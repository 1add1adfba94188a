"""check: cli — what does a network device say on its command line?

One command on a kept session (`ansible_connection: network_cli`, netmiko's driver by `ansible_network_os`), which only
looks: show, display, get and their like. With `find`, what its first group, or its named groups, find are metrics:
`value`, or the names; critical when nothing is found. With `columns`, the template of ntc-templates (TextFSM) for
this command makes rows of it, each an instance. With neither, ok as long as the device knows the command. Numbers are
numbers, everything else is a word. Needs `pip install 'watchkeeper[network]'`.
"""

import re
from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import Field, field_validator, model_validator

from agent.checks import check, tabling
from agent.checks.reading import Pattern, compiled, is_found, one_line, told
from agent.checks.values import MOST
from agent.closed import ClosedModel, Text
from agent.errors import InputError
from agent.model.check import RunFrom
from agent.model.look import Look, Measure, Section, Unit, Verdict
from agent.transports.framing import TOO_MUCH

# The first word of commands that only look, as devices let people shorten it; RouterOS says it at the end.
_LOOKS = re.compile(r"(sh(ow?)?|di(s(p(l(ay?)?)?)?)?|get|dir|more|ping|traceroute)\s+\S|/.*\s(print|monitor)\b")
_WRITES = re.compile(r"\|\s*(redirect|append|tee|save|copy)\b|>")  # where devices let the output of a look go
_REFUSED = re.compile(
    r"^\s*(%\s.*|%\s?error.*|\^?\s*(unknown|invalid|unrecognized|incomplete|ambiguous|syntax error|bad command).{0,80})$",
    re.IGNORECASE | re.MULTILINE,
)
_NUMBER = re.compile(r"[-+]?[0-9]{1,18}(\.[0-9]{1,18})?\Z")
_LONGEST = 200  # characters of a word as a metric


class CliOptions(ClosedModel):
    """What to ask, and what to find in the answer."""

    command: Text = Field(description="A command that only looks, such as show version")
    find: Pattern | None = Field(
        default=None, description="Pattern (RE2) with a group, or named groups, that are the metrics"
    )
    columns: dict[Text, Text] = Field(default={}, description="Metric: column of the template for this command")
    where: dict[Text, Pattern] = Field(
        default={}, description="Column: pattern (RE2); only rows in which all of them are found"
    )
    instance: Text | None = Field(default=None, description="The column that names the rows; left out: their number")

    @field_validator("command")
    @classmethod
    def _only_looks(cls, command: str) -> str:
        if not command.isprintable() or _LOOKS.match(command) is None:
            raise ValueError(f"{command!r} is not one line that only looks, such as show version")
        if _WRITES.search(command):
            raise ValueError(f"{command!r} writes what it looks at somewhere")
        return command

    @model_validator(mode="after")
    def _finds_one_thing(self) -> Self:
        if self.find is not None and self.columns:
            raise ValueError("find or columns, not both")
        if self.find is not None and compiled(self.find).groups < 1:
            raise ValueError(f"{self.find!r} has no group: put what you want in parentheses")
        if (self.where or self.instance is not None) and not self.columns:
            raise ValueError("where and instance need columns")
        return self


@check("cli")
class Cli:
    """One command on a device."""

    OPTIONS: ClassVar = CliOptions
    SHORT: ClassVar = None
    METRICS: ClassVar[Mapping[str, Unit] | None] = None
    RUN_FROM: ClassVar = RunFrom.HOST
    INSTANCES: ClassVar = True

    @staticmethod
    def command(options: CliOptions) -> str:
        """As the operator wrote it."""
        return options.command

    @staticmethod
    def read(section: Section, options: CliOptions, platform: str) -> Look:
        """What it printed."""
        if section.timed_out and section.text:
            hung = one_line(section.text)
            return told(
                Verdict.UNKNOWN, f"{options.command}: not asked, for the device had not come to an end of: {hung}"
            )
        if section.timed_out:
            return told(Verdict.UNKNOWN, f"{options.command}: the device did not come to an end in time")
        if section.exit_code == TOO_MUCH:
            return told(Verdict.UNKNOWN, f"{options.command}: it printed {section.text}: ask for less, as by | include")
        text = section.text.strip()
        if (refused := _REFUSED.search(text[:400])) is not None:
            return told(Verdict.UNKNOWN, f"{options.command}: the device says {one_line(refused[0])}", evidence=text)
        if options.columns:
            return _rows(text, options, platform)
        if options.find is None:
            return told(Verdict.OK, one_line(text.partition("\n")[0]) or "nothing was printed", evidence=text)
        found = compiled(options.find).search(text)
        if found is None:
            return told(Verdict.CRITICAL, f"nothing matches {one_line(options.find, 60)!r}", evidence=text)
        named = found.groupdict() or {"value": found.group(1)}
        return _look({name: value for name, value in named.items() if value is not None}, text)


def _rows(text: str, options: CliOptions, platform: str) -> Look:
    rows = tabling.rows(text, options.command, platform)
    asked = [*options.columns.values(), *options.where, *([options.instance] if options.instance else [])]
    if missing := [name for name in asked if rows and name.lower() not in rows[0]]:
        raise InputError(
            f"the template for {options.command!r} has no column {missing[0]!r}", hint=f"it has: {', '.join(rows[0])}"
        )
    found: dict[str, Look] = {}
    for number, row in enumerate(rows, start=1):
        if not all(is_found(pattern, _word(row[name.lower()])) for name, pattern in options.where.items()):
            continue
        name = one_line(_word(row[options.instance.lower()]), 100) if options.instance is not None else ""
        metrics = {metric: _word(row[column.lower()]) for metric, column in options.columns.items()}
        found[name if name and name not in found else f"{name} ({number})".strip()] = _look(metrics, "")
    if len(found) > MOST:
        return told(Verdict.UNKNOWN, f"{len(found):,} rows, and {MOST:,} are the most: leave some out by where")
    if not found:
        return told(Verdict.UNKNOWN, "no row matches" if rows else f"{options.command}: no rows in it", evidence=text)
    summary = f"{len(found)} row{'s' if len(found) != 1 else ''}"
    return told(Verdict.OK, summary, instances=found, evidence=text)


def _word(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _look(found: Mapping[str, str], text: str) -> Look:
    metrics: dict[str, Measure] = {}
    for name, value in found.items():
        word = value.strip()
        metrics[name] = float(word) if _NUMBER.match(word) else one_line(word, _LONGEST)
    units = {name: Unit.TEXT if isinstance(value, str) else Unit.NUMBER for name, value in metrics.items()}
    shown = (f"{'' if name == 'value' else f'{name} '}{value}" for name, value in found.items())
    return told(Verdict.OK, ", ".join(shown) or "nothing", metrics=metrics, units=units, evidence=text)
