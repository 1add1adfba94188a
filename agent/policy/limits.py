"""The bounds of a check, `warn:` and `crit:`, against the metrics that its probe measures."""

from collections.abc import Mapping
from types import MappingProxyType

from agent import units
from agent.model.bounds import Bound, Bounds
from agent.model.look import Unit
from agent.policy import wording
from agent.policy.catalogue import Place
from agent.policy.faults import Fault

ALWAYS = MappingProxyType({"time": Unit.SECONDS})  # what the runtime measures of every look


def bounds(
    given: Mapping[str, tuple[str, ...]], metrics: Mapping[str, Unit] | None, place: Place
) -> tuple[Bounds, list[Fault]]:
    """The bounds as values, with everything that is wrong in them; `metrics` None: known only after a look."""
    known = None if metrics is None else ALWAYS | metrics
    names = frozenset(known or ())
    found: list[tuple[str, tuple[Bound, ...]]] = []
    wrong: list[Fault] = []
    for metric, texts in given.items():
        if known is not None and metric not in known:
            wrong.append((place / metric).fault(wording.unknown("metric", metric, known), at_key=True))
            continue
        unit = (known or ALWAYS).get(metric)
        parsed: list[Bound] = []
        for index, text in enumerate(texts):
            try:
                parsed.append(units.bound(text, unit, names))
            except ValueError as error:
                wrong.append((place / metric / index).fault(str(error)))
        if not texts:
            wrong.append((place / metric).fault("a bound is due here, like above 80%"))
        found.append((metric, tuple(parsed)))
    return tuple(found), wrong
