"""What commands print: plain columns where nobody looks, one document for programs, harmless text for both."""

import json

import pytest
from rich.text import Text

from agent.cli import output
from agent.cli.output import Column
from agent.errors import RefusedError

ITEMS: list[dict[str, str | None]] = [{"host": "web1", "state": "ok"}, {"host": "evil \x1b[2J [red]", "state": None}]
COLUMNS = [Column("state", lambda item: item["state"]), Column("host", lambda item: item["host"])]


def test_a_listing_is_plain_columns_when_not_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.listing(ITEMS, COLUMNS, as_json=False, none="nothing")
    assert capsys.readouterr().out.splitlines() == ["state  host", "ok     web1", "-      evil \\x1b[2J [red]"]


def test_a_listing_is_one_document_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    output.listing(ITEMS, COLUMNS, as_json=True, none="nothing")
    text = capsys.readouterr().out
    assert json.loads(text) == {"items": ITEMS}
    assert "\x1b" not in text


@pytest.mark.parametrize(("as_json", "told"), [(False, "nothing\n"), (True, '{\n  "items": []\n}\n')])
def test_an_empty_listing_says_so(capsys: pytest.CaptureFixture[str], as_json: bool, told: str) -> None:
    output.listing([], COLUMNS, as_json=as_json, none="nothing")
    assert capsys.readouterr().out == told


def test_a_cell_is_text_and_never_markup() -> None:
    cell = output.styled("[red]x[/red]")
    assert isinstance(cell, Text)
    assert cell.plain == "[red]x[/red]"


def test_an_error_is_two_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    output.explain(RefusedError("the gate said \x07no", hint="ask again"))
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "error: the gate said \\x07no\nhint: ask again\n")


def test_fields_without_a_value_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    output.fields([("host", "web1"), ("owner", None), ("episode", 2)])
    assert capsys.readouterr().out == "host     web1\nepisode  2\n"
