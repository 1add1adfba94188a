"""What probes share in reading a host's text: made plain, bounded, and searched by patterns that cannot explode."""

import functools
import re
import shlex
from typing import Annotated, Any

from pydantic import AfterValidator

from agent.closed import Text

SUMMARY_CHARACTERS = 200  # one line of a terminal or a ticket's title
EVIDENCE_CHARACTERS = 2_000  # enough for a stack trace, too little to fill a store
# Sequences first (colours, window titles: ECMA-48), then what is left of the controls, and the Unicode
# characters that reorder or hide text (bidi overrides, zero widths), which could make a line say what it does not.
_SEQUENCES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?")
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_STDERR = "\x1e stderr \x1e"  # record separators: no plugin prints them by accident


def plain(text: str, limit: int = EVIDENCE_CHARACTERS) -> str:
    """The text without terminal sequences and control characters (line ends and tabs stay), cut at the limit."""
    kept = _CONTROLS.sub("", _SEQUENCES.sub("", text[: limit * 4].replace("\r\n", "\n").replace("\r", "\n"))).strip()
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"


def one_line(text: str, limit: int = SUMMARY_CHARACTERS) -> str:
    """The text as one plain line, cut at the limit."""
    line = " ".join(plain(text, limit * 4).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


@functools.lru_cache(maxsize=1024)
def compiled(pattern: str) -> Any:
    """The pattern, compiled once; ValueError says what is wrong with it."""
    import re2  # type: ignore[import-untyped]  # it ships no types

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        said: Any = error.args[0] if error.args else ""
        words = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        raise ValueError(f"{pattern!r} is not a pattern (RE2): {words}") from error


def is_found(pattern: str, text: str) -> bool:
    """Whether the pattern occurs anywhere in the text."""
    return bool(compiled(pattern).search(text))


def _compiles(pattern: str) -> str:
    compiled(pattern)
    return pattern


Pattern = Annotated[Text, AfterValidator(_compiles)]  # RE2 syntax, found anywhere in the text


def apart(command: str) -> str:
    """POSIX sh that runs the operator's command so that `split` can tell its stdout from its stderr.

    The exit code is the command's. Only the tail of stderr is kept, by `tail`, so that it cannot fill the host's memory.
    """
    return (
        "exec 3>&1\n"
        f"said=$( {{ sh -c {shlex.quote(command)} 2>&1 >&3 3>&- </dev/null; printf '\\n%s' \"$?\"; }} | tail -c 4000 )\n"
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
