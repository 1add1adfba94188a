"""Ranges of the Nagios plugin API, `[@][start:][end]`: for which values a plugin alerts.

Monitoring Plugins' developer guidelines ("Threshold and Ranges"): both ends belong to the range, a value outside of it
alerts; with `@` one inside.
"""

import dataclasses
import math
import re

_NUMBER = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
_RANGE = re.compile(rf"(@?)(?:(~|{_NUMBER})?(:))?({_NUMBER})?")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """From `low` to `high`, both of them in it; `inside`: what lies in it alerts."""

    low: float
    high: float
    inside: bool = False

    def alerts(self, value: float) -> bool:
        """Whether a value is one to alert for."""
        return (self.low <= value <= self.high) is self.inside


def parse(text: str) -> Range | None:
    """A range; None when it is none, or ends before it starts. What follows it, such as a unit, is overlooked."""
    match = _RANGE.match(text.strip())
    if match is None or (text.strip() and not match[0].strip("@")):
        return None
    low = -math.inf if match[2] == "~" else float(match[2] or 0)
    high = math.inf if match[4] is None else float(match[4])
    return Range(low=low, high=high, inside=bool(match[1])) if low <= high else None


def exceeded(value: float, warn: str, crit: str) -> str:
    """`critical` or `warning` when the value alerts by that range, critical first; "" otherwise, and without ranges."""
    for name, text in (("critical", crit), ("warning", warn)):
        found = parse(text) if text.strip() else None
        if found is not None and math.isfinite(value) and found.alerts(value):
            return name
    return ""
