"""Says what restic leaves out, without asking it: its patterns for `--exclude` as regular expressions."""

import re
from collections.abc import Callable, Iterable

from agent.errors import InputError

_PLAIN = re.compile(r"[^\\*?\[\]!]+")
_CLASS = re.compile(r"\[(\^?)((?:\\.|[^\]\\])+)\]", re.DOTALL)


def matcher(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Whether a full path, or a folder above it, matches one of the patterns; InputError for one we cannot read."""
    parts = [_expression(pattern) for pattern in patterns]
    if not parts:
        return lambda _: False
    found = re.compile("|".join(parts), re.DOTALL)
    return lambda path: found.search(path) is not None


def tests(patterns: Iterable[str]) -> list[str]:
    """Those patterns that find(1) can test without a difference, as its words, quoted for a shell.

    None of them when one takes back what others leave out.
    """
    import shlex

    words: list[str] = []
    patterns = tuple(patterns)
    if any(pattern.startswith("!") for pattern in patterns):
        return words
    for pattern in patterns:
        if pattern.startswith("/") and _PLAIN.fullmatch(pattern):
            words.append(f"-path {shlex.quote(pattern.rstrip('/') or '/')}")
        elif re.fullmatch(r"[^\\/\[\]!?]+", pattern) and "**" not in pattern:
            words.append(f"-name {shlex.quote(pattern)}")
    return words


def _expression(pattern: str) -> str:
    """One pattern: at the top when it begins with `/`, else anywhere; what lies below a match is left out as well."""
    if pattern.startswith("!"):
        raise InputError(f"the pattern {pattern!r} cannot be used", hint="name what to leave out, not what to keep")
    is_full = pattern.startswith("/")
    parts = [part for part in pattern.split("/") if part not in {"", "."}]
    if ".." in parts or not parts:
        raise InputError(f"the pattern {pattern!r} cannot be used", hint="write it without `..`")
    text = "".join(r"(?:/[^/]+)*" if part == "**" else f"/{_component(part)}" for part in parts)
    return f"{'^' if is_full else ''}{text}(?:/|\\Z)"


def _component(part: str) -> str:
    """One name of a pattern, in the rules of Go's filepath.Match."""
    text, place = "", 0
    while place < len(part):
        sign = part[place]
        if sign == "[":
            found = _CLASS.match(part, place)
            if found is None:
                raise InputError(f"the pattern {part!r} has a [ without ]", hint="write \\[ for the sign itself")
            text += f"(?!/)[{found[1]}{_inside(found[2])}]"
            place = found.end()
            continue
        if sign == "\\" and place + 1 < len(part):
            place += 1
            text += re.escape(part[place])
        else:
            text += {"*": "[^/]*", "?": "[^/]"}.get(sign) or re.escape(sign)
        place += 1
    return text


def _inside(signs: str) -> str:
    """The inside of a class: ranges stay, all else is literal."""
    return re.sub(r"\\(.)|([\[^&~|])", lambda found: re.escape(found[1] or found[2]), signs, flags=re.DOTALL)
