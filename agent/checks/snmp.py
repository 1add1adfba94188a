"""check: snmp — what does a device say of itself by SNMP?

SNMP v2c (RFC 3416) or v3 (RFC 3414, AES: RFC 3826): one value (`oid`), several (`oids`), a table whose rows are
instances (`table`, narrowed by `where`), or a `sensor` that the profile of the device finds: `cpu` and `memory` measure
`used`, `temperature` measures `celsius`, `fans`, `power` and `bgp` have a `state` and a verdict by it. Else metrics are the names given there, `value` for a single one: numbers as they
are, TimeTicks in seconds, text as words; a counter has its rate per second beside it (`value_rate`), from the second
look on, also over a restart of the agent within an hour. Critical when the agent does not answer or has no such value; the rest is for `warn` and `crit` to say. The
community, or user and passwords, come from `access` or from the host's variables `snmp_community`, `snmp_user`,
`snmp_password`, `snmp_privacy` and so on, plain or as `{secret: name}`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from agent.checks import Target, check
from agent.checks.asking import Oid, SnmpAccess, access_of, session
from agent.checks.counting import Moment, gained, moment, seconds_between
from agent.checks.profile import Sensor, sources
from agent.checks.reading import Pattern, is_found, one_line, told
from agent.checks.recalling import UNKEPT, Kept
from agent.checks.sensing import rows, sensed
from agent.clock import Deadline
from agent.closed import ClosedModel, Text
from agent.errors import TransportError
from agent.model.check import RunFrom
from agent.model.look import Look, Measure, Unit, Verdict
from agent.model.spelling import spelled
from agent.transports.snmp import ber
from agent.transports.snmp.ber import Cell
from agent.transports.snmp.session import Access, Session

_UPTIME = ber.oid("1.3.6.1.2.1.1.3.0")
_IDENTITY = ber.oid("1.3.6.1.2.1.1.2.0")
_LONGEST = 200  # characters of a text as a metric
_MOST_ROWS = 5_000  # instances of one check; a device may tell of other ones at each look


class SnmpOptions(ClosedModel):
    """Which values, and how the agent is opened."""

    oid: Oid | None = Field(default=None, description="One value: its whole name, such as 1.3.6.1.2.1.25.1.6.0")
    oids: dict[Text, Oid] = Field(default={}, description="Several values: metric: name")
    table: dict[Text, Oid] = Field(default={}, description="Columns of a table, metric: name; one instance per row")
    where: dict[Text, Pattern] = Field(
        default={}, description="Column: pattern (RE2); only rows in which all of them are found"
    )
    instance: Text | None = Field(default=None, description="The column that names the rows; left out: their index")
    sensor: Sensor | None = Field(
        default=None, description="cpu, memory, temperature, fans, power or bgp: found by the profile of the device"
    )
    access: SnmpAccess = Field(default_factory=SnmpAccess, description="What opens the agent")

    @model_validator(mode="after")
    def _asks_for_one_thing(self) -> Self:
        if sum(map(bool, (self.oid, self.oids, self.table, self.sensor))) != 1:
            raise ValueError("exactly one of oid, oids, table and sensor is due")
        for column in (*self.where, *([self.instance] if self.instance is not None else [])):
            if column not in self.table:
                raise ValueError(f"{column!r} is not a column of the table")
        return self


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Memory:
    """What a look leaves: what opened the agent, and the counters with their moment."""

    access: Annotated[Access | None, Field(exclude=True), UNKEPT] = None
    moment: Moment | None = None
    counters: Mapping[str, Mapping[str, Cell]] = dataclasses.field(default_factory=dict)  # by instance and name
    counts: bool = True  # whether there was a counter in it, so that the time matters
    identity: str = ""


@check("snmp")
class Snmp:
    """One GET, or one walk through a table."""

    OPTIONS: ClassVar = SnmpOptions
    SHORT: ClassVar = "oid"
    METRICS: ClassVar[Mapping[str, Unit] | None] = None
    RUN_FROM: ClassVar = RunFrom.AGENT
    INSTANCES: ClassVar = True
    MEMORY: ClassVar = Kept(_Memory, lasts=False)

    @staticmethod
    async def reach(target: Target, options: SnmpOptions, deadline: Deadline) -> Look:
        """Ask; over by the deadline."""
        before: _Memory = target.memory or _Memory(access=None)
        access = before.access or access_of(target, options.access)
        asking = session(target, access, deadline)
        try:
            if options.sensor is not None:
                return await _sensors(asking, options.sensor, before, access)
            if options.table:
                return await _rows(asking, options, before, access, deadline)
            return await _values(asking, options, before, access, deadline)
        except TransportError as error:
            forget = dataclasses.replace(before, access=None)
            return told(Verdict.CRITICAL, str(error), evidence=error.hint, memory=forget)


async def _values(asking: Session, options: SnmpOptions, before: _Memory, access: Access, deadline: Deadline) -> Look:
    names = options.oids or {"value": options.oid or ""}
    first = [_UPTIME] if before.counts or before.access is None else []  # nobody needs the time of what does not count
    cells = await asking.get([*first, *map(ber.oid, names.values())])
    row = dict(zip(names, cells[len(first) :], strict=True))
    missing = [names[name] for name, cell in row.items() if cell[0] in ber.ABSENT]
    reading = _Reading(before, cells[0] if first else None, deadline, access)
    if missing:
        row = {name: cell for name, cell in row.items() if cell[0] not in ber.ABSENT}
    metrics, units = reading.metrics("", row)
    if missing:
        verdict, summary = Verdict.CRITICAL, f"no {', '.join(missing)} there"
    else:
        verdict, summary = Verdict.OK, _summary(metrics, units, named="value" if options.oid else "")
    return told(verdict, summary, metrics=metrics, units=units, memory=reading.left())


async def _rows(asking: Session, options: SnmpOptions, before: _Memory, access: Access, deadline: Deadline) -> Look:
    [uptime] = await asking.get([_UPTIME])
    columns = await asking.table([ber.oid(name) for name in options.table.values()])
    reading = _Reading(before, uptime, deadline, access)
    found: dict[str, Look] = {}
    for index, row in rows(tuple(options.table), columns):
        if all(name in row and is_found(pattern, ber.text(row[name])) for name, pattern in options.where.items()):
            name = one_line(ber.text(row[options.instance]), 100) if options.instance in row else ""
            name = name if name and name not in found else f"{name} ({index})" if name else index
            metrics, units = reading.metrics(name, row)
            found[name] = told(Verdict.OK, _summary(metrics, units), metrics=metrics, units=units)
            if len(found) > _MOST_ROWS:
                return told(Verdict.UNKNOWN, f"more than {_MOST_ROWS:,} rows: leave some out by where")
    if not found:
        summary = "no row matches" if any(columns) else "there is no such table"
        return told(Verdict.UNKNOWN, summary, memory=reading.left())
    summary = f"{len(found)} row{'s' if len(found) != 1 else ''}"
    return told(Verdict.OK, summary, instances=found, memory=reading.left())


async def _sensors(asking: Session, sensor: Sensor, before: _Memory, access: Access) -> Look:
    identity = before.identity if before.access is not None else ""
    if not identity:
        [cell] = await asking.get([_IDENTITY])
        identity = ber.text(cell)
    title, where = sources(identity, sensor)
    found = await sensed(asking, sensor, where)
    memory = _Memory(access=access, identity=identity)
    if not found:
        summary = f"no {sensor} found on it ({title}, {identity or 'it has no sysObjectID'})"
        return told(Verdict.UNKNOWN, summary, memory=memory)
    worst = max(found, key=lambda name: (found[name].verdict.weight, _size(found[name])))
    summary = f"{worst}: {found[worst].summary}" + (f" (worst of {len(found)})" if len(found) > 1 else "")
    verdict = found[worst].verdict
    return told(verdict, summary, instances=found, memory=memory)


def _size(look: Look) -> float:
    return max((value for value in look.metrics.values() if isinstance(value, float)), default=0.0)


class _Reading:
    """One reading of values, beside the one before."""

    def __init__(self, before: _Memory, uptime: Cell | None, deadline: Deadline, access: Access) -> None:
        self._before = before
        self._access = access
        self._counters: dict[str, dict[str, Cell]] = {}
        self._moment = None if uptime is None else moment(uptime, deadline.clock.boottime())
        self._seconds = seconds_between(before.moment, self._moment) if before.moment and self._moment else None

    def left(self) -> _Memory | None:
        """What the next look will want to know; None when it is what it was."""
        before, counts = self._before, bool(self._counters)
        if not counts and not before.counts and before.access is self._access:
            return None
        return _Memory(access=self._access, moment=self._moment, counters=self._counters, counts=counts)

    def metrics(self, instance: str, row: Mapping[str, Cell]) -> tuple[dict[str, Measure], dict[str, Unit]]:
        """The values of one row as metrics, and their units; a counter with its rate, if there is one."""
        metrics: dict[str, Measure] = {}
        units: dict[str, Unit] = {}
        for name, cell in row.items():
            metrics[name], units[name] = _measure(cell)
            if cell[0] in ber.COUNTERS:
                self._counters.setdefault(instance, {})[name] = cell
                rate = self._rate(self._before.counters.get(instance, {}).get(name), cell)
                if rate is not None:
                    metrics[f"{name}_rate"], units[f"{name}_rate"] = rate, Unit.PER_SECOND
        return metrics, units

    def _rate(self, before: Cell | None, after: Cell) -> float | None:
        if before is None or self._seconds is None or before[0] != after[0]:
            return None
        rise = gained(int(ber.number(before) or 0), int(ber.number(after) or 0), ber.COUNTERS[after[0]])
        return None if rise is None else rise / self._seconds


def _summary(metrics: Mapping[str, Measure], units: Mapping[str, Unit], named: str = "") -> str:
    """The metrics in words; `named` goes without its name."""
    words = (f"{'' if name == named else f'{name} '}{_shown(value, units[name])}" for name, value in metrics.items())
    return ", ".join(words) or "nothing"


def _measure(cell: Cell) -> tuple[Measure, Unit]:
    value = ber.number(cell)
    if cell[0] == ber.TIME_TICKS and value is not None:
        return value / 100, Unit.SECONDS
    if value is not None and abs(value) < float("inf"):
        return float(value), Unit.NUMBER
    return one_line(ber.text(cell), _LONGEST), Unit.TEXT


def _shown(value: Measure, unit: Unit) -> str:
    return one_line(value, 60) if isinstance(value, str) else spelled(value, unit)
