"""check: log — how many lines that match did a log file gain since the last look?

The file is read on the host, from where the last look ended; a line that is still being written counts once it is
complete. A file that was rotated by name is read to its end under its new name (NAME.1, NAME-20260101 and their like)
before the new one; one that was cut off (copytruncate) is read from its beginning. The first look
only notes where the file ends; an agent that was started again goes on where it had stopped: it misses no line, and one
that was just found when it was killed it finds once more. At most 32 MiB are read per look, the rest by the next.
`matches` is above zero for one look only: say `fail_after: 1`. Critical when there is no such file; unknown when it may not be read.
"""

import dataclasses
import re
import shlex
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, field_validator

from agent.checks import check
from agent.checks.reading import Pattern, common, one_line, told
from agent.checks.recalling import Kept, Natural
from agent.closed import ClosedModel, Text
from agent.model.check import RunFrom
from agent.model.look import Look, Section, Unit, Verdict

_MOST_BYTES = 33_554_432  # read per look: a log that grows by more in a minute is not for reading
_PRINTED = re.compile(r"^log ([0-9]{1,20}) ([0-9]{1,18}) ([0-9]{1,12})$", re.MULTILINE)
_ABSENT = re.compile(r"No such file or directory$|Not a directory$", re.MULTILINE)

Position = tuple[Natural, Natural]  # inode, bytes that were read


class LogOptions(ClosedModel):
    """Which file, which lines."""

    path: Text = Field(description="The log file: an absolute path")
    match: Annotated[Pattern, AfterValidator(common)] = Field(
        description="Pattern (what RE2 and grep -E have in common) of the lines to count"
    )

    @field_validator("path")
    @classmethod
    def _is_absolute(cls, path: str) -> str:
        if not path.startswith("/") or not path.isprintable():
            raise ValueError(f"{path!r} is not an absolute path")
        return path


@check("log")
class Log:
    """One file, read on from where it was left."""

    OPTIONS: ClassVar = LogOptions
    SHORT: ClassVar = None
    METRICS: ClassVar[Mapping[str, Unit]] = {"matches": Unit.NUMBER}
    RUN_FROM: ClassVar = RunFrom.HOST
    INSTANCES: ClassVar = False
    RECALLS: ClassVar = True
    MEMORY: ClassVar = Kept(Position, lasts=True)

    @staticmethod
    def script(options: LogOptions, memory: Position | None = None) -> str:
        """Counts there; a line of numbers and the last few matches come back."""
        inode, offset = memory if memory is not None else ("", 0)
        return (
            f"log={shlex.quote(options.path)} match={shlex.quote(options.match)} old={inode} at={offset} "
            f"most={_MOST_BYTES}\n{_SCRIPT}"
        )

    @staticmethod
    def read(section: Section, options: LogOptions, memory: Position | None = None) -> Look:
        """Where it ended this time, and what was found."""
        name, text = one_line(options.path, 100), section.text
        printed = next(reversed(list(_PRINTED.finditer(text))), None)  # the last: a line of the log may look like it
        if printed is None or section.timed_out:
            if _ABSENT.search(text):
                return told(Verdict.CRITICAL, f"{name}: no such file", evidence=text)
            words = "no answer in time" if section.timed_out else one_line(text) or f"exit {section.exit_code}"
            return told(Verdict.UNKNOWN, f"{name}: cannot be read: {words}", evidence=text)
        position, matches = (int(printed[1]), int(printed[2])), int(printed[3])
        lines = text[: printed.start()].strip()
        summary = f"{name}: {matches} new line{'' if matches == 1 else 's'} match"
        if memory is None:
            summary = f"{name}: read from here on"
        elif matches:
            summary += f", the last: {one_line(lines.rpartition(chr(10))[2], 100)}"
        look = told(Verdict.OK, summary, metrics={"matches": float(matches)}, evidence=lines)
        return dataclasses.replace(look, memory=position)


# `piece FILE FROM COUNT` prints bytes; `scan FILE FROM TO` counts in the complete lines of that stretch and leaves in
# `at` where it ended. A line longer than all that is read per look is passed over in pieces.
_SCRIPT = r"""LC_ALL=C; export LC_ALL
total=0
piece() { tail -c +$(($2 + 1)) "$1" | head -c "$3"; }
scan() {
at=$2; count=$(($3 - $2)); [ "$count" -le "$most" ] || count=$most
[ "$count" -gt 0 ] || return 0
if [ "$(piece "$1" "$2" "$count" | tail -c 1 | wc -l)" -eq 0 ]; then
  rest=$(piece "$1" "$2" "$count" | tail -n 1 | wc -c)
  if [ "$rest" -lt "$count" ]; then count=$((count - rest)); elif [ "$count" -lt "$most" ]; then return 0; fi
fi
found=$(piece "$1" "$2" "$count" | grep -aEc -e "$match"); total=$((total + ${found:-0}))
[ "${found:-0}" -eq 0 ] || piece "$1" "$2" "$count" | grep -aE -e "$match" | tail -n 3 | cut -b -300
at=$(($2 + count))
}
size=$(stat -L -c %s "$log") && inode=$(stat -L -c %i "$log") || exit 3
[ -f "$log" ] && [ -r "$log" ] || { echo "not an ordinary file that may be read"; exit 3; }
if [ -z "$old" ]; then at=$size
elif [ "$old" = "$inode" ] && [ "$at" -le "$size" ]; then scan "$log" "$at" "$size"
else
  if [ "$old" != "$inode" ]; then
    for file in "$log".* "$log"-*; do
      if [ -f "$file" ] && [ "$(stat -c %i "$file" 2>/dev/null)" = "$old" ]; then scan "$file" "$at" "$(stat -c %s "$file")"; break; fi
    done
  fi
  scan "$log" 0 "$size"
fi
echo "log $inode $at $total"
"""
