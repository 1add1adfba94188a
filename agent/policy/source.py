"""From the bytes of a file to a tree of text: limits first, then one pass over the events of the C parser.

Nothing is ever composed or constructed by the YAML library: its composer recurses (200,000 `[` end the process), and
its constructors turn `on`, `22:00` and `0644` into something else. Marks are kept only when somebody asks for them:
a file without errors needs none.
"""

import dataclasses
import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from agent.closed import Plain
from agent.policy import wording

Node = str | list["Node"] | dict[str, "Node"]
Path = tuple[str | int, ...]
Mark = tuple[int, int]  # line and column, both from 1
Event = Any  # the library's stubs know none of the attributes of its events

MOST_BYTES = 1_000_000
DEEPEST = 50
MOST_NODES = 100_000
_CURE = "put quotes around it"
_TYPED = re.compile(r"true\Z|false\Z|-?[0-9]")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Spot:
    """Something wrong at a place of a file; nothing that the schema says between `line, column` and `end` counts."""

    line: int
    column: int
    message: str
    end: Mark | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """What a file says. `root` is None when it cannot be read to its end; `partial` is what came before that.

    `repeats` is how often a key is given twice: such a file is read `repeats + 1` times, each time with another one.
    `marks` map a path to the place of its key and of its value, and are empty unless asked for.
    """

    root: Node | None
    partial: Node | None = None
    spots: tuple[Spot, ...] = ()
    repeats: int = 0
    marks: dict[Path, tuple[Mark, Mark]] = dataclasses.field(default_factory=dict)


class _StopError(Exception):
    """The rest of the file is not worth reading."""

    def __init__(self, spot: Spot) -> None:
        super().__init__(spot.message)
        self.spot = spot


class _Frame:
    """One open collection: its key at hand, and whether what comes in is kept."""

    __slots__ = ("as_key", "box", "keep", "key", "key_mark", "path", "seen", "start")

    def __init__(self, box: list[Node] | dict[str, Node], path: Path | None, start: Mark, *, as_key: bool) -> None:
        self.box = box
        self.path = path
        self.start = start
        self.as_key = as_key
        self.key: str | None = None
        self.key_mark = start
        self.keep = True
        self.seen: dict[str, int] = {}


class _Builder:
    """Events in, tree out. `occurrence` says which one of a repeated key is taken (the last, if there are fewer)."""

    def __init__(self, occurrence: int, *, marked: bool) -> None:
        self.root: Node | None = None
        self.spots: list[Spot] = []
        self.marks: dict[Path, tuple[Mark, Mark]] = {}
        self.repeats = 0
        self._occurrence = occurrence
        self._marked = marked
        self._frames: list[_Frame] = []
        self._nodes = 0
        self._documents = 0
        self._on: dict[type, Callable[[Event], None]] = {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: self._open,
            yaml.SequenceStartEvent: self._open,
            yaml.MappingEndEvent: self._close,
            yaml.SequenceEndEvent: self._close,
            yaml.AliasEvent: self._alias,
            yaml.DocumentStartEvent: self._document,
        }

    def feed(self, events: Iterator[Event]) -> None:
        """Take all events; raises _StopError at a limit."""
        on = self._on
        for event in events:
            take = on.get(type(event))
            if take is not None:
                take(event)

    def _document(self, event: Event) -> None:
        self._documents += 1
        if self._documents > 1:
            raise _StopError(_spot(event, "a second document: one file holds one (remove the '---')"))
        if getattr(event, "tags", None):
            self._complain(event, "tag directives (%TAG) are refused")

    def _scalar(self, event: Event) -> None:
        text: str = event.value
        if event.anchor is not None or event.tag is not None:
            self._decorated(event)
        if "\0" in text:
            self._complain(event, "a NUL character is not text")
            text = text.replace("\0", "")
        if event.style == "" and _TYPED.match(text):
            text = Plain(text)
        self._count(event)
        self._put(text, event)

    def _open(self, event: Event) -> None:
        if event.anchor is not None or event.tag is not None:
            self._decorated(event)
        self._count(event)
        if len(self._frames) >= DEEPEST:
            raise _StopError(_spot(event, f"nested deeper than {DEEPEST} levels"))
        top = self._frames[-1] if self._frames else None
        start = _mark(event)
        box: list[Node] | dict[str, Node] = {} if type(event) is yaml.MappingStartEvent else []
        if top is not None and type(top.box) is dict and top.key is None:
            self._frames.append(_Frame(box, None, start, as_key=True))
            return
        self._frames.append(_Frame(box, self._put(box, event), start, as_key=False))

    def _close(self, event: Event) -> None:
        frame = self._frames.pop()
        if not frame.as_key:
            return
        top = self._frames[-1]
        braces = top.start == (frame.start[0], frame.start[1] - 1) and type(frame.box) is dict
        what = "'{{' starts a mapping here" if braces else "a key must be text"
        line, column = top.start if braces else frame.start
        self.spots.append(Spot(line=line, column=column, message=f"{what}: {_CURE}", end=_end(event)))
        top.key = ""
        top.keep = False

    def _alias(self, event: Event) -> None:
        self._complain(event, f"aliases (*{event.anchor}) are refused; if this is text, {_CURE}")
        self._count(event)
        self._put("", event)

    def _decorated(self, event: Event) -> None:
        if event.tag is not None:
            self._complain(event, f"tags ({_short(event.tag)}) are refused; if this is text, {_CURE}")
        if event.anchor is not None:
            self._complain(event, f"anchors (&{event.anchor}) are refused; if this is text, {_CURE}")

    def _count(self, event: Event) -> None:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise _StopError(_spot(event, f"more than {MOST_NODES:,} values: split the file"))

    def _put(self, value: Node, event: Event) -> Path | None:
        """Put a value where it belongs; return its path when marks are kept, and it is."""
        if not self._frames:
            self.root = value
            if self._marked:
                self.marks[()] = ((1, 1), _mark(event))
            return ()
        top = self._frames[-1]
        box = top.box
        if type(box) is list:
            box.append(value)
            return self._remember(top, len(box) - 1, event) if self._marked else None
        if top.key is None:
            self._take_key(top, value, event)
            return None
        key, top.key = top.key, None
        if not top.keep:
            return None
        assert isinstance(box, dict)
        box[key] = value
        return self._remember(top, key, event) if self._marked else None

    def _remember(self, top: _Frame, part: str | int, event: Event) -> Path | None:
        if top.path is None:
            return None
        path = (*top.path, part)
        place = _mark(event)
        self.marks[path] = (place if isinstance(part, int) else top.key_mark, place)
        return path

    def _take_key(self, top: _Frame, value: Node, event: Event) -> None:
        key = str(value)
        if self._marked:
            top.key_mark = _mark(event)
        assert isinstance(top.box, dict)
        top.key, top.keep = key, True
        if key == "<<" and event.style == "":
            self._complain(event, "merge keys (<<) are refused: write the keys out")
            top.keep = False
        elif key in top.box:
            self._repeated(top, key, event)

    def _repeated(self, top: _Frame, key: str, event: Event) -> None:
        times = top.seen.get(key, 1)
        self._complain(event, f"key {wording.quoted(key)} is given twice")
        top.seen[key] = times + 1
        self.repeats = max(self.repeats, times)
        top.keep = times <= self._occurrence

    def _complain(self, event: Event, message: str) -> None:
        self.spots.append(_spot(event, message, end=_end(event)))


def read(data: bytes, *, occurrence: int = 0, marked: bool = False) -> Tree:
    """The tree of a file. Never raises for what is in it: whatever is wrong stands in `spots`."""
    refused = _refused(data)
    if refused is not None:
        return Tree(root=None, spots=(refused,))
    builder = _Builder(occurrence, marked=marked)
    last: Spot | None = None
    try:
        builder.feed(yaml.parse(data, Loader=yaml.CSafeLoader))
    except _StopError as stop:
        last = stop.spot
    except yaml.YAMLError as error:
        line, column, message = wording.of_yaml(error, data)
        last = Spot(line=line, column=column, message=message)
    if last is None and builder.root is None:
        last = Spot(line=1, column=1, message="the file is empty")
    spots = tuple(builder.spots) if last is None else (*builder.spots, last)
    return Tree(
        root=builder.root if last is None else None,
        partial=builder.root,
        spots=spots,
        repeats=builder.repeats,
        marks=builder.marks,
    )


def _refused(data: bytes) -> Spot | None:
    if len(data) > MOST_BYTES:
        return Spot(line=1, column=1, message=f"larger than {MOST_BYTES // 1_000_000} MB: split the file")
    position = data.find(b"\0")
    if position >= 0:
        line, column = wording.place(data, position)
        return Spot(line=line, column=column, message="a NUL character: this is not a text file")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line, column = wording.place(data, error.start)
        return Spot(
            line=line, column=column, message=f"byte 0x{data[error.start]:02x} is not UTF-8: save the file as UTF-8"
        )
    if not text.strip("\ufeff \t\r\n"):
        return Spot(line=1, column=1, message="the file is empty")
    return None


def _short(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")[:40]


def _mark(event: Event) -> Mark:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _end(event: Event) -> Mark:
    return event.end_mark.line + 1, event.end_mark.column + 1


def _spot(event: Event, message: str, *, end: Mark | None = None) -> Spot:
    line, column = _mark(event)
    return Spot(line=line, column=column, message=message, end=end)
