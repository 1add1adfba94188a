"""Many scripts in one message to a live POSIX sh, each with its own time, size and exit code; pure.

The shell first reads `PRELUDE`, then one message per batch: one call of `wk` per script, answered in one piece. The
answer is any text with records in it; a record starts with the batch's marker, which the scripts cannot see:

    MARKER[   a section begins       MARKER=3;  its script ended with code 3
    MARKER!   its time ran out       MARKER]    the section is over
"""

import functools
import math
import re
import secrets
import shlex
from collections.abc import Iterator, Sequence

from agent.model.look import Section

SECTION_LIMIT = 65_536  # bytes kept of one script's output: evidence, not a log
NOISE_LIMIT = 65_536  # bytes of greeting, such as a motd, that we are ready to skip
_BLOCK = 32_768  # what an SSH packet holds
_RECORD = re.compile(rb"=(\d+);|[\[\]!]")  # what follows a marker
TIMED_OUT = 124  # the exit code that timeout(1) made customary
TOO_MUCH = 141  # what a shell says of a program that wrote on after its reader had left: 128 + SIGPIPE

# timeout(1) is missing on small systems and would cost an exec per script, so the shell itself keeps the time: a
# subshell sleeps beside the script (the dog); when it wakes up, it stops and kills the script's tree, parents first, so
# that none can fork away. What was printed gets a second to arrive, then the rest goes too. The nap is killed by KILL:
# a child that has not exec'ed yet would swallow a TERM. As nearly every batch is over within a second, there is one
# bell for all of it first, and dogs only once it has rung: by a signal, which ends the wait for the script that runs.
# Descriptor 3 is the way past the size limit, for records only. dd gathers the many small pieces of an answer: each
# would be a packet to encrypt there and to wake up for here.
PRELUDE = f"""\
exec 2>/dev/null
LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"; export LC_ALL PATH
wk_cap='head -c {SECTION_LIMIT}'; [ "$(printf xy | head -c 1)" = x ] || wk_cap=cat
wk_pack='dd ibs={_BLOCK} obs={_BLOCK}'; [ "$(printf xy | $wk_pack)" = xy ] || wk_pack=cat
wk_kids() {{
if [ -r "/proc/$1/task/$1/children" ]; then cat "/proc/$1/task/"*/children
else ps -A -o pid= -o ppid= | while read -r wk_a wk_b; do [ "$wk_b" != "$1" ] || echo "$wk_a"; done; fi
}}
wk_kill() {{
kill -STOP "$1"; for wk_kid in $(wk_kids "$1"); do wk_kill "$wk_kid"; done; kill -KILL "$1"
}}
wk_nap() {{
sleep "$1" >/dev/null 3>&- & wait "$!"
}}
wk_dog() {{
trap 'kill -KILL "$!"; wait "$!"; exit' TERM
wk_nap "$2"; printf %s "$1!" >&3
for wk_side in $(wk_kids "$3"); do for wk_root in $(wk_kids "$wk_side"); do wk_kill "$wk_root"; done; done
wk_nap 1; wk_kill "$3"
}}
wk_guard() {{
wk_dog "$wk_mark" "$wk_time" "$wk_pid" </dev/null >/dev/null & wk_mine=$!
}}
wk_end() {{
[ -z "$1" ] || {{ kill "$1"; wait "$1"; }}
}}
wk_bell() {{
trap 'kill -KILL "$!"; wait "$!"; exit' TERM
wk_nap 1; kill -USR1 "$1"
}}
wk_late() {{
wk_slow=1; [ -z "$wk_pid" ] || wk_guard
}}
wk_open() {{
wk_slow=; wk_pid=; wk_ring=
if read -r wk_self wk_rest </proc/self/stat; then
trap wk_late USR1; wk_bell "$wk_self" </dev/null >/dev/null 3>&- & wk_ring=$!
else wk_slow=1; fi
}}
wk() {{
printf %s "$1["
wk_mark=$1; wk_time=$2; wk_mine=
{{ {{ (wk_script=$3; set --; eval "$wk_script") 2>&1 3>&-; printf %s "$1=$?;" >&3; }} | $wk_cap; }} </dev/null &
wk_pid=$!
[ -z "$wk_slow" ] || [ -n "$wk_mine" ] || wk_guard
wait "$wk_pid"; while [ "$?" -gt 128 ] && kill -0 "$wk_pid"; do wait "$wk_pid"; done
wk_pid=; wk_end "$wk_mine"
printf %s "$1]"
}}
wk_now() {{
printf %s "$1["
(wk_script=$2; set --; eval "$wk_script") </dev/null 2>&1 3>&-; printf %s "$1=$?;$1]"
}}
"""


def new_marker() -> str:
    """A word that nothing on the host can guess."""
    return f"wk{secrets.token_hex(16)}"


def message(scripts: Sequence[tuple[str, float]], marker: str) -> bytes:
    """What to send for one batch of (script, seconds).

    Whose seconds are 0 is trusted to print little and to end at once: its time and its size are not watched there.
    """
    calls = [_call(marker, script, seconds) for script, seconds in scripts]
    if any(seconds > 0 for _, seconds in scripts):
        calls = ["wk_open\n", *calls, 'wk_end "$wk_ring"\n']
    return "".join(["{\n", *calls, "} 3>&1 | $wk_pack\n"]).encode(errors="surrogateescape")


def _call(marker: str, script: str, seconds: float) -> str:
    if seconds <= 0:
        return f"wk_now {marker} {_quoted(script)}\n"
    return f"wk {marker} {max(1, math.ceil(seconds))} {_quoted(script)}\n"


@functools.lru_cache(maxsize=4096)
def _quoted(script: str) -> str:
    """Many hosts are asked the same."""
    return shlex.quote(script)


def limit(count: int) -> int:
    """Bytes that an honest answer to so many scripts cannot exceed."""
    return NOISE_LIMIT + count * (SECTION_LIMIT + 1024)


def is_complete(answer: bytearray, marker: str, count: int, since: int = 0) -> bool:
    """Whether the last section is over; `since` is how much of the answer was looked at before."""
    end = f"{marker}]".encode()
    return answer.find(end, max(0, since - len(end))) >= 0 and answer.count(end) >= count


def sections(answer: bytes, marker: str) -> list[Section]:
    """The sections of an answer, in order; text that stands before the first or between them is dropped."""
    word = marker.encode()
    bodies = (piece.partition(word + b"]") for piece in answer.split(word + b"[")[1:])
    return [_section(body, word) for body, end, _ in bodies if end]


def without_records(answer: bytes | bytearray, marker: str) -> bytes:
    """What else there is in an answer."""
    return b"".join(text for _, text in _pieces(bytes(answer), marker.encode()))


def _pieces(answer: bytes, word: bytes) -> Iterator[tuple[re.Match[bytes] | None, bytes]]:
    """An answer cut at its records: each, and the text that follows it.

    The marker is looked for by hand: it is another one each time, and a pattern costs more to compile than to use.
    """
    first, *others = answer.split(word)
    yield None, first
    for piece in others:
        record = _RECORD.match(piece)
        yield record, piece[record.end() :] if record else word + piece


def _section(body: bytes, word: bytes) -> Section:
    pieces = list(_pieces(body, word))
    text = b"".join(text for _, text in pieces).decode(errors="replace")
    codes = [record[1] for record, _ in pieces if record is not None and record[1] is not None]
    if not codes or any(record is not None and record[0] == b"!" for record, _ in pieces):
        return Section(text=text, exit_code=TIMED_OUT, timed_out=True)
    return Section(text=text, exit_code=int(codes[0]))
