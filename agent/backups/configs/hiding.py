"""Takes the secrets out of a configuration. A secret that changes is seen to change, and never seen.

In its place stands a tag: a keyed hash, so that nobody who has the text can try passwords against it.
"""

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from agent.backups.configs import announced, patterns
from agent.backups.configs.platforms import Platform

KEY_FILE = "hidden.key"
PLAIN_TAG = "<hidden>"
_IS_TAG = re.compile(r"<hidden(?::[0-9a-f]+)?>\W*")
_TAG_DIGITS = 8
_BEGINS, _ENDS = r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY", r"-----END (?:[A-Z]+ )*PRIVATE KEY-----"


def key_in(folder: Path) -> bytes:
    """The key of the tags, made at its first use; only its owner reads it. One process at a time."""
    path = folder / KEY_FILE
    try:
        return path.read_bytes()
    except FileNotFoundError:
        made = secrets.token_bytes(32)
    draft = folder / f".{KEY_FILE}"
    number = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(number, "wb") as stream:
        stream.write(made)
        stream.flush()
        os.fsync(number)
    draft.rename(path)
    return made


def hidden(text: str, rules: Platform, more: Sequence[str], key: bytes) -> str:
    """The text with a tag in place of every secret; `more` are further patterns, each with a group `secret`.

    Lines stay as many, but where the platform breaks long ones.
    """
    tag = _plain if rules.salted else _tagger(key)
    found = _Announced(rules, more)
    begins, ends = patterns.compiled(_BEGINS), patterns.compiled(_ENDS)
    kept: list[str] = []
    inside: list[str] = []
    for line in (re.sub(rules.joint, "", text) if rules.joint else text).split("\n"):
        if inside or (begins.search(line) and not ends.search(line)):
            inside.append(line)
            if ends.search(line):
                kept.append(tag("\n".join(inside)))
                inside = []
        else:
            kept.append(_line(line, found.at(line), tag))
    return "\n".join([*kept, tag("\n".join(inside))] if inside else kept)


class _Announced:
    """The patterns that count for a line: those of every line, and those of what it stands below."""

    def __init__(self, rules: Platform, more: Sequence[str]) -> None:
        self._heading = patterns.compiled(rules.heading)
        self._within = [tuple(map(patterns.compiled, pair)) for pair in (*announced.WITHIN, *rules.within)]
        self._always = patterns.all_of((*announced.EVERYWHERE, *rules.hides, *more))
        self._now = self._always

    def at(self, line: str) -> tuple[Any, ...]:
        """Those of the next line."""
        if self._heading.search(line):
            self._now = (*self._always, *(one for head, one in self._within if head.search(line)))
        return self._now


def _line(line: str, found: Iterable[Any], tag: Callable[[str], str]) -> str:
    spans = {match.span(one.groupindex["secret"]) for one in found for match in one.finditer(line)}
    for begin, end in reversed(_apart(spans)):
        if not _IS_TAG.fullmatch(line[begin:end]):  # what is hidden already stays as it is
            line = f"{line[:begin]}{tag(line[begin:end])}{line[end:]}"
    return line


def _apart(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """What overlaps, as one; from left to right."""
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if merged and begin < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        elif begin < end:
            merged.append((begin, end))
    return merged


def _tagger(key: bytes) -> Callable[[str], str]:
    def tag(secret: str) -> str:
        digest = hmac.new(key, secret.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()
        return f"<hidden:{digest[:_TAG_DIGITS]}>"

    return tag


def _plain(_secret: str) -> str:
    return PLAIN_TAG
