"""check: interfaces — are a device's interfaces up, how busy are they, and do they make errors?

The tables of RFC 2863 (IF-MIB), read by SNMP as `snmp` does. Each interface that matches is an instance under its name
(ifName, else ifDescr), whatever its index is today. `oper` and `admin` are the words of the MIB (up, down, testing …);
`in` and `out` are bits per second, `utilization` the busier direction's share of its speed, `errors` and `discards`
both directions together. Rates need a look before: there are none in the first, after a restart of the device, nor for an interface
whose counters were set back, whose index moved, or whose 32-bit counters may have come round more than once. They
outlast a restart of the agent if it was away for less than an hour, and the device has at most some 1,200 interfaces.
Critical when the device does not answer; the rest is for `warn` and `crit` to say.
"""

import collections
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from agent.checks import Target, check
from agent.checks.asking import SnmpAccess, access_of, session
from agent.checks.counting import Moment, gained, moment, seconds_between
from agent.checks.reading import Pattern, is_found, one_line, told
from agent.checks.recalling import UNKEPT, Finite, Kept
from agent.clock import Deadline
from agent.closed import ClosedModel
from agent.errors import TransportError
from agent.model.check import RunFrom
from agent.model.look import Look, Measure, Unit, Verdict
from agent.transports.snmp import ber
from agent.transports.snmp.ber import Cell
from agent.transports.snmp.session import Access, Column, Session

_UPTIME = ber.oid("1.3.6.1.2.1.1.3.0")
_IF, _IFX = "1.3.6.1.2.1.2.2.1", "1.3.6.1.2.1.31.1.1.1"
_COLUMNS = MappingProxyType({
    "name": f"{_IFX}.1", "alias": f"{_IFX}.18", "admin": f"{_IF}.7", "oper": f"{_IF}.8", "fast": f"{_IFX}.15",
    "in": f"{_IFX}.6", "out": f"{_IFX}.10", "since": f"{_IFX}.19", "in_discards": f"{_IF}.13",
    "in_errors": f"{_IF}.14", "out_discards": f"{_IF}.19", "out_errors": f"{_IF}.20",
})  # fmt: skip
# For devices, and for single interfaces, without the newer table.
_OLD = MappingProxyType({"descr": f"{_IF}.2", "speed": f"{_IF}.5", "old_in": f"{_IF}.10", "old_out": f"{_IF}.16"})
_STATES = ("", "up", "down", "testing", "unknown", "dormant", "notPresent", "lowerLayerDown")
_NO_SPEED = 2**32 - 1  # ifSpeed of what is faster than 32 bits can say
_MOST_BUSY = 2.0  # a direction busier than twice its speed was not: a counter was set back unseen
_NAMED = 5  # interfaces named in the summary of all

Row = Mapping[str, Cell]


class InterfacesOptions(ClosedModel):
    """Which interfaces."""

    match: Pattern | None = Field(default=None, description="Pattern (RE2) of their names; left out: all")
    alias: Pattern | None = Field(
        default=None, description="Pattern (RE2) of what people called them on the device (ifAlias)"
    )
    admin: Literal["up", "all"] = Field(
        default="up", description="up: not those that were switched off on the device; all: those as well"
    )
    access: SnmpAccess = Field(default_factory=SnmpAccess, description="What opens the agent")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Counted:
    """An interface's counters at one moment: (value, size) each, and what tells whether the next can be compared."""

    index: bytes
    since: Finite
    counters: Mapping[str, tuple[int, int]]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Memory:
    access: Annotated[Access | None, Field(exclude=True), UNKEPT] = None
    moment: Moment | None = None
    counted: Mapping[str, _Counted] = dataclasses.field(default_factory=dict)


@check("interfaces")
class Interfaces:
    """One walk through twelve columns."""

    OPTIONS: ClassVar = InterfacesOptions
    SHORT: ClassVar = "match"
    METRICS: ClassVar[Mapping[str, Unit]] = {
        "oper": Unit.TEXT, "admin": Unit.TEXT, "utilization": Unit.SHARE, "in": Unit.BITS_PER_SECOND,
        "out": Unit.BITS_PER_SECOND, "errors": Unit.PER_SECOND, "discards": Unit.PER_SECOND,
    }  # fmt: skip
    RUN_FROM: ClassVar = RunFrom.AGENT
    INSTANCES: ClassVar = True
    MEMORY: ClassVar = Kept(_Memory, lasts=False)

    @staticmethod
    async def reach(target: Target, options: InterfacesOptions, deadline: Deadline) -> Look:
        """Ask; over by the deadline."""
        before: _Memory = target.memory or _Memory(access=None)
        access = before.access or access_of(target, options.access)
        asking = session(target, access, deadline)
        try:
            [uptime] = await asking.get([_UPTIME])
            now = moment(uptime, deadline.clock.boottime())
            rows = await _rows(asking)
        except TransportError as error:
            forget = dataclasses.replace(before, access=None)
            return told(Verdict.CRITICAL, str(error), evidence=error.hint, memory=forget)
        return _looked(rows, options, before, _Memory(access=access, moment=now))


async def _rows(asking: Session) -> dict[bytes, Row]:
    """The interfaces by their index."""
    rows = _joined(_COLUMNS, await asking.table([ber.oid(name) for name in _COLUMNS.values()]))
    if any(not row.keys() >= {"name", "in", "out"} or not row["name"][1] for row in rows.values()):
        older = _joined(_OLD, await asking.table([ber.oid(name) for name in _OLD.values()]))
        rows = {index: {**row, **older.get(index, {})} for index, row in rows.items()}
    return rows


def _joined(names: Mapping[str, str], columns: Sequence[Column]) -> dict[bytes, Row]:
    rows: dict[bytes, dict[str, Cell]] = {}
    for name, column in zip(names, columns, strict=True):
        for index, cell in column.items():
            rows.setdefault(index, {})[name] = cell
    return {index: row for index, row in rows.items() if "oper" in row or "descr" in row}


def _looked(rows: Mapping[bytes, Row], options: InterfacesOptions, before: _Memory, now: _Memory) -> Look:
    seconds = seconds_between(before.moment, now.moment) if before.moment and now.moment else None
    counted: dict[str, _Counted] = {}
    found: dict[str, Look] = {}
    for name, index, row in _named(rows):
        if not _is_meant(name, row, options):
            continue
        counted[name] = _Counted(index=index, since=_number(row, "since"), counters=dict(_counters(row)))
        found[name] = _one(name, row, _rates(before.counted.get(name), counted[name], seconds, _speed(row)))
    memory = dataclasses.replace(now, counted=counted)
    if not found:
        summary = "no interface matches" if rows else "it tells of no interfaces"
        return told(Verdict.UNKNOWN, summary, memory=memory)
    down = [name for name, look in found.items() if look.metrics["oper"] != "up"]
    summary = f"{len(found) - len(down)} of {len(found)} up"
    if down:
        summary += f"; not up: {', '.join(down[:_NAMED])}{' …' if len(down) > _NAMED else ''}"
    return told(Verdict.OK, summary, instances=found, memory=memory)


def _named(rows: Mapping[bytes, Row]) -> Iterator[tuple[str, bytes, Row]]:
    """Every interface with a name of its own; namesakes carry their index as well."""
    names = {index: _text(row, "name") or _text(row, "descr") for index, row in rows.items()}
    times = collections.Counter(names.values())
    for index in sorted(rows, key=ber.numbers):
        name, number = names[index], ".".join(map(str, ber.numbers(index)))
        yield (name if name and times[name] == 1 else f"{name} ({number})".strip()), index, rows[index]


def _is_meant(name: str, row: Row, options: InterfacesOptions) -> bool:
    if options.admin == "up" and _state(row, "admin") == "down":
        return False
    if options.match is not None and not is_found(options.match, name):
        return False
    return options.alias is None or is_found(options.alias, _text(row, "alias"))


def _one(name: str, row: Row, rates: Mapping[str, float]) -> Look:
    metrics: dict[str, Measure] = {"oper": _state(row, "oper"), "admin": _state(row, "admin"), **rates}
    alias = _text(row, "alias")
    words = f"{name}{f' ({alias})' if alias else ''}: {metrics['oper']}"
    if "utilization" in rates:
        words += f", {rates['utilization']:.0%} used"
    if rates.get("errors") or rates.get("discards"):
        words += f", {rates.get('errors', 0.0):.3g} errors/s, {rates.get('discards', 0.0):.3g} discards/s"
    return told(Verdict.OK, words, metrics=metrics)


def _rates(before: _Counted | None, now: _Counted, seconds: float | None, speed: float) -> dict[str, float]:
    if before is None or seconds is None or before.index != now.index or before.since != now.since:
        return {}
    per_second: dict[str, float] = {}
    for name, (value, size) in now.counters.items():
        earlier, earlier_size = before.counters.get(name, (0, 0))
        rise = gained(earlier, value, size) if size == earlier_size else None
        if rise is not None:
            per_second[name] = rise / seconds
    rates: dict[str, float] = {name: per_second[name] * 8 for name in ("in", "out") if name in per_second}
    round_trip = {name for name in rates if now.counters[name][1] / speed * 8 < seconds} if speed else set()
    if any(rate > _MOST_BUSY * speed > 0 for rate in rates.values()) or round_trip:
        rates = {}
    if rates and speed:
        rates["utilization"] = max(rates.values()) / speed
    for what in ("errors", "discards"):
        both = [per_second[name] for name in (f"in_{what}", f"out_{what}") if name in per_second]
        if both:
            rates[what] = sum(both)
    return rates


def _counters(row: Row) -> Iterator[tuple[str, tuple[int, int]]]:
    for name in ("in", "out", "in_errors", "out_errors", "in_discards", "out_discards"):
        cell = row.get(name) or row.get(f"old_{name}")
        if cell is not None and cell[0] in ber.COUNTERS:
            yield name, (int(ber.number(cell) or 0), ber.COUNTERS[cell[0]])


def _speed(row: Row) -> float:
    """Bits per second; 0 when it does not tell."""
    fast, speed = _number(row, "fast"), _number(row, "speed")
    return fast * 1e6 if fast > 0 else speed if 0 < speed < _NO_SPEED else 0.0


def _state(row: Row, name: str) -> str:
    value = int(_number(row, name))
    return _STATES[value] if 0 < value < len(_STATES) else "unknown"


def _number(row: Row, name: str) -> float:
    return (ber.number(row[name]) or 0) if name in row else 0


def _text(row: Row, name: str) -> str:
    return one_line(ber.text(row[name]), 100).replace("#", "") if name in row else ""
