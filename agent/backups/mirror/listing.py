"""Asks a target what it has, by one `find`, and reads the answer, in which nothing is believed that cannot be."""

import dataclasses
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from agent.errors import ToolError

KINDS = {"f": "file", "d": "dir", "l": "symlink", "p": "fifo", "s": "socket", "b": "dev", "c": "chardev"}
UNCOPIED = frozenset({"socket"})  # a name in the file system of a process that runs; made anew by that one
NO_PRINTF, CUT_SHORT = 90, 91  # the script's exit codes where find is too small, and where it was killed
_FIELDS = "%y/%m/%U/%G/%s/%T@/%C@/%D/%i/%n"
_RECORD = re.compile(
    rb"([a-zA-Z?])/([0-7]{1,5})/(\d{1,10})/(\d{1,10})/(\d{1,19})/(-?\d{1,19})\.(\d{9})\d*/(-?\d{1,19})\.(\d{9})\d*"
    rb"/(\d{1,20})/(\d{1,20})/(\d{1,10})"
)
_TREE = b"\0=tree\0"
_NEVER = b"/0.000000000/"  # as a time of change, with its slashes: find prints ten digits
_TOO_LONG = 4096  # bytes of a path (PATH_MAX)
_HINT = "the target's answer makes no sense: look at it by hand, with: ssh HOST find PATH"
# What is printed: records of fields and path and link target, each ended by NUL; marks begin with `=`. First the sources
# with the folders above them, then all that is in them.
_SCRIPT = r"""
export LC_ALL=C
format=FORMAT
printf '=now %s\0=tools' "$(date +%s)"
for tool in rsync tar; do command -v "$tool" >/dev/null 2>&1 && printf ' %s' "$tool"; done
printf '\0'
if ! find / -maxdepth 0 -printf '' 2>/dev/null; then exit 90; fi
show() { find -P "$@" || { [ $? -eq 1 ] || exit 91; failed=1; }; }
failed=0
set -- SOURCES
for given do
    shift
    folder=$(readlink -f -- "$(dirname -- "$given")") || { printf '=missing %s\0' "$given"; continue; }
    case $given in /) path=/ ;; *) path=${folder%/}/$(basename -- "$given") ;; esac
    if [ ! -e "$path" ] && [ ! -L "$path" ]; then printf '=missing %s\0' "$given"; continue; fi
    printf '=source %s\0' "$path"
    up=$path
    while [ "$up" != / ]; do
        up=$(dirname -- "$up")
        show "$up" -maxdepth 0 -printf "$format"
    done
    set -- "$@" "$path"
done
printf '=tree\0'
for path do PRUNED; done
printf '=end %s\0' "$failed"
"""
_PLACES = re.compile("FORMAT|SOURCES|PRUNED")


class Item(NamedTuple):
    """One entry as the target has it; `record` is the raw answer, another one whenever anything about it changed."""

    path: str
    kind: str
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: tuple[int, int]
    links: int
    target: str
    record: bytes


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """A whole answer: the sources by their real names, what is missing, the tools there, and the raw records.

    `heads` are the records of the folders above the sources, `tree` those of the sources and of all in them.
    `is_complete`: every folder could be read; only then what is not there is known to be gone. `now_s` is the
    target's clock when it began.
    """

    sources: tuple[str, ...]
    missing: tuple[str, ...]
    tools: frozenset[str]
    now_s: int
    is_complete: bool
    heads: bytes
    tree: bytes

    @property
    def records(self) -> bytes:
        """All of them."""
        return self.heads + self.tree


def script(paths: Sequence[str], pruned: Sequence[str], *, one_file_system: bool) -> str:
    """What `sh` on the target is to run; `pruned` are tests of find(1) for what is left out there already."""
    printing = ["-printf", '"$format"']
    words = ["show", '"$path"', *(["-xdev"] if one_file_system else [])]
    if pruned:
        words += ["\\(", " -o ".join(pruned), "\\)", "-prune", "-o"]
    texts = {
        "FORMAT": shlex.quote(f"{_FIELDS}/%p\\0%l\\0"),
        "SOURCES": shlex.join(paths),
        "PRUNED": " ".join([*words, *printing]),
    }
    return _PLACES.sub(lambda found: texts[found[0]], _SCRIPT)


def read(answer: bytes) -> Listing:
    """The answer, parted; ToolError when it was cut short."""
    head, _, rest = answer.partition(_TREE)
    tree, _, end = rest.rpartition(b"=end ")
    fields = head.split(b"\0")
    is_whole = end in {b"0\0", b"1\0"} and tree[-1:] in {b"", b"\0"}
    if not is_whole or len(fields) < 2 or not fields[0].startswith(b"=now "):
        raise ToolError("the list of files was cut short", hint="run it again; look at the connection to the host")
    marks: dict[bytes, list[str]] = {b"=source": [], b"=missing": []}
    heads: list[bytes] = []
    place = 2
    while place < len(fields):
        if not fields[place].startswith(b"="):  # a record begins with a letter, and is a pair
            heads += fields[place : place + 2]
            place += 2
            continue
        mark, _, name = fields[place].partition(b" ")
        if mark not in marks or not is_plain_path(name):
            raise ToolError(f"the list of files holds {fields[place][:80]!r}", hint=_HINT)
        marks[mark].append(_text(name))
        place += 1
    return Listing(
        sources=tuple(dict.fromkeys(marks[b"=source"])),
        missing=tuple(marks[b"=missing"]),
        tools=frozenset(fields[1].decode("ascii", "replace").split()[1:]),
        now_s=int(re.sub(rb"\D", b"", fields[0])[:18] or b"0"),
        is_complete=end == b"0\0",
        heads=b"\0".join([*heads, b""]),
        tree=tree,
    )


def items(records: bytes, read_already: Iterable[Item] = ()) -> Iterator[Item]:
    """The entries of raw records, in their order; ToolError at the first that no file system can have.

    Those that have been `read_already` are not read once more: in two listings of a host nearly all are the same.
    """
    same = {item.record: item for item in read_already}
    fields = records.split(b"\0")
    if fields.pop() or len(fields) % 2:
        raise ToolError("the list of files was cut short", hint="run it again")
    halves = iter(fields)
    for head, target in zip(halves, halves, strict=True):
        yield same.get(head + b"\0" + target) or _item(head, target)


def _item(head: bytes, target: bytes) -> Item:
    found = _RECORD.match(head)
    path = head[found.end() + 1 :] if found is not None else b""
    if found is None or not is_plain_path(path):
        raise ToolError(f"the list of files holds {head[:80]!r}", hint=_HINT)
    return Item(
        _text(path),
        KINDS.get(found[1].decode(), "irregular"),
        int(found[2], 8),
        int(found[3]),
        int(found[4]),
        int(found[5]),
        _nanoseconds(found[6], found[7]),
        _nanoseconds(found[8], found[9]),
        (int(found[10]), int(found[11])),
        int(found[12]),
        _text(target),
        head + b"\0" + target,
    )


def _nanoseconds(seconds: bytes, fraction: bytes) -> int:
    """The fraction counts upwards from the second before, also in times before 1970: find prints both as they are."""
    return int(seconds) * 10**9 + int(fraction)


def doubtful(item: Item) -> Item:
    """The same entry as something to be fetched again: its record is none that the target will ever tell."""
    found = _RECORD.match(item.record)
    assert found is not None
    tail = item.record[found.end(9) :].lstrip(b"0123456789")  # find prints more digits than there are nanoseconds
    record = item.record[: found.start(8) - 1] + _NEVER + tail[1:]
    return item._replace(record=record)


def is_doubtful(item: Item) -> bool:
    """Whether an entry is one that is to be fetched again, or was never fetched."""
    return _NEVER in item.record.partition(b"//")[0]


def is_linked(item: Item) -> bool:
    """Whether an entry may have other names."""
    return item.links > 1 and item.kind != "dir"


def is_plain_path(path: bytes) -> bool:
    """Whether these bytes are a full path without tricks."""
    if path == b"/":
        return True
    parts = path.split(b"/")
    return len(path) < _TOO_LONG and parts[0] == b"" and not {b"", b".", b".."} & set(parts[1:])


def tree(listing: Listing, found: Iterator[Item]) -> Mapping[str, Item]:
    """The entries by path; ToolError when one does not lie in a folder that was listed, or not where it was looked for."""
    by_path: dict[str, Item] = {}
    below = tuple(source.rstrip("/") + "/" for source in listing.sources)
    above = {"/"} | {source[:at] for source in listing.sources for at, sign in enumerate(source) if sign == "/" and at}
    for item in found:
        by_path.setdefault(item.path, item)
    for path, item in by_path.items():
        if path == "/":
            continue
        parent = by_path.get(path.rpartition("/")[0] or "/")
        is_asked = path in listing.sources or path.startswith(below) or path in above
        if parent is None or parent.kind != "dir" or not is_asked:
            raise ToolError(f"the list of files holds {item.path!r}, which cannot be there", hint=_HINT)
    return by_path


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
