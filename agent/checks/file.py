"""check: file — is a file there, how old and how large is it, and is it the file it should be?

What stat(1) says of it, links followed: `age` is the time since its last change of content by the host's own clock,
`size` in bytes, `mode` the permissions in octal digits (0644), `owner` and `group` by name. `sha256` is the hash of the
content, when the option asks for it: the whole file is read on each look. Critical when nothing is there, or, with
`exists: false`, when something is.
"""

import re
import shlex
from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import Field, field_validator, model_validator

from agent.checks import check
from agent.checks.reading import one_line, spell_bytes, told
from agent.closed import ClosedModel, Flag, Text
from agent.model.check import RunFrom
from agent.model.look import Look, Measure, Section, Unit, Verdict

_PRINTED = re.compile(
    r"^found ([0-9]{1,12}) ([0-9]{1,19}) (-?[0-9]{1,12}) ([0-7]{1,5}) (\S{1,64}) (\S{1,64}) ([a-z ]{1,40})$", re.MULTILINE
)  # fmt: skip
_HASH = re.compile(r"^\\?([0-9a-f]{64})  ", re.MULTILINE)  # sha256sum(1) marks odd names by a backslash
_ABSENT = re.compile(r": No such file or directory$|: Not a directory$", re.MULTILINE)


class FileOptions(ClosedModel):
    """Which file, and what about it."""

    path: Text = Field(description="The file, or the folder: an absolute path")
    exists: Flag = Field(default=True, description="Whether it shall be there; false: it shall not")
    sha256: Flag = Field(default=False, description="Read it all and measure its hash")

    @field_validator("path")
    @classmethod
    def _is_absolute(cls, path: str) -> str:
        if not path.startswith("/") or not path.isprintable():
            raise ValueError(f"{path!r} is not an absolute path")
        return path

    @model_validator(mode="after")
    def _is_there_to_read(self) -> Self:
        if self.sha256 and not self.exists:
            raise ValueError("what shall not be there has no hash")
        return self


@check("file")
class File:
    """One file or folder."""

    OPTIONS: ClassVar = FileOptions
    SHORT: ClassVar = "path"
    METRICS: ClassVar[Mapping[str, Unit]] = {
        "age": Unit.SECONDS,
        "size": Unit.BYTES,
        "mode": Unit.TEXT,
        "owner": Unit.TEXT,
        "group": Unit.TEXT,
        "sha256": Unit.TEXT,
    }
    RUN_FROM: ClassVar = RunFrom.HOST
    INSTANCES: ClassVar = False

    @staticmethod
    def script(options: FileOptions) -> str:
        """stat, as GNU and busybox have it, and the hash if it is wanted: of an ordinary file alone, nothing else ends."""
        path = shlex.quote(options.path)
        stat = f'LC_ALL=C stat -L -c "found $(date +%s) %s %Y %a %U %G %F" {path} 2>&1\n'
        return f"{stat}[ ! -f {path} ] || sha256sum {path} 2>&1\n" if options.sha256 else stat

    @staticmethod
    def read(section: Section, options: FileOptions) -> Look:
        """One line, and perhaps a second."""
        name, text = one_line(options.path, 100), section.text
        printed = _PRINTED.search(text)
        if printed is None and _ABSENT.search(text):
            verdict = Verdict.CRITICAL if options.exists else Verdict.OK
            return told(verdict, f"{name}: no such file or directory", evidence=text)
        if printed is None or section.timed_out:
            words = "no answer in time" if section.timed_out else text or f"exit {section.exit_code}"
            return told(Verdict.UNKNOWN, f"{name}: cannot be looked at: {one_line(words)}", evidence=text)
        if not options.exists:
            return told(Verdict.CRITICAL, f"{name}: is there, and shall not be", evidence=text)
        return _measured(name, printed, _HASH.search(text), options)


def _measured(name: str, printed: re.Match[str], digest: re.Match[str] | None, options: FileOptions) -> Look:
    age = max(0.0, float(printed[1]) - float(printed[3]))  # a stamp in the future is as new as can be
    metrics: dict[str, Measure] = {
        "age": age,
        "size": float(printed[2]),
        "mode": printed[4].zfill(4),
        "owner": one_line(printed[5]),
        "group": one_line(printed[6]),
    }
    summary = f"{name}: {spell_bytes(float(printed[2]))}, mode {metrics['mode']}, changed {_spelled(age)} ago"
    if options.sha256 and digest is None:
        return told(Verdict.UNKNOWN, f"{name}: is there, but cannot be read", metrics=metrics)
    if digest is not None and options.sha256:
        metrics["sha256"] = digest[1]
    return told(Verdict.OK, summary, metrics=metrics, evidence=printed[7])


def _spelled(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
