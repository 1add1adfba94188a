"""A target at which nothing has changed is known at one look; whatever might be a change is looked into."""

import dataclasses

import pytest

from agent.backups.mirror.listing import Listing
from agent.backups.mirror.same import Tally, same

FIELDS = b"644/0/0/5/1700000000.1234567890/1700000001.0000000000/2049/17/1"
LATER = FIELDS.replace(b"1700000001", b"1700000009")


def record(path: bytes, kind: bytes = b"f", target: bytes = b"", fields: bytes = FIELDS) -> bytes:
    """One entry as find prints it."""
    return kind + b"/" + fields + b"/" + path + b"\0" + target + b"\0"


TOP, SRV, SHOP = record(b"/", b"d"), record(b"/srv", b"d"), record(b"/srv/shop", b"d")
FILES = record(b"/srv/shop/a") + record(b"/srv/shop/b\n\xff") + record(b"/srv/shop/to", b"l", b"a")
KNOWN = TOP + SRV + SHOP + FILES
TOLD = Listing(
    sources=("/srv/shop",), missing=(), tools=frozenset({"rsync"}), now_s=1, is_complete=True, records=KNOWN
)  # fmt: skip
ALL = Tally(files=2, folders=2)


def told(records: bytes = KNOWN, **change: object) -> Listing:
    return dataclasses.replace(TOLD, records=records, **change)  # type: ignore[arg-type]  # a table of different types


@pytest.mark.parametrize(
    "answer",
    [
        told(),
        told(FILES + SHOP + SRV + TOP),
        told(TOP + KNOWN),
        told(KNOWN + record(b"/srv/shop/door", b"s")),
        told(TOP + record(b"/srv", b"d", fields=LATER) + SHOP + FILES),
        told(record(b"/", b"d", fields=LATER) + SRV + SHOP + FILES),
    ],
    ids=["the same", "in another order", "a folder told twice", "a socket", "a time above", "a time at the top"],
)
def test_what_changes_nothing_is_no_change(answer: Listing) -> None:
    assert same(answer, KNOWN) == ALL


@pytest.mark.parametrize(
    ("answer", "known"),
    [
        (told(), b""),
        (told(is_complete=False), KNOWN),
        (told(missing=("/opt",)), KNOWN),
        (told(KNOWN + record(b"/srv/shop/c")), KNOWN),
        (told(), KNOWN + record(b"/srv/shop/c")),
        (told(TOP + SRV + SHOP + FILES.replace(b"1700000001", b"1700000009", 1)), KNOWN),
        (told(TOP + SRV + record(b"/srv/shop", b"d", fields=LATER) + FILES), KNOWN),
        (told(TOP + record(b"/srv", b"d", fields=FIELDS.replace(b"644/0", b"644/9", 1)) + SHOP + FILES), KNOWN),
        (told(TOP + record(b"/srv", b"l", b"/opt") + SHOP + FILES), KNOWN),
        (told(TOP + SRV + SHOP + record(b"/srv/shop/a") + b"/srv//\0\0"), KNOWN),
        (told(sources=("/srv/shop", "/srv/other")), KNOWN),
        (told(sources=("/srv/shop/to",)), KNOWN),
        (told(sources=("/",)), KNOWN.replace(SRV, b"")),
        (told(KNOWN + record(b"/srv/shop/../x", b"d")), KNOWN),
    ],
    ids=[
        "nothing is known", "not all could be read", "a source is missing", "a file more", "a file less",
        "a file's time", "the source's time", "an owner above", "a link above", "no entry at all",
        "a source without an entry", "a source that is a link", "the top alone", "a trick",
    ],
)  # fmt: skip
def test_whatever_may_be_a_change_is_looked_into(answer: Listing, known: bytes) -> None:
    assert same(answer, known) is None


def test_a_host_with_more_differences_than_folders_can_lie_in_each_other_is_not_even_read() -> None:
    many = b"".join(record(b"/srv/shop/%d" % number) for number in range(5000))
    assert same(told(KNOWN + many), KNOWN) is None
