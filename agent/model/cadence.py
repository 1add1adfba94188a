"""When something is due: an interval, or a rule of the calendar."""

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Every:
    """An interval. Up to one hour it runs in slots, above it is aligned to the clock."""

    seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class At:
    """A rule of the calendar in a zone: `text` as written, `rule` what it means.

    `weekdays` are 0 (Monday) to 6; `nth` is 1 for `first`, -1 for `last`, None for every; `monthday` 1 to 31;
    `hour` None means every hour, at `minute`. With `cron` set, the others are unused.
    """

    text: str
    zone: str
    rule: Literal["hour", "day", "monthday", "cron"]
    hour: int | None = None
    minute: int = 0
    weekdays: tuple[int, ...] = ()
    nth: int | None = None
    monthday: int | None = None
    cron: str = ""


Cadence = tuple[Every | At, ...]  # any of these
