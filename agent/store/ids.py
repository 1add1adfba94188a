"""ULIDs: ids that sort by time and never collide (48 bits of milliseconds, 80 random bits, Crockford base 32)."""

import re
import secrets

from agent.clock import Clock

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 26
_ULID = re.compile(rf"[0-7][{ALPHABET}]{{25}}\Z")


def ulid(clock: Clock) -> str:
    """A new id; two of the same millisecond are in no order."""
    return _written((clock.now() // 1_000) << 80 | secrets.randbits(80))


def earliest(at_us: int) -> str:
    """The id before all that are made from that moment on (µs UTC)."""
    return _written(max(0, at_us // 1_000) << 80)


def _written(number: int) -> str:
    return "".join(ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def is_ulid(text: str) -> bool:
    """Whether the text is an id of this kind."""
    return _ULID.match(text) is not None
