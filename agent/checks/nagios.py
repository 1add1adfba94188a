"""check: nagios — what does a plugin for Nagios, Icinga, Naemon or Checkmk say?

The plugin API of the Monitoring Plugins' developer guidelines: exit 0 is ok, 1 warning, 2 critical, 3 unknown, and only
the exit code counts; any other code, a signal or running out of time is unknown. Text, long text and performance data
come from stdout; every value of the performance data is a metric under its label, in the unit that it names. The
plugin's own ranges have made its verdict, and the evidence says by which of them; `warn` and `crit` of the policy add to
it. Of what it prints 60,000 bytes are read. It is over when all that it started have let go of its output.
"""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field, field_validator

from agent.checks import check, perfdata
from agent.checks.reading import apart, one_line, split, told
from agent.closed import ClosedModel, Text
from agent.model.check import RunFrom
from agent.model.look import Look, Section, Unit, Verdict

_EXIT = {0: Verdict.OK, 1: Verdict.WARNING, 2: Verdict.CRITICAL, 3: Verdict.UNKNOWN}
_WRONG = {126: "the plugin cannot be executed", 127: "the plugin was not found"}
# Where distributions and sources put plugins, so that a policy may call them by name.
_FOLDERS = (
    "/usr/lib/nagios/plugins:/usr/lib64/nagios/plugins:/usr/lib/monitoring-plugins:/usr/libexec/nagios/plugins:"
    "/usr/local/lib/nagios/plugins:/usr/local/libexec/nagios:/usr/local/nagios/libexec"
)


class NagiosOptions(ClosedModel):
    """Which plugin."""

    command: Text = Field(description="The plugin and its arguments, as a shell would take them")

    @field_validator("command")
    @classmethod
    def _says_something(cls, command: str) -> str:
        if not command.strip() or "\x00" in command:
            raise ValueError("a plugin and its arguments are expected here")
        return command


@check("nagios")
class Nagios:
    """One run of one plugin."""

    OPTIONS: ClassVar = NagiosOptions
    SHORT: ClassVar = "command"
    METRICS: ClassVar[Mapping[str, Unit] | None] = None
    RUN_FROM: ClassVar = RunFrom.HOST
    INSTANCES: ClassVar = False

    @staticmethod
    def script(options: NagiosOptions) -> str:
        """The plugin, found where plugins are, with decimal points."""
        return f'PATH="$PATH:{_FOLDERS}"; LC_NUMERIC=C; export PATH LC_NUMERIC\n{apart(options.command)}'

    @staticmethod
    def read(section: Section, _options: NagiosOptions) -> Look:
        """Exit code first; then text and performance data."""
        printed, errors = split(section.text)
        output = perfdata.parse(printed)
        evidence = f"{output.text}\n{output.long_text}\n{errors}"
        if section.timed_out:
            return told(Verdict.UNKNOWN, "the plugin did not end in time", evidence=evidence)
        if (verdict := _EXIT.get(section.exit_code)) is None:
            summary = f"{_wrong(section.exit_code)}: {output.text or errors.rpartition(chr(10))[2]}"
            return told(Verdict.UNKNOWN, summary, evidence=evidence)
        if verdict is not Verdict.OK and (why := perfdata.alerts(output)):
            evidence = f"{output.text}\n{why}\n{output.long_text}\n{errors}"
        summary = one_line(output.text or errors.rpartition("\n")[2]) or "(No output returned from plugin)"
        return told(verdict, summary, metrics=output.metrics, units=output.units, evidence=evidence)


def _wrong(code: int) -> str:
    if code in _WRONG:
        return _WRONG[code]
    return (
        f"the plugin was killed by signal {code - 128}"
        if 128 < code < 193
        else f"the plugin ended with exit code {code}"
    )
