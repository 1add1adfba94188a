"""Reads one kind of sensor of a device as its profile says: shares, degrees and states, one look per sensor."""

from collections.abc import Iterator, Mapping, Sequence

from agent.checks.profile import METRICS, Sensor, Source
from agent.checks.reading import is_found, one_line, told
from agent.model.look import Look, Unit, Verdict
from agent.transports.snmp import ber
from agent.transports.snmp.ber import Cell
from agent.transports.snmp.session import Column, Session

Row = Mapping[str, Cell]


async def sensed(asking: Session, sensor: Sensor, sources: Sequence[Source]) -> dict[str, Look]:
    """Every sensor of this kind by its name."""
    found: dict[str, Look] = {}
    for source in sources:
        columns = source.columns()
        table = await asking.table([ber.oid(column) for column in columns])
        for index, row in rows(columns, table):
            look = _look(sensor, source, row)
            if look is None:
                continue
            name = one_line(ber.text(row[source.name]), 100) if source.name is not None and source.name in row else ""
            found[name if name and name not in found else f"{name} ({index})" if name else index] = look
    return found


def rows(names: Sequence[str], columns: Sequence[Column]) -> Iterator[tuple[str, dict[str, Cell]]]:
    """The rows of a table in their order: index in dots, cells by the name of their column."""
    for index in sorted({index for column in columns for index in column}, key=ber.numbers):
        row = {name: column[index] for name, column in zip(names, columns, strict=True) if index in column}
        yield ".".join(map(str, ber.numbers(index))), row


def _look(sensor: Sensor, source: Source, row: Row) -> Look | None:
    if not all(column in row and is_found(pattern, ber.text(row[column])) for column, pattern in source.where.items()):
        return None
    metric, unit = METRICS[sensor]
    if source.state is not None:
        return _state(source, _number(row, source.state), metric)
    value = _value(source, row)
    if value is None:
        return None
    words = f"{value:.0%} used" if unit is Unit.SHARE else f"{value:g} °C"
    return told(Verdict.OK, words, metrics={metric: value}, units={metric: unit})


def _state(source: Source, number: float | None, metric: str) -> Look | None:
    for verdict, words in (
        (Verdict.OK, source.ok),
        (Verdict.WARNING, source.warning),
        (Verdict.CRITICAL, source.critical),
    ):
        if number in words:
            word = words[int(number)]
            return told(verdict, word, metrics={metric: word}, units={metric: Unit.TEXT})
    return None


def _value(source: Source, row: Row) -> float | None:
    if source.value is not None:
        value = _number(row, source.value)
        if value is None or value in source.none:
            return None
        digits = _number(row, source.precision) or 0.0
        return value * source.scale / 10 ** max(-9, min(digits, 9)) if value == value else None  # noqa: PLR0124  NaN
    used, total = _number(row, source.used), _number(row, source.total)
    free = [_number(row, column) or 0.0 for column in source.free] if any(one in row for one in source.free) else None
    if free is not None and total is not None:
        used = max(0.0, total - sum(free))
    elif free is not None and used is not None:
        total = used + sum(free)
    return used / total if used is not None and total else None


def _number(row: Row, column: str | None) -> float | None:
    return ber.number(row[column]) if column is not None and column in row else None
