"""The output of Nagios plugins: text, long text and performance data, as nagioscore and Icinga 2 both read it.

Monitoring Plugins' developer guidelines ("Performance data", "Plugin Output for Nagios"); where the two cores read
them differently, both ways are accepted.
"""

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping

from agent.checks import ranges
from agent.checks.reading import one_line
from agent.model.look import Unit

_METRICS = 256  # more than any plugin of the field prints for one service
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
# SI factors are 1000 and the …iB are 1024, as Icinga 2 normalises (lib/base/perfdatavalue.cpp).
_UNITS: Mapping[str, tuple[float, Unit]] = {
    "ns": (1e-9, Unit.SECONDS),
    "us": (1e-6, Unit.SECONDS),
    "ms": (1e-3, Unit.SECONDS),
    "s": (1.0, Unit.SECONDS),
    "m": (60.0, Unit.SECONDS),
    "h": (3600.0, Unit.SECONDS),
    "d": (86400.0, Unit.SECONDS),
    "%": (0.01, Unit.SHARE),
    "B": (1.0, Unit.BYTES),
    **{f"{letter}B": (1000.0**power, Unit.BYTES) for power, letter in enumerate("KMGTP", start=1)},
    **{f"{letter}IB": (1024.0**power, Unit.BYTES) for power, letter in enumerate("KMGTP", start=1)},
}  # `c`, a counter, `b`, bits, and everything else: a bare number


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """What a plugin printed: its first line, what follows, and its metrics with their units."""

    text: str
    long_text: str
    metrics: Mapping[str, float]
    units: Mapping[str, Unit]
    tokens: tuple[tuple[str, str], ...] = ()  # of the metrics: label, `value[unit];warn;crit;min;max`


def alerts(output: Output) -> str:
    """The metrics that lie where the plugin's own ranges alert, one line each: why its verdict is what it is."""
    lines = []
    for label, token in output.tokens:
        value, warn, crit, *_ = [*token.split(";"), "", ""]
        number = _NUMBER.match(value)
        if number is not None and (state := ranges.exceeded(float(number[0]), warn, crit)):
            lines.append(f"{label} is {value}: {state} by its range {crit if state == 'critical' else warn}")
    return "\n".join(lines)


def parse(printed: str) -> Output:
    """Never fails: what is not performance data is text, what is not well formed is left out."""
    text, long_text, data = _divide(printed)
    metrics: dict[str, float] = {}
    units: dict[str, Unit] = {}
    tokens: list[tuple[str, str]] = []
    prefix = ""
    for label, value in _tokens(data):
        parent, several, name = label.rpartition("::")  # check_multi: `a::b=1 c=2` means a::b and a::c
        prefix = f"{parent}::" if several else prefix
        measured = _measure(value)
        if measured is not None and len(metrics) < _METRICS:
            known = one_line(prefix + name, 120)
            metrics[known], units[known] = measured
            tokens.append((known, value))
    return Output(text=text, long_text=long_text, metrics=metrics, units=units, tokens=tuple(tokens))


def _divide(printed: str) -> tuple[str, str, str]:
    """Text of the first line, long text, performance data: of any line behind a bar, and all that follows a later bar."""
    first, *rest = printed.strip("\n").split("\n")
    text, _, data = first.partition("|")
    long_text, performance, is_data = [], [data], False
    for line in rest:
        before, bar, after = line.partition("|")
        if is_data and (not bar or "=" in before):
            performance.append(line.replace("|", " "))
            continue
        long_text.append(before)
        performance.append(after)
        is_data = is_data or bool(bar)
    return text.strip(), "\n".join(long_text).strip(), " ".join(performance)


def _tokens(data: str) -> Iterator[tuple[str, str]]:
    """Each (label, rest behind the sign of equality); one walk, so that nothing a plugin prints can make it slow."""
    at = 0
    while at < len(data):
        if data[at].isspace():
            at += 1
            continue
        label, at = _quoted(data, at + 1) if data[at] == "'" else ("", at)
        end = at
        while end < len(data) and not data[end].isspace():
            end += 1
        before, sign, value = data[at:end].rpartition("=")  # Icinga splits a token at the last one
        if sign and (label or before) and not (label and before):
            yield label or before, value
        at = end


def _quoted(data: str, at: int) -> tuple[str, int]:
    """A label in single quotes, where two of them mean one; (label, where what follows begins)."""
    pieces = []
    while (quote := data.find("'", at)) >= 0:
        pieces.append(data[at:quote])
        if data[quote + 1 : quote + 2] != "'":
            return "".join(pieces), quote + 1
        pieces.append("'")
        at = quote + 2
    return "", len(data)


def _measure(value: str) -> tuple[float, Unit] | None:
    """The value of `value[unit];warn;crit;min;max`; None for U (undetermined) and for what is no number."""
    text = value.partition(";")[0]
    match = _NUMBER.match(text)
    if match is None or text[match.end() : match.end() + 1] == ",":  # a decimal comma: cutting it off would lie
        return None
    suffix = text[match.end() :]
    factor, unit = _UNITS.get(suffix.upper() if suffix.endswith("B") else suffix, (1.0, Unit.NUMBER))
    number = float(match[0]) * factor
    return (number, unit) if math.isfinite(number) else None
