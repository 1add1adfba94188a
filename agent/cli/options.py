"""Options that several commands share, read from the words of the policy language."""

from agent.errors import InputError


def seconds(text: str, option: str) -> float:
    """Seconds of `90s`, `10m`, `24h`; InputError names the option."""
    from agent import units

    try:
        found = units.duration(text)
    except ValueError as error:
        raise InputError(f"{option}: {error}", hint=f"for example: {option} 10m") from error
    if found <= 0:
        raise InputError(f"{option}: {text!r} is no time at all", hint=f"for example: {option} 10m")
    return found


def moment(text: str, option: str, zone: str) -> int:
    """Microseconds UTC of `2026-11-23T02:00`, in the configured zone unless it names one."""
    from datetime import datetime
    from zoneinfo import ZoneInfo

    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"{option}: {text!r} is not a moment", hint=f"for example: {option} 2026-11-23T02:00"
        ) from error
    if found.tzinfo is None:
        found = found.replace(tzinfo=ZoneInfo(zone))
    return int(found.timestamp() * 1_000_000)
