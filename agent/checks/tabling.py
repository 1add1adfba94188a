"""Rows out of what a device printed, by the templates of ntc-templates (TextFSM), however it tries to make that last.

TextFSM searches by patterns that backtrack: one odd line of some hundred characters can keep them busy for hours, and
while they search nothing else of the agent runs. So the patterns are RE2's; the few that RE2 does not know, for they look
around, are only shown lines as short as those that they are meant for.
"""

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.checks.reading import one_line
from agent.clock import Deadline, SystemClock
from agent.errors import InputError, ToolError

_SHORT = 200  # characters
_SECONDS = 5.0  # for one command's output
_MEMORY_BYTES = 1_048_576  # of one pattern at work; there are some thirty in a template
_CLOCK = SystemClock()


def rows(text: str, command: str, platform: str) -> list[Mapping[str, Any]]:
    """Each row by its columns, in lower case; InputError when no template makes rows of this."""
    try:
        import ntc_templates  # type: ignore[import-untyped]  # it ships none
        from textfsm import TextFSMError  # type: ignore[import-untyped]  # as above
        from textfsm.clitable import CliTableError  # type: ignore[import-untyped]  # as above
    except ImportError as error:
        hint = "pip install 'watchkeeper[network]'"
        raise ToolError("ntc-templates is not installed: columns cannot be read", hint=hint) from error
    table = _table(Path(ntc_templates.__file__).parent / "templates", Deadline.after(_CLOCK, _SECONDS))
    try:
        table.ParseCmd(text, {"Command": command, "Platform": platform})
    except (TextFSMError, CliTableError) as error:
        words = one_line(str(error), 120)
        raise InputError(f"no template makes rows of {command!r} on {platform}: {words}", hint="use find") from error
    return [{str(name).lower(): row[name] for name in table.header} for row in table]


def _table(folder: Path, deadline: Deadline) -> Any:
    """The library's own, but for the machine that reads."""
    from textfsm import texttable
    from textfsm.clitable import CliTable

    class Table(CliTable):  # type: ignore[misc]  # it ships no types
        def _ParseCmdItem(self, cmd_input: str, template_file: Any = None) -> Any:  # noqa: N802  # the library's name
            machine = _machine(template_file, deadline)
            self._keys: set[str] = getattr(self, "_keys", set()) or set(machine.GetValuesByAttrib("Key"))
            found = texttable.TextTable()
            found.header = machine.header
            for record in machine.ParseText(cmd_input):
                found.Append(record)
            return found

    return Table("index", str(folder))


def _machine(template_file: Any, deadline: Deadline) -> Any:
    """The library's own, but for how it searches."""
    from textfsm import TextFSM, TextFSMError

    class Machine(TextFSM):  # type: ignore[misc]  # it ships no types
        def _CheckRule(self, rule: Any, line: str) -> Any:  # noqa: N802  # the library's name, made to be replaced
            if deadline.is_over():
                raise TextFSMError(f"it takes more than {_SECONDS:g} s")
            pattern = _compiled(rule.regex)
            if isinstance(pattern, re.Pattern) and len(line) > _SHORT:
                raise TextFSMError(f"a line of {len(line):,} characters is in it")
            return pattern.match(line)

    machine = Machine(template_file)
    for value in machine.values:
        if hasattr(value, "compiled_regex"):  # of a list, whose parts are searched for once more
            value.compiled_regex = _compiled(value.regex)
    return machine


@functools.lru_cache(maxsize=4096)
def _compiled(pattern: str) -> Any:
    import re2  # type: ignore[import-untyped]  # it ships no types

    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY_BYTES
    try:
        return re2.compile(pattern, options)
    except re2.error:
        return re.compile(pattern)
