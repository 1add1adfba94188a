"""What looks leave for the next look at the same thing: counters to compare with, a position. In memory alone."""

import dataclasses
from typing import Any

from agent.model.check import Check

_MOST = 100_000  # more than any agent's checks; what nobody asks for any more is forgotten first


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Left:
    options: object
    memory: Any


class Memories:
    """The last memory of each check, as long as its options stay what they were."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._left: dict[str, _Left] = {}

    def recall(self, check: Check) -> Any:
        """What the last look left; None at the first, and when the check has been edited since."""
        left = self._left.get(check.key)
        if left is None or (left.options is not check.options and left.options != check.options):
            return None
        return left.memory

    def keep(self, check: Check, memory: Any) -> None:
        """Keep what a look left, in place of what an earlier one did."""
        left = self._left.pop(check.key, None)
        if left is not None and left.memory is memory and left.options is check.options:
            self._left[check.key] = left
            return
        self._left[check.key] = _Left(options=check.options, memory=memory)
        if len(self._left) > self._most:
            del self._left[next(iter(self._left))]
