"""What makes two answers of a target the same, and for how long the mirror is believed to be one."""

import dataclasses
from pathlib import Path

import pytest

from agent.backups.mirror.listing import Listing
from agent.backups.mirror.place import Place
from agent.backups.mirror.same import Tally, fingerprint
from agent.backups.restic.wanted import Wanted
from agent.errors import ToolError

FIELDS = b"644/0/0/5/1700000000.1234567890/1700000001.0000000000/2049/17/1"
LATER = FIELDS.replace(b"1700000001", b"1700000009")
ALL = Tally(files=2, folders=2)


def record(path: bytes, kind: bytes = b"f", target: bytes = b"", fields: bytes = FIELDS) -> bytes:
    """One entry as find prints it."""
    return kind + b"/" + fields + b"/" + path + b"\0" + target + b"\0"


TOP, SRV, SHOP = record(b"/", b"d"), record(b"/srv", b"d"), record(b"/srv/shop", b"d")
FILES = record(b"/srv/shop/a") + record(b"/srv/shop/b\n\xff") + record(b"/srv/shop/to", b"l", b"a")
TOLD = Listing(
    sources=("/srv/shop",), missing=(), tools=frozenset({"rsync"}), now_s=1, is_complete=True, heads=TOP + SRV,
    tree=SHOP + FILES,
)  # fmt: skip
WANTED = Wanted.of({"paths": ["/srv/shop"]})


def told(**change: object) -> Listing:
    return dataclasses.replace(TOLD, **change)  # type: ignore[arg-type]  # a table of different types


@pytest.mark.parametrize(
    "answer",
    [
        told(),
        told(heads=TOP + record(b"/srv", b"d", fields=LATER)),
        told(heads=record(b"/", b"d", fields=LATER) + SRV),
        told(now_s=2, tools=frozenset()),
    ],
    ids=["the same", "a time above", "a time at the top", "the time"],
)
def test_what_changes_nothing_is_no_change(answer: Listing) -> None:
    assert fingerprint(answer, WANTED) == fingerprint(TOLD, WANTED)


@pytest.mark.parametrize(
    "answer",
    [
        told(tree=SHOP + FILES + record(b"/srv/shop/c")),
        told(tree=SHOP),
        told(tree=SHOP + FILES.replace(b"1700000001", b"1700000009", 1)),
        told(tree=record(b"/srv/shop", b"d", fields=LATER) + FILES),
        told(heads=TOP + record(b"/srv", b"d", fields=FIELDS.replace(b"644/0", b"644/9", 1))),
        told(heads=TOP + record(b"/srv", b"d", fields=FIELDS.replace(b"644/0", b"600/0", 1))),
        told(heads=TOP + record(b"/srv", b"l", b"/opt")),
        told(sources=("/srv/shop", "/srv/other")),
    ],
    ids=[
        "a file more", "a file less", "a file's time", "the source's time", "an owner above", "a mode above",
        "a link above", "another source",
    ],
)  # fmt: skip
def test_whatever_may_be_a_change_is_one(answer: Listing) -> None:
    assert fingerprint(answer, WANTED) != fingerprint(TOLD, WANTED)


@pytest.mark.parametrize(
    "more", [{"exclude": ["*.tmp"]}, {"one_file_system": True}, {"paths": ["/srv/shop", "/srv/shop"]}], ids=str
)
def test_another_question_makes_another_answer(more: dict[str, object]) -> None:
    assert fingerprint(TOLD, Wanted.of({"paths": ["/srv/shop"], **more})) != fingerprint(TOLD, WANTED)


@pytest.mark.parametrize("heads", [TOP + b"f/zzz/srv\0\0", TOP + b"d"], ids=["no numbers", "half a record"])
def test_no_sense_above_is_told_as_such(heads: bytes) -> None:
    with pytest.raises(ToolError, match=r"holds|cut short"):
        fingerprint(told(heads=heads), WANTED)


def test_a_mirror_is_settled_for_one_answer_and_one_boot(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.prepare()
    assert place.settled("a", "boot") is None
    place.settle("a", "boot", ALL)
    assert place.settled("a", "boot") == ALL
    assert place.settled("b", "boot") is None
    assert place.settled("a", "another boot") is None
    place.prepare()
    assert place.settled("a", "boot") == ALL
    place.unsettle()
    assert place.settled("a", "boot") is None


@pytest.mark.parametrize("text", ["", "[", "[1]", '"abcd"', "{}", "7"])
def test_a_note_that_was_cut_short_settles_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "settled").write_text(text)
    assert Place(tmp_path).settled("a", "boot") is None
