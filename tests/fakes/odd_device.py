"""A simulated device: prints its configuration, and sometimes less, more or something else. Seeded; no network."""

import dataclasses
import enum
import random

from agent.errors import TransportError

PROMPT = "sw1#"
_PAGERS = (" --More-- ", "---(more 40%)---", "<--- More --->", "-- more --, next page: Space, continue: g, quit: ^C")
_COMPLAINTS = ("% Invalid input detected at '^' marker.", "Error: too many users", "syntax error, expecting <command>")


class Fault(enum.Enum):
    """What goes wrong in one look at a device."""

    NONE = "nothing"
    CUT = "each read is cut at a byte of its own"
    SAME_CUT = "both reads are cut at the same byte"
    LINE_CUT = "both reads are cut after the same line"
    CHANGED_AND_CUT = "it was changed, and both reads are cut at the same byte"
    SILENCE = "it falls silent in mid-output"
    PAGER = "its pager is on"
    COLOURS = "its output is coloured"
    COMPLAINT = "it complains in mid-output"
    STRANGER = "another device answers"
    EMPTY = "it prints nothing"
    LATE = "its prompt comes too early, and the rest of the output after it"
    MOVING = "it is being changed between the reads"


@dataclasses.dataclass
class OddDevice:
    """A device with `text` as its configuration; `fault` is what goes wrong next."""

    text: str
    random: random.Random
    fault: Fault = Fault.NONE
    _cut: int | None = None
    _stray: str = ""

    def change(self) -> None:
        """Somebody adds, edits or removes a line, not the last ones."""
        lines = self.text.split("\n")
        at = self.random.randrange(len(lines) // 3, len(lines) * 2 // 3)
        word = f"! note {self.random.randrange(10**6)}"
        if self.random.random() < 0.5 or not lines[at].startswith("! note"):
            lines.insert(at, word)
        else:
            del lines[at]
        self.text = "\n".join(lines)

    def begin(self, fault: Fault) -> None:
        """A new look."""
        self.fault, self._cut, self._stray = fault, None, ""
        if fault is Fault.CHANGED_AND_CUT:
            self.change()

    def prompt(self) -> str:
        """What it shows when it waits."""
        stray, self._stray = self._stray, ""
        return f"{stray}\n{PROMPT}" if stray else PROMPT

    def run(self, _command: str) -> str:
        """What it prints."""
        if self.fault is Fault.SILENCE:
            raise TransportError("sw1 did not come to an end in time", hint="look at it")
        if self.fault is Fault.MOVING:
            self.change()
        return self._spoilt()

    def _spoilt(self) -> str:
        half = self.random.randrange(1, len(self.text))
        begun, rest = self.text[:half], self.text[half:]
        if self.fault is Fault.LATE:
            self._stray = rest.strip("\n") or "x"
        spoilt = {
            Fault.CUT: begun,
            Fault.LATE: begun,
            Fault.SAME_CUT: self.text[: self._same_cut(half)],
            Fault.LINE_CUT: self.text[: self._same_cut(half)],
            Fault.CHANGED_AND_CUT: self.text[: self._same_cut(half)],
            Fault.PAGER: f"{begun}\n{self.random.choice(_PAGERS)}\n{rest}",
            Fault.COLOURS: f"{begun}\x1b[1m{rest}\x1b[0m",
            Fault.COMPLAINT: f"{begun}\n{self.random.choice(_COMPLAINTS)}\n",
            Fault.STRANGER: self.text.replace("sw1", "sw2"),
            Fault.EMPTY: "",
        }
        return spoilt.get(self.fault, self.text)

    def _same_cut(self, half: int) -> int:
        if self._cut is None:
            self._cut = self.text.rfind("\n", 0, half) + 1 if self.fault is Fault.LINE_CUT else half
        return self._cut
