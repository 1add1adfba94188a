"""Reads a device's configuration and holds it against the gate: what comes out is whole, or there is a reason."""

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Protocol

from agent.backups.configs import gate
from agent.backups.configs.gate import Expected
from agent.backups.configs.hiding import hidden


class Line(Protocol):
    """A session on a device."""

    def prompt(self) -> str:
        """What it shows when it waits."""

    def run(self, command: str) -> str:
        """What it prints for a command."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What is to be read, and how it is judged. `last` is what was kept last, without secrets; "" for the first time."""

    command: str
    expected: Expected
    hide: Sequence[str]
    key: bytes
    last: str
    is_watched: bool = False

    def shown(self, text: str) -> str:
        """A configuration without its secrets."""
        return hidden(text, self.expected.rules, self.hide, self.key)

    def shown_of_kept(self, text: str) -> str:
        """What was kept, with its secrets or without, as it would be shown today."""
        return self.shown(gate.tidied(text, self.expected))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Configuration:
    """A whole one: `text` with everything in it, `shown` without the secrets."""

    text: str
    shown: str

    @property
    def content(self) -> str:
        """A name for what is shown: the same for the same."""
        return content_of(self.shown)


def content_of(shown: str) -> str:
    """A name for a configuration without secrets."""
    return hashlib.sha256(shown.encode()).hexdigest()


def read(line: Line, wanted: Wanted) -> Configuration | str:
    """The device's configuration, or why what it prints is none. Another one than the last is read twice."""
    prompt = line.prompt().rpartition("\n")[2]
    first = _once(line, wanted, prompt)
    if isinstance(first, str) or first.shown == wanted.last:
        return first
    second = _once(line, wanted, prompt)
    if isinstance(second, str):
        return second
    if why := gate.unlike(first.shown, second.shown):
        return why
    if first.text != second.text:
        return "two reads, one after the other, differ in a secret"
    why = "" if wanted.is_watched else gate.shrunk(wanted.last, second.shown, wanted.expected.rules)
    return why or second


def _once(line: Line, wanted: Wanted, prompt: str) -> Configuration | str:
    text = gate.tidied(line.run(wanted.command), wanted.expected)
    shown = wanted.shown(text)
    if why := gate.fault(text, shown, wanted.expected):
        return why
    if any(part.strip() != prompt for part in line.prompt().splitlines() if part.strip()):
        return "its prompt did not return after the output: more came, or something else"
    return Configuration(text=text, shown=shown)
