"""Journal lines in plain words: each told once, in the words of a colleague."""

from collections.abc import Mapping
from typing import Any

import pytest

from agent.cli.events import Teller
from agent.model.journal import Entry, Line

KEY = "shop/checks/web@web1"
NOTHING: Mapping[str, Any] = {}


def line(kind: str, object_type: str, object_id: str, why: str, body: Mapping[str, Any] = NOTHING, who: str = "agent") -> Line:  # fmt: skip
    entry = Entry(actor=who, kind=kind, object_type=object_type, object_id=object_id, why=why, body=body)
    return Line(seq=1, recorded_at_us=1, mono_ns=1, boot_id="b", entry=entry, prev_hash="0", hash="1")


def noted(verb: str, why: str, severity: str = "critical") -> dict[str, Any]:
    return {"decisions": [{"verb": verb, "why": why, "severity": severity}]}


@pytest.mark.parametrize(
    ("given", "told", "style"),
    [
        (line("check", "check", KEY, "", noted("note", "hard critical: refused")),
         "shop/checks/web on web1: hard critical: refused", "critical"),
        (line("check", "check", KEY, "", noted("remedy-proven", "restart worked")),
         "shop/checks/web on web1: restart worked", "ok"),
        (line("incident-opened", "incident", "INC1", "refused", {"priority": "P1", "title": "The shop is down"}),
         "INC1 opened, P1: The shop is down (refused)", "open"),
        (line("incident-resolved", "incident", "INC1", "ok again"), "INC1 resolved: ok again", "resolved"),
        (line("incident-comment", "incident", "INC1", "on my way", who="kim"), "INC1 comment by kim: on my way", ""),
        (line("gate-refused", "item", "shop/remedies/restart", "budget: spent"),
         "shop/remedies/restart is held back by budget: spent", "warning"),
        (line("kill-switch-on", "switch", "kill-switch", "storm", who="kim"), "kill switch on by kim: storm", ""),
    ],
)  # fmt: skip
def test_a_line_is_told_in_plain_words(given: Line, told: str, style: str) -> None:
    found = Teller().tell(given)
    assert found is not None
    assert (found.text.partition("  ")[2], found.style) == (told, style)


@pytest.mark.parametrize(
    "given",
    [
        line("check", "check", KEY, "counted", {"decisions": []}),
        line("check", "check", KEY, "", noted("open", "its incident tells it")),
        line("incident-comment", "incident", "INC1", "the execution tells it"),
        line("gate-passed", "execution", "RUN1", "", {"request": {"item": "shop/remedies/restart"}}),
        line("execution-dispatched", "execution", "RUN1", "its shim is process 7"),
    ],
)
def test_what_another_line_tells_is_not_told_twice(given: Line) -> None:
    assert Teller().tell(given) is None


def test_a_run_is_told_by_what_it_runs() -> None:
    teller = Teller()
    begun = teller.tell(line("drill-intent", "execution", "RUN2", "it is due", {"backup": "shop/backups/files@web1"}))
    ended = teller.tell(line("execution-succeeded", "execution", "RUN2", "36 entries as they were"))
    assert begun is not None
    assert begun.text.endswith("RUN2 drill of shop/backups/files begins: it is due")
    assert ended is not None
    assert ended.text.endswith("RUN2 drill of shop/backups/files succeeded: 36 entries as they were")
    assert ended.style == "succeeded"
