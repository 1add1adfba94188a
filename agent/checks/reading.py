"""What probes share in reading a host's text: made plain, bounded, and searched by patterns that cannot explode."""

import functools
import json
import re
import shlex
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import AfterValidator

from agent.closed import Text
from agent.model.look import NOTHING, Look, Measure, Unit, Verdict

SUMMARY_CHARACTERS = 200  # one line of a terminal or a ticket's title
_PATTERN_STEPS = 4_000  # RE2 is linear in the text, but times these at worst: `.{0,100}` has 900
JSON_VALUES = 50_000  # a mebibyte of small ones would be a hundred in memory
EVIDENCE_CHARACTERS = 2_000  # enough for a stack trace, too little to fill a store
# Colours, window titles and their like (ECMA-48), whole, so that no half of one stays behind as text.
_SEQUENCES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?")
OUTPUT_BYTES = 60_000  # of a command: with the end of its stderr it fits what is kept of a script
_WASTE_BYTES = 33_554_432
_STDERR = "\x1e stderr \x1e"  # record separators: no plugin prints them by accident


def plain(text: str, limit: int = EVIDENCE_CHARACTERS) -> str:
    """The text without terminal sequences and without characters that cannot be seen, cut at the limit.

    Line ends and tabs stay; marks that reorder or hide text go: with them a line says what it does not.
    """
    if len(text) <= limit and text.isprintable():  # as nearly all is: no control character is printable
        return text.strip()
    kept = _SEQUENCES.sub("", text[: limit * 4]).replace("\r\n", "\n").replace("\r", "\n")
    if not kept.replace("\n", "").replace("\t", "").isprintable():
        kept = "".join(
            letter if letter.isprintable() or letter in "\n\t" else " " * letter.isspace() for letter in kept
        )
    kept = kept.strip()
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"


def one_line(text: str, limit: int = SUMMARY_CHARACTERS) -> str:
    """The text as one plain line, cut at the limit."""
    if len(text) <= limit and text.isprintable():  # no sequence begins, no line ends without what cannot be printed
        return text if "  " not in text and text[:1] != " " != text[-1:] else " ".join(text.split())
    line = " ".join(plain(text, limit * 4).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def told(  # noqa: PLR0913  # a keyword for each field of a look
    verdict: Verdict,
    summary: str,
    *,
    metrics: Mapping[str, Measure] = NOTHING,
    units: Mapping[str, Unit] = MappingProxyType({}),
    instances: Mapping[str, Look] = MappingProxyType({}),
    evidence: str = "",
    memory: Any = None,
) -> Look:
    """A look in plain words: whatever the other side printed, it is one line of summary and bounded evidence."""
    return Look(
        verdict=verdict,
        summary=one_line(summary),
        metrics=metrics,
        units=units,
        instances=instances,
        evidence=plain(evidence) if evidence else "",
        memory=memory,
    )


@functools.lru_cache(maxsize=1024)
def compiled(pattern: str) -> Any:
    """The pattern, compiled once; ValueError says what is wrong with it."""
    import re2  # type: ignore[import-untyped]  # it ships no types

    options = re2.Options()
    options.log_errors = False
    try:
        found = re2.compile(pattern, options)
    except re2.error as error:
        said: Any = error.args[0] if error.args else ""
        words = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        raise ValueError(f"{pattern!r} is not a pattern (RE2): {words}") from error
    if found.programsize > _PATTERN_STEPS:
        much = f"{found.programsize:,} steps, where {_PATTERN_STEPS:,} are allowed"
        raise ValueError(f"{one_line(pattern, 60)!r} is too large a pattern: {much}")
    return found


def is_found(pattern: str, text: str) -> bool:
    """Whether the pattern occurs anywhere in the text."""
    return bool(compiled(pattern).search(text))


def from_json(text: str | bytes) -> Any:
    """What JSON says. ValueError when it is none, is nested too deeply, or has more values than anybody reads."""
    data = text.encode() if isinstance(text, str) else text
    if sum(map(data.count, (b",", b"[", b"{"))) > JSON_VALUES:
        raise ValueError(f"more than {JSON_VALUES:,} values")
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _compiles(pattern: str) -> str:
    compiled(pattern)
    return pattern


# What RE2 knows and grep -E does not, or reads otherwise: \d, \b, (?i), lazy repetition, backslashes inside brackets.
_FOREIGN = re.compile(r"\\[A-Za-z0-9]|\(\?|[*+?}][?+]|\[[^\]]*\\|\n")


def common(pattern: str) -> str:
    """A pattern that RE2 and grep -E read alike; ValueError says what is foreign to one of them."""
    if _FOREIGN.search(pattern) or not pattern:
        raise ValueError(
            f"{pattern!r}: here a pattern is read by grep -E on the host: use [0-9] for \\d, no (?…), no *?"
        )
    return pattern


Pattern = Annotated[Text, AfterValidator(_compiles)]  # RE2 syntax, found anywhere in the text


def apart(command: str) -> str:
    """POSIX sh that runs the operator's command so that `split` can tell its stdout from its stderr.

    The exit code is the command's. What it prints is kept up to `OUTPUT_BYTES`, so much more may go to waste; who prints
    without end is ended by SIGPIPE. Of stderr the tail is kept, by `tail`, so that it cannot fill the host's memory.
    """
    return (
        "exec 3>&1\n"
        f"said=$( {{ {{ sh -c {shlex.quote(command)} 2>&4 3>&- 4>&- </dev/null; printf '\\n%s' \"$?\" >&4; }} | "
        f"{{ head -c {OUTPUT_BYTES} >&3 && head -c {_WASTE_BYTES} >/dev/null || cat >&3; }} 2>/dev/null 4>&-; }} 4>&1 "
        "| tail -c 4000 )\n"
        "code=${said##*[!0-9]}\n"
        f'printf \'\\n%s\\n%s\\n\' {shlex.quote(_STDERR)} "${{said%"$code"}}"\n'
        'exit "${code:-3}"\n'
    )


def split(text: str) -> tuple[str, str]:
    """What a script of `apart` printed: (stdout, end of stderr)."""
    out, _, errors = text.rpartition(f"\n{_STDERR}\n") if _STDERR in text else (text, "", "")
    return out, errors.strip()


def spell_seconds(seconds: float) -> str:
    """A time in words: 34 ms, 2.1 s."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def spell_bytes(count: float) -> str:
    """A size in words: 512 B, 1.2 GB."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
