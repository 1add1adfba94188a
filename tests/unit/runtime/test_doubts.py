"""Doubts: who is asked once more before a failure is believed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.model.look import Look, Result, Verdict
from agent.model.state import CheckState, Instance
from agent.practices import story
from agent.runtime.book import Book
from agent.runtime.doubts import Doubts
from agent.store.engine import Store
from tests.fakes import policies

NOW_US = 1_800_000_000_000_000
SHOP = """
version: 1
service: shop
hosts: web-1
defaults: {checks: {fail_after: 1}}
checks:
  page: {http: {url: http://localhost/}, needs: [checks/port, checks/other, checks/resting, checks/away]}
  port: {tcp: 80}
  other: {tcp: 81}
  resting: {tcp: 82, paused: {why: it moves, until: 2120-01-01}}
  away: {tcp: 83, hosts: web-2}
  nowhere: {tcp: {port: 84, host: localhost}, hosts: none}
  about: {tcp: {port: 85, host: localhost}, hosts: none, needs: [checks/nowhere]}
  alone: {tcp: 86}
  load: {load: , hosts: web-2}
"""


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    """The book of a shop of which nothing has been seen yet."""
    loaded = policies.load_with(policies.new_home(tmp_path), {"shop.yaml": SHOP})
    assert [str(problem) for problem in loaded.problems] == []
    assert loaded.policies is not None
    store = Store.open(tmp_path / "state", SystemClock(), migrate=True)
    book = Book(store)
    book.adopt(loaded.policies, 1)
    yield book
    store.close()


def seen(name: str, verdict: Verdict, at_us: int = NOW_US) -> Result:
    return Result(key=name, begun_us=at_us, ended_us=at_us, look=Look(verdict=verdict, summary="seen"))


def of_parents(book: Book, key: str, verdict: Verdict = Verdict.CRITICAL, asked: tuple[str, ...] = ()) -> set[str]:
    return {check.key for check in Doubts(book).of_parents(seen(key, verdict), asked)}


PAGE = "shop/checks/page@web-1"
PORT, OTHER = "shop/checks/port@web-1", "shop/checks/other@web-1"


def test_parents_on_the_same_host_that_rest_not_are_asked_each_once(book: Book) -> None:
    assert of_parents(book, PAGE) == {PORT, OTHER}
    assert of_parents(book, PAGE, asked=(PORT,)) == {OTHER}
    assert of_parents(book, PAGE, asked=(PORT, OTHER)) == set()
    assert of_parents(book, "shop/checks/about@none") == set(), "it may be looked at just now"
    assert of_parents(book, "shop/checks/alone@web-1") == set()
    assert of_parents(book, "shop/checks/gone@web-1") == set(), "a reload came between"


def test_a_rest_that_is_over_is_none(book: Book) -> None:
    resting = book.policies.checks["shop/checks/resting@web-1"]
    assert resting.paused_until_us is not None
    late = Doubts(book).of_parents(seen(PAGE, Verdict.CRITICAL, resting.paused_until_us), ())
    assert resting in late


def test_nobody_is_asked_about_what_is_well_or_told_already_or_explained(book: Book) -> None:
    assert of_parents(book, PAGE, Verdict.OK) == set()
    assert of_parents(book, PAGE, Verdict.WARNING) == set()
    told, _ = story.step(book.state(PAGE), seen(PAGE, Verdict.CRITICAL), book.policies.checks[PAGE].rules)
    book.keep(told, 1)
    assert of_parents(book, PAGE) == set()
    book.keep(CheckState(key=PAGE), 2)
    assert of_parents(book, PAGE) == {PORT, OTHER}
    book.keep(CheckState(key=PORT, instances={"": Instance(raw=Verdict.CRITICAL)}), 1)
    assert of_parents(book, PAGE) == set()


def test_a_host_is_doubted_once_and_only_where_something_logs_in(book: Book) -> None:
    without, host = book.policies.hosts["web-1"], book.policies.hosts["web-2"]
    away, reach = seen("shop/checks/away@web-2", Verdict.CRITICAL), "agent/checks/reach@web-2"
    assert Doubts(book).of_host(None, [away]) == ()
    assert Doubts(book).of_host(without, [seen(PAGE, Verdict.CRITICAL)]) == ()
    assert [check.key for check in Doubts(book).of_host(host, [away])] == [reach]
    assert Doubts(book).of_host(host, [away, seen(reach, Verdict.OK)]) == (), "it was asked just now"
    assert Doubts(book).of_host(host, [seen("shop/checks/away@web-2", Verdict.WARNING)]) == ()
    assert {check.key for check in Doubts(book).of_parents(away, ())} == set(), (
        "its connection is no parent of this kind"
    )
