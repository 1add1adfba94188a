"""Whether what a device printed is its whole configuration: decided before anything is kept, with the reason.

A read that fails here replaces nothing. Pure: text in, a reason out; "" means that nothing speaks against it.
"""

import collections
import dataclasses
import unicodedata
from collections.abc import Iterator, Sequence

from agent.backups.configs import patterns
from agent.backups.configs.platforms import ERRORS, PAGERS, Ending, Platform

BAND = 0.30  # a configuration without an end marker may lose so much of its size without a person looking at it
_REPLACED = "\N{REPLACEMENT CHARACTER}"
_QUOTED = 80
_TAIL = 3  # lines


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """What is known beforehand: the names that the device may call itself by, and lines that change by themselves."""

    rules: Platform
    names: tuple[str, ...]
    ignore: tuple[str, ...] = ()


def names_of(inventory_name: str, configured: str) -> tuple[str, ...]:
    """What a device may call itself: what is configured, else its name in the inventory, with or without domain."""
    if configured:
        return (configured.casefold(),)
    name = inventory_name.casefold()
    return tuple(dict.fromkeys((name, name.partition(".")[0])))


def tidied(text: str, expected: Expected) -> str:
    """The configuration alone: without what changes by itself, line ends and trailing space as everywhere."""
    noise = patterns.all_of((*expected.rules.noise, *expected.ignore))
    lines = (line.rstrip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    kept = "\n".join(line for line in lines if not any(one.search(line) for one in noise)).strip("\n")
    return f"{kept}\n" if kept else ""


def fault(text: str, shown: str, expected: Expected) -> str:
    """Why one read, tidied, is not a whole configuration; `shown` is the same without secrets, for the reason to quote."""
    lines, quotable = text.split("\n"), shown.split("\n")
    if not text:
        return "it printed nothing"
    if odd := next((one for one in text if unicodedata.category(one) == "Cc" and one not in "\n\t"), ""):
        return f"there is a control character in what it printed (0x{ord(odd):02x}): its pager or its colours are on"
    for what, signs in (("its pager is on", patterns.all_of(PAGERS)), ("it complains", patterns.all_of(ERRORS))):
        if patterns.first_match(signs, lines):
            return f"{what}: {quoted(patterns.first_match(signs, quotable))}"
    return _wrong_name(lines, expected) or _no_end(text, shown, expected.rules)


def _wrong_name(lines: Sequence[str], expected: Expected) -> str:
    if not expected.rules.hostname:
        return ""
    pattern = patterns.compiled(expected.rules.hostname)
    found = [match["name"] for line in lines if (match := pattern.search(line))]
    wanted = " or ".join(expected.names)
    if not found:
        return "" if expected.rules.name == "generic" else f"no line of it names the device {wanted}"
    if any(name.casefold() in expected.names for name in found):
        return ""
    return f"it is the configuration of {quoted(found[0])}, not of {wanted}"


def _no_end(text: str, shown: str, rules: Platform) -> str:
    last, quotable = (one.rstrip("\n").rpartition("\n")[2] for one in (text, shown))
    if rules.ending is Ending.MARKER and not patterns.compiled(rules.marker).search(last):
        return f"its end is missing: the last line is {quoted(quotable)}"
    if rules.ending is Ending.BRACES and (depth := _depth_of_braces(text)):
        return f"its end is missing: {depth} braces are not closed" if depth > 0 else "its beginning is missing"
    if rules.ending is Ending.BLOCKS and (depth := _depth_of_blocks(text)):
        return f"its end is missing: {depth} blocks are not closed" if depth > 0 else "its beginning is missing"
    return ""


def _depth_of_braces(text: str) -> int:
    """How many are open at the end; quoted text and comments do not count."""
    depth = 0
    for line in text.split("\n"):
        outside = "".join(line.split('"')[::2]).partition("#")[0]
        depth += outside.count("{") - outside.count("}")
        if depth < 0:
            return -1
    return depth


def _depth_of_blocks(text: str) -> int:
    depth = 0
    for line in _outside_quotes(text):
        depth += (line.partition(" ")[0] in {"config", "edit"}) - (line in {"end", "next"})
        if depth < 0:
            return -1
    return depth


def _outside_quotes(text: str) -> Iterator[str]:
    """The lines that begin outside quoted text, which may go over many lines (a certificate)."""
    inside = False
    for line in text.split("\n"):
        if not inside:
            yield line.strip()
        inside ^= bool(line.replace("\\\\", "").replace('\\"', "").count('"') % 2)


def unlike(first: str, second: str) -> str:
    """Why two reads of the same configuration are not the same; both tidied, and without secrets."""
    if first == second:
        return ""
    pairs = zip(first.split("\n"), second.split("\n"), strict=False)
    line = next((other for one, other in pairs if one != other), "")
    if not line:
        return "two reads, one after the other, are of different length"
    return f"two reads, one after the other, differ at {quoted(line)}"


def shrunk(last: str, text: str, rules: Platform) -> str:
    """Why a configuration without an end marker may be the beginning of one only, by what it was the last time."""
    if rules.ending is Ending.MARKER or not last or last == text:
        return ""
    if len(text) < len(last) * (1 - BAND):
        return f"it has {len(text)} bytes, the last good one {len(last)}, and no mark at its end"
    tail = _tail(last.rstrip("\n").split("\n"))
    if text.rstrip("\n").split("\n")[-len(tail) :] != tail:
        return f"it has no mark at its end, and its last {len(tail)} lines are others than in the last good one"
    return ""


def _tail(lines: Sequence[str]) -> list[str]:
    """The last lines, so many that one of them stands nowhere else: where they are, the end is."""
    counted = collections.Counter(lines)
    last = max((number for number, line in enumerate(lines) if counted[line] == 1), default=0)
    return list(lines[min(last, max(0, len(lines) - _TAIL)) :])


def foreign_lines(text: str) -> int:
    """How many lines hold bytes that are no UTF-8: those cannot be given back as they were."""
    return sum(_REPLACED in line for line in text.split("\n"))


def quoted(line: str) -> str:
    """A line of a device as part of a sentence: short, and nothing in it that a terminal would follow."""
    plain = "".join(one if one.isprintable() else "?" for one in line.strip())
    return repr(plain if len(plain) <= _QUOTED else f"{plain[:_QUOTED]}…")
