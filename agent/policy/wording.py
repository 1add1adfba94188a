"""The words of the loader's messages: what is wrong, and what was probably meant."""

import difflib
from collections.abc import Iterable

import yaml
import yaml.reader

_CURE = "put quotes around it"
_SHORT = 3  # letters: below that, anything resembles everything


def quoted(text: object) -> str:
    """A piece of a file inside a message: one line, not too long."""
    shown = repr(str(text))
    return shown if len(shown) <= 80 else f"{shown[:76]}…'"


def meant(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or nothing when no known word is near."""
    near = nearest(word, known)
    return f"; did you mean {near!r}?" if near else ""


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that was probably meant: letters swapped, or few of them wrong; "" when there is none."""
    words = sorted(known)
    letters = sorted(word)
    swapped = next((one for one in words if sorted(one) == letters), "")
    cutoff = 0.8 if len(word) <= _SHORT else 0.7
    return swapped or next(iter(difflib.get_close_matches(word, words, n=1, cutoff=cutoff)), "")


def unknown(what: str, word: str, known: Iterable[str]) -> str:
    """`unknown team 'wbe'; did you mean 'web'?`, or the list of those that exist."""
    known = sorted(known)
    near = meant(word, known)
    if not near and known:
        shown = ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
        near = f" (known: {shown})"
    return f"unknown {what} {quoted(word)}{near}"


def place(data: bytes, offset: int) -> tuple[int, int]:
    """Line and column, from 1, of a byte."""
    before = data[:offset]
    line = before.count(b"\n") + 1
    last = before.rfind(b"\n") + 1
    return line, len(before[last:].decode("utf-8", "replace")) + 1


def of_yaml(error: yaml.YAMLError, data: bytes) -> tuple[int, int, str]:
    """Line, column and message of what the scanner, the parser or the reader of the library died of."""
    if isinstance(error, yaml.reader.ReaderError):
        line, column = place(data, int(error.position))
        return line, column, "a control character is not text: remove it"
    if not isinstance(error, yaml.MarkedYAMLError):
        return 1, 1, "this is not YAML"
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return 1, 1, f"this is not YAML: {error.problem}"
    return mark.line + 1, mark.column + 1, _scanned(error, _line(data, mark.line), mark.column)


def _line(data: bytes, number: int) -> str:
    lines = data.decode("utf-8", "replace").splitlines()
    return lines[number] if number < len(lines) else ""


def _scanned(error: yaml.MarkedYAMLError, line: str, column: int) -> str:
    problem, context = str(error.problem or ""), str(error.context or "")
    character = line[column : column + 1]
    if "cannot start any token" in problem:
        if character == "\t":
            return f"a tab cannot stand here: indent with spaces, or, if this is text, {_CURE}"
        return f"{character!r} cannot start a value: {_CURE}"
    for what, sign in (("alias", "*"), ("anchor", "&"), ("tag", "!"), ("directive", "%")):
        if what in context:
            return f"{sign!r} starts a YAML {what}, and those are refused; if this is text, {_CURE}"
    if "mapping values are not allowed" in problem:
        return f"': ' cannot stand here: check the indentation, or, if this is text, {_CURE}"
    if "{{" in line:
        return f"'{{{{' starts a mapping here: {_CURE}"
    return f"not YAML: {problem}" + (f" ({context})" if context else "")
