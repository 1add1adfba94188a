"""What the one step costs: for a result that changes nothing, and for one that opens an incident."""

import dataclasses
import time
from typing import Any

from agent.model.bounds import Bound, Relation
from agent.model.check import Rules, Threshold
from agent.model.look import Look, Result, Verdict
from agent.model.state import CheckState
from agent.practices.story import step
from benchmarks.measuring import Figure, result

REPEATS = 15
TURNS = 20_000
MINUTE_US = 60_000_000


def seen(verdict: Verdict, minute: int) -> Result:
    """A result of that minute."""
    look = Look(verdict=verdict, summary="200 in 31 ms", metrics={"time": 0.031, "status": 200.0})
    at_us = minute * MINUTE_US
    return Result(key="shop/checks/storefront@web1", begun_us=at_us, ended_us=at_us + 31_000, look=look)


def main() -> dict[str, Any]:
    """CPU time per step, in microseconds."""
    rules = Rules(key="shop/checks/storefront@web1", fail_after=Threshold(count=1))
    steady, _ = step(CheckState(key=rules.key), seen(Verdict.OK, 0), rules)
    for minute in range(1, 10):
        steady, _ = step(steady, seen(Verdict.OK, minute), rules)
    limit = Bound(relation=Relation.ABOVE, text="above 2s", operand=2.0)
    bounded = dataclasses.replace(rules, crit=(("time", (limit,)),))
    unchanged, within, opening = [], [], []
    for _ in range(REPEATS):
        unchanged.append(_each(steady, seen(Verdict.OK, 11), rules))
        within.append(_each(steady, seen(Verdict.OK, 11), bounded))
        opening.append(_each(steady, seen(Verdict.CRITICAL, 11), rules))
    return result(
        "`step`",
        Figure(name="CPU for an unchanged result", unit="µs", values=tuple(unchanged), limit=10.0),
        Figure(name="CPU for an unchanged result within a bound", unit="µs", values=tuple(within), limit=10.0),
        Figure(name="CPU for a result that opens an incident", unit="µs", values=tuple(opening)),
    )


def _each(state: CheckState, given: Result, rules: Rules) -> float:
    begun = time.process_time()
    for _ in range(TURNS):
        step(state, given, rules)
    return (time.process_time() - begun) / TURNS * 1e6
