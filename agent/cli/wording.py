"""Words for people: times, spans, sizes, and who is typing; text from hosts is made harmless here."""

import os
import pwd
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

MICROSECONDS = 1_000_000
_NOBODY = "4294967295"  # (uid_t)-1: nobody logged in, proc_pid_loginuid(5)
# Control characters, and those that turn the direction of writing: a host must not paint the operator's terminal.
_HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def harmless(text: object, *, keep_lines: bool = False) -> str:
    """Text without anything that moves a cursor, changes colours or hides; what was there is shown as an escape."""
    lines = str(text).expandtabs(4)
    if not keep_lines:
        lines = lines.replace("\r\n", "\n").replace("\n", " ")
    safe = _HARMFUL.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), lines)
    return safe.encode("utf-8", "backslashreplace").decode("utf-8")


def span(seconds: float | None) -> str:
    """A length of time by its two biggest units: `45 s`, `3 min`, `2 h 5 min`, `4 d 1 h`."""
    if seconds is None:
        return "-"
    whole = round(abs(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86400:
        hours, minutes = whole // 3600, whole % 3600 // 60
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = whole // 86400, whole % 86400 // 3600
    return f"{days} d {hours} h" if hours else f"{days} d"


def ago(at_us: int | None, now_us: int) -> str:
    """`3 min ago`, `in 2 h`, `-` for never."""
    if not at_us:
        return "-"
    seconds = (now_us - at_us) / MICROSECONDS
    if abs(seconds) < 1:
        return "just now"
    return f"{span(seconds)} ago" if seconds > 0 else f"in {span(seconds)}"


def local(at_us: int | None) -> str:
    """A moment in this machine's own time zone: `2026-11-23 02:47:04`."""
    if not at_us:
        return "-"
    return datetime.fromtimestamp(at_us / MICROSECONDS, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def time_of_day(at_us: int) -> str:
    """The clock on the wall: `02:47:04`."""
    return local(at_us)[11:]


def drifted(found: Mapping[str, Any] | None) -> str:
    """The last drift of a device, in a few words; "" when there was none."""
    if found is None:
        return ""
    return f"{found['at'][:16].replace('T', ' ')} UTC, {'stands' if found['stands'] else 'past'}"


def titled(incident: Mapping[str, Any]) -> str:
    """The title of an incident, with its host where the title itself does not name it."""
    title, host = incident["title"], incident["host"]
    return title if not host or host in re.split(r"[\s,;:()@]+", title) else f"{title} ({host})"


def size(count: int | None) -> str:
    """Bytes by decimal units: `4.2 MB`."""
    if count is None:
        return "-"
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def plural(count: int, noun: str) -> str:
    """`1 check`, `3 checks`, `2 remedies`."""
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun.removesuffix('y')}ies" if noun.endswith("dy") else f"{count} {noun}s"


def person() -> str:
    """The login name of whoever types: the one who logged in, also behind sudo; else the owner of this process."""
    try:
        logged_in = Path("/proc/self/loginuid").read_text(encoding="ascii").strip()
        return pwd.getpwuid(os.getuid() if logged_in == _NOBODY else int(logged_in)).pw_name
    except (OSError, ValueError, KeyError):
        return str(os.getuid())
