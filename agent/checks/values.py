"""Values that another program names and computes: one as a look, or one instance for each of many."""

import datetime as dt
import decimal
import math
from collections.abc import Iterable
from typing import Any

from agent.checks.reading import one_line, told
from agent.model.look import Look, Verdict

MOST = 1_000  # instances of one check
NAMELESS = "(nameless)"


def valued(value: Any, name: str = "") -> Look:
    """One value; unknown when it is no number."""
    number = _number(value)
    before = f"{name}: " if name else ""
    if number is None:
        words = "nothing (NULL)" if value is None else f"no number: {one_line(str(value), 60)}"
        return told(Verdict.UNKNOWN, f"{before}{words}")
    return told(Verdict.OK, f"{before}{number:.6g}", metrics={"value": number})


def several(values: Iterable[tuple[str, Any]], one: str, many: str) -> Look:
    """One instance for each value; unknown when two have one name, or there are too many."""
    instances: dict[str, Look] = {}
    for given, value in values:
        name = one_line(given, 100) or NAMELESS
        if name in instances:
            return told(Verdict.UNKNOWN, f"two {many} are called {name}: let the query sum them up")
        instances[name] = valued(value, name)
        if len(instances) > MOST:
            return told(Verdict.UNKNOWN, f"more than {MOST:,} {many}: let the query sum them up")
    worst = max(instances.values(), key=lambda look: look.verdict.weight, default=None)
    if worst is None or worst.verdict is Verdict.OK:
        return told(Verdict.OK, f"{len(instances)} {one if len(instances) == 1 else many}", instances=instances)
    return told(worst.verdict, worst.summary, instances=instances)


def _number(value: Any) -> float | None:
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, bool | int | float | decimal.Decimal):
        try:
            number = float(value)
        except OverflowError:
            return None
        return number if math.isfinite(number) else None
    return None
