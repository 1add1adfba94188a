"""Durations, sizes, shares, rates, budgets and bounds: from the text of a policy to a number in a base unit."""

import functools
import re
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from agent.model.bounds import Bound, Relation
from agent.model.look import Unit
from agent.model.remedy import Budget

_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
_DURATIONS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SIZES = {"B": 1.0}
for _power, _letter in enumerate("kMGTP", start=1):
    _SIZES[f"{_letter}B"] = 1000.0**_power
    _SIZES[f"{_letter.upper()}iB"] = 1024.0**_power
_SIZES["KB"] = 1000.0
_RATES = {"bit/s": 1.0, "kbit/s": 1e3, "Mbit/s": 1e6, "Gbit/s": 1e9, "Tbit/s": 1e12}
_PER = {"/s": 1.0, "/m": 1 / 60, "/h": 1 / 3600}
_SYMBOLS = {">=": "at_least", "<=": "at_most", ">": "above", "<": "below", "!=": "not", "==": "is", "=": "is"}
_MOST = 1e18  # an exbibyte, 30 billion years: beyond it numbers of a policy are typing errors, and floats lose integers
_LONGEST = 100 * 365 * 86400.0  # a century: calendars and deadlines overflow on more
_BUDGET = re.compile(r"([1-9][0-9]*) per (.+)\Z")


def _scaled(text: object, table: dict[str, float], what: str, example: str) -> float:
    if isinstance(text, int | float) and not isinstance(text, bool):
        return float(text)
    match = re.fullmatch(_NUMBER + r"\s?(\S*)", text) if isinstance(text, str) else None
    if match is None or match[2] not in table:
        bare = match is not None and not match[2]
        wrong = "has no unit" if bare else f"is not {what}"
        raise ValueError(f"{text!r} {wrong}: write it like {example}")
    value = float(match[1]) * table[match[2]]
    if value > _MOST:
        raise ValueError(f"{text!r} is too much")
    return value


def duration(text: object) -> float:
    """Seconds of `250ms 30s 5m 26h 7d 2w`; ValueError says what is wrong."""
    seconds = _scaled(text, _DURATIONS, "a duration", "30s, 5m, 26h or 7d")
    if seconds > _LONGEST:
        raise ValueError(f"{text!r} is longer than a century")
    return seconds


def seconds_text(seconds: float) -> str:
    """Seconds in the words of a policy: `90s`, `5m`, `26h`, `7d`."""
    for unit in ("d", "h", "m"):
        if seconds >= _DURATIONS[unit] and seconds % _DURATIONS[unit] == 0:
            return f"{int(seconds // _DURATIONS[unit])}{unit}"
    return f"{seconds:g}s" if seconds >= 1 or not seconds else f"{seconds * 1000:g}ms"


def size(text: object) -> float:
    """Bytes of `500MB` (decimal) or `10GiB` (binary)."""
    return _scaled(text, _SIZES, "a size", "500MB or 10GiB")


def share(text: object) -> float:
    """0.0 to 1.0 of `80%`."""
    return _scaled(text, {"%": 1.0}, "a share", "80%") / 100  # times 0.01 would make 0.9500000000000001 of 95%


def bit_rate(text: object) -> float:
    """Bits per second of `100Mbit/s`."""
    return _scaled(text, _RATES, "a rate", "100Mbit/s")


def budget(text: object) -> Budget:
    """`3 per 24h`."""
    match = _BUDGET.match(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is not a budget: write it like 3 per 24h")
    if len(match[1]) > 9:
        raise ValueError(f"{text!r} is too much")
    return Budget(count=int(match[1]), seconds=duration(match[2]))


def _number(text: str) -> float:
    if re.fullmatch("-?" + _NUMBER, text) is None:
        raise ValueError(f"{text!r} is not a number")
    return float(text)


def quantity(text: str, unit: Unit) -> float:
    """A number in the unit of its metric; a bare number where a unit is due is an error."""
    if unit is Unit.SECONDS:
        return duration(text)
    if unit is Unit.BYTES:
        return size(text)
    if unit is Unit.SHARE:
        return share(text)
    if unit is Unit.PER_SECOND:
        return _scaled(text, _PER, "a rate", "1/s")
    if unit is Unit.BITS_PER_SECOND:
        return bit_rate(text)
    return _number(text)


def any_quantity(text: str) -> tuple[float, Unit]:
    """A number and the unit that its suffix names, for metrics whose units are not known before the look."""
    for unit in (Unit.NUMBER, Unit.SHARE, Unit.SECONDS, Unit.BYTES, Unit.PER_SECOND, Unit.BITS_PER_SECOND):
        try:
            return quantity(text, unit), unit
        except ValueError:
            continue
    raise ValueError(f"{text!r} is not a number with a known unit")


def bound(text: object, unit: Unit | None, metrics: frozenset[str] = frozenset()) -> Bound:
    """One bound in words or symbols, over a metric of this unit (None: open); `metrics` are names it may refer to."""
    if not isinstance(text, str):
        raise ValueError("a bound is text, like above 80%")  # noqa: TRY004  # pydantic translates ValueError alone
    return _bound(str(text), unit, metrics)


@functools.lru_cache(maxsize=4096)  # a fleet has few bounds, written many times
def _bound(text: str, unit: Unit | None, metrics: frozenset[str]) -> Bound:
    words = text.strip()
    for symbol, word in _SYMBOLS.items():
        if words.startswith(symbol):
            words = f"{word} {words[len(symbol) :].strip()}"
            break
    name, _, rest = words.partition(" ")
    rest = rest.strip()
    if name not in list(Relation) or (not rest) != (name == Relation.CHANGED):
        raise ValueError(f"{text!r} is not a bound: write it like above 80%, below 7d, is up, inside 3..5 or changed")
    relation = Relation(name)
    if relation is Relation.CHANGED:
        return Bound(relation=relation, text=text)
    if relation in {Relation.INSIDE, Relation.OUTSIDE}:
        return _span(relation, text, rest, unit)
    if rest in metrics:
        return Bound(relation=relation, text=text, other=rest, unit=unit or Unit.NUMBER)
    return _plain(relation, text, rest, unit)


def _span(relation: Relation, text: str, rest: str, unit: Unit | None) -> Bound:
    low, dots, high = rest.partition("..")
    if not dots:
        raise ValueError(f"{text!r}: write the two ends like {relation} 3..5")
    if unit is None:
        (least, unit), (most, _) = any_quantity(low), any_quantity(high)
    else:
        least, most = quantity(low, unit), quantity(high, unit)
    if least > most:
        raise ValueError(f"{text!r}: the first end is above the second")
    return Bound(relation=relation, text=text, unit=unit, low=least, high=most)


def _plain(relation: Relation, text: str, rest: str, unit: Unit | None) -> Bound:
    if relation in {Relation.IS, Relation.NOT} and (unit is None or unit is Unit.TEXT):
        try:
            value, found = any_quantity(rest)
        except ValueError:
            return Bound(relation=relation, text=text, operand=rest, unit=Unit.TEXT)
        if unit is None:
            return Bound(relation=relation, text=text, operand=value, unit=found)
        return Bound(relation=relation, text=text, operand=rest, unit=Unit.TEXT)
    if unit is Unit.TEXT:
        raise ValueError(f"{text!r}: this metric is a word; use is, not or changed")
    if unit is None:
        value, found = any_quantity(rest)
        return Bound(relation=relation, text=text, operand=value, unit=found)
    return Bound(relation=relation, text=text, operand=quantity(rest, unit), unit=unit)


_TEXT_SCHEMA = {"type": "string"}
Duration = Annotated[
    float, BeforeValidator(duration), WithJsonSchema(_TEXT_SCHEMA | {"examples": ["30s", "5m", "26h"]})
]
Share = Annotated[float, BeforeValidator(share), WithJsonSchema(_TEXT_SCHEMA | {"examples": ["80%"]})]
BudgetText = Annotated[Budget, BeforeValidator(budget), WithJsonSchema(_TEXT_SCHEMA | {"examples": ["3 per 24h"]})]
