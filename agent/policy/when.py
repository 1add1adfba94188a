"""When: the forms of `every:`, times and dates of a policy, as values. Nothing is computed here: that is the calendar's."""

import dataclasses
import functools
import re
import zoneinfo
from datetime import UTC, date, datetime, time
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from agent import units
from agent.model.cadence import At, Cadence, Every
from agent.policy import wording

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NTH = {"first": 1, "last": -1}
_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])\Z")
_AT = re.compile(r"(?P<what>[a-z]+(?: [a-z]+)?(?: [0-9]+)?) at (?P<time>\S+)(?: (?P<zone>\S+))?\Z")
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})?)?\Z")
_FORMS = (
    "write it like 30s, 6h, hour at 15m, day at 02:00, monday at 03:30, first sunday at 03:00 or month on 1 at 04:00"
)
_SOONEST = 1.0  # second: below that, looking would be all the machine does
_NEVER = datetime(2024, 1, 1, tzinfo=UTC)  # where the search for a cron date starts: any fixed day does


def cadence(value: object) -> Cadence:
    """One form of `every:`, or a list of them. A calendar rule without a zone has the zone "" until it is expanded."""
    if isinstance(value, list):
        if not value:
            raise ValueError("an empty list is never due")
        return tuple(_one(inner) for inner in value)
    if isinstance(value, tuple):
        return value  # a default of ours
    return (_one(value),)


def in_zone(cadence: Cadence, zone: str) -> Cadence:
    """The cadence, with the rules that name no zone in this one."""
    if all(isinstance(rule, Every) or rule.zone for rule in cadence):
        return cadence
    return tuple(
        dataclasses.replace(rule, zone=zone) if isinstance(rule, At) and not rule.zone else rule for rule in cadence
    )


def text_of(cadence: Cadence) -> str:
    """A cadence in the words of a policy."""
    return ", ".join(units.seconds_text(rule.seconds) if isinstance(rule, Every) else rule.text for rule in cadence)


def _one(value: object) -> Every | At:
    if isinstance(value, dict):
        return _cron(value)
    if not isinstance(value, str):
        raise ValueError(f"a time is expected here: {_FORMS}")  # noqa: TRY004  # pydantic translates ValueError alone
    if value[:1].isdigit():
        seconds = units.duration(value)
        if seconds < _SOONEST:
            raise ValueError(f"{value!r} is too often: at least 1s")
        return Every(seconds=seconds)
    match = _AT.match(value)
    if match is None:
        raise ValueError(f"{wording.quoted(value)} is not a time: {_FORMS}")
    zone = match["zone"] or ""
    if zone:
        known_zone(zone)
    return _rule(value, match["what"], match["time"], zone)


def _rule(text: str, what: str, when: str, zone: str) -> At:
    if what == "hour":
        return At(text=text, zone=zone, rule="hour", minute=_minute(when))
    hour, minute = _clock(when)
    first, _, rest = what.partition(" ")
    if what == "day":
        return At(text=text, zone=zone, rule="day", hour=hour, minute=minute)
    if what == "workday":
        return At(text=text, zone=zone, rule="day", hour=hour, minute=minute, weekdays=(0, 1, 2, 3, 4))
    if what in _DAYS:
        return At(text=text, zone=zone, rule="day", hour=hour, minute=minute, weekdays=(_DAYS.index(what),))
    if first in _NTH and rest in _DAYS:
        days = (_DAYS.index(rest),)
        return At(text=text, zone=zone, rule="day", hour=hour, minute=minute, weekdays=days, nth=_NTH[first])
    if what.startswith("month on "):
        return At(text=text, zone=zone, rule="monthday", hour=hour, minute=minute, monthday=_monthday(what[9:]))
    known = ("hour", "day", "workday", *_DAYS, "month on 1", *(f"{nth} {day}" for nth in _NTH for day in _DAYS))
    raise ValueError(f"{what!r} is not a day{wording.meant(what, known) or ': ' + _FORMS}")


def _minute(text: str) -> int:
    seconds = units.duration(text)
    if seconds >= 3600 or seconds % 60:
        raise ValueError(f"{text!r} is not a minute of the hour: write it like hour at 15m")
    return int(seconds // 60)


def _clock(text: str) -> tuple[int, int]:
    match = _TIME.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a time of the day: 00:00 to 23:59")
    return int(match[1]), int(match[2])


def _monthday(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text[:4]) <= 31:
        raise ValueError(f"{text!r} is not a day of the month: 1 to 31")
    return int(text)


def _cron(value: dict[object, object]) -> At:
    text = value.get("cron")
    if set(value) != {"cron"} or not isinstance(text, str):
        raise ValueError('a mapping here has the one key cron: {cron: "30 2 * * *"}')
    _check_cron(text)
    return At(text=f"cron {text}", zone="", rule="cron", cron=text)


@functools.lru_cache(maxsize=256)
def _check_cron(text: str) -> None:
    from cronsim import CronSim, CronSimError

    if len(text.split()) != 5:
        raise ValueError(f"{wording.quoted(text)} is not a cron line: minute hour day month weekday")
    try:
        next(CronSim(text, _NEVER))
    except CronSimError as error:
        raise ValueError(f"{wording.quoted(text)} is not a cron line: {str(error).lower()}") from error
    except StopIteration:
        raise ValueError(f"{wording.quoted(text)} never comes") from None


@functools.lru_cache(maxsize=256)
def known_zone(name: str) -> zoneinfo.ZoneInfo:
    """The zone of that name; ValueError when the machine's zone data has none."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        near = wording.meant(name, zoneinfo.available_timezones())
        raise ValueError(
            f"{wording.quoted(name)} is not a time zone{near or ': write it like Europe/Berlin'}"
        ) from None


def instant(value: object) -> datetime:
    """A date, or a date and time, `2026-11-28T22:00`; without an offset it is meant in the agent's zone."""
    if isinstance(value, datetime):
        return value
    wrong = "a date or a date and time is expected here, like 2026-11-28 or 2026-11-28T22:00"
    if not isinstance(value, str):
        raise ValueError(wrong)  # noqa: TRY004  # pydantic translates ValueError alone
    if _INSTANT.match(value) is None:
        raise ValueError(f"{wording.quoted(value)}: {wrong}")
    try:
        if len(value) == len("2026-11-28"):
            return datetime.combine(date.fromisoformat(value), time())
        return datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f"{wording.quoted(value)} is not a date: {error}") from error


def microseconds(moment: datetime, zone: str) -> int:
    """Microseconds UTC of a moment, which is in `zone` unless it says otherwise."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=known_zone(zone))
    try:
        return int(aware.timestamp()) * 1_000_000
    except (OverflowError, ValueError) as error:
        raise ValueError(f"{moment.isoformat()} is out of range") from error


def _zone(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a time zone is expected here, like Europe/Berlin")  # noqa: TRY004  # as above
    known_zone(value)
    return value


_EXAMPLES = [
    "30s",
    "6h",
    "hour at 15m",
    "day at 02:00",
    "workday at 02:00",
    "first sunday at 03:00",
    "month on 1 at 04:00",
]
_FORM = {"type": "string", "examples": _EXAMPLES}
_CRON = {
    "type": "object",
    "properties": {"cron": {"type": "string"}},
    "required": ["cron"],
    "additionalProperties": False,
}
_LIST = {"type": "array", "minItems": 1, "items": {"anyOf": [_FORM, _CRON]}}
When = Annotated[Cadence, BeforeValidator(cadence), WithJsonSchema({"anyOf": [_FORM, _CRON, _LIST]})]
Instant = Annotated[
    datetime, BeforeValidator(instant), WithJsonSchema({"type": "string", "examples": ["2026-11-28T22:00"]})
]
Zone = Annotated[str, BeforeValidator(_zone), WithJsonSchema({"type": "string", "examples": ["Europe/Berlin"]})]
