"""Measured values as people read them: in the units in which policies write their bounds."""

from agent.model.look import Measure, Unit

_DURATIONS = ((172_800.0, 86_400.0, "d"), (7_200.0, 3_600.0, "h"), (120.0, 60.0, "m"), (1.0, 1.0, "s"))
_STEPS = ("", "k", "M", "G", "T", "P")
_EXACT = 1e15  # above, a float is not told apart from its neighbours


def spelled(value: Measure, unit: Unit = Unit.NUMBER) -> str:
    """A value in its base unit (seconds, bytes, 0.0 to 1.0, per second), in words: `90d`, `79.2GB`, `95.03%`, `1.2/s`."""
    if isinstance(value, str):
        return value
    if unit is Unit.SECONDS:
        return _duration(value)
    if unit is Unit.BYTES:
        return _scaled(value, "B")
    if unit is Unit.BITS_PER_SECOND:
        return _scaled(value, "bit/s")
    if unit is Unit.SHARE:
        return f"{_digits(value * 100)}%"
    return f"{_digits(value)}/s" if unit is Unit.PER_SECOND else _digits(value)


def _duration(seconds: float) -> str:
    for least, size, name in _DURATIONS:
        if abs(seconds) >= least:
            return f"{_digits(seconds / size)}{name}"
    return f"{_digits(seconds * 1000)}ms" if seconds else "0s"


def _scaled(value: float, unit: str) -> str:
    power = 0
    while abs(value) >= 1000 and power < len(_STEPS) - 1:
        value, power = value / 1000, power + 1
    return f"{_digits(value)}{_STEPS[power]}{unit}"


def _digits(value: float) -> str:
    """Four digits of a fraction, all of a whole number; no exponents but for what is beyond counting."""
    if abs(value) < 1000 or abs(value) >= _EXACT:
        return f"{value:.4g}"
    return f"{value:.0f}"
