"""Wide listings on narrow terminals."""

from agent.cli.folding import folded
from agent.cli.output import Column

COLUMNS = [
    Column("verdict", lambda item: item["verdict"]),
    Column("backup", lambda item: "shop/backups/files"),
    Column("rpo", lambda item: "5 min of 8 h"),
    Column("rto", lambda item: item["rto"]),
    Column("copies", lambda item: ""),
]
ITEMS = [{"verdict": "good", "rto": "3 s of 5 min"}, {"verdict": "partial", "rto": "-"}]
ROOM = 7 + 18 + 12 + 12 + 6 + 4 * 2


def test_what_fits_is_left_as_it_is() -> None:
    assert folded(COLUMNS, ITEMS, keep=2, room=ROOM) == COLUMNS


def test_what_does_not_fit_is_told_in_words_and_only_where_there_is_something_to_tell() -> None:
    found = folded(COLUMNS, ITEMS, keep=2, room=ROOM - 1)
    assert [column.title for column in found] == ["verdict", "backup", "more"]
    assert [found[-1].cell(item) for item in ITEMS] == ["rpo 5 min of 8 h, rto 3 s of 5 min", "rpo 5 min of 8 h"]
