"""A quorum in the book: made of what is known of its members, and due again as soon as one of them changes."""

import dataclasses
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.model.look import Verdict
from agent.model.policy import PolicySet
from agent.model.state import CheckState, Instance
from agent.runtime.book import Book
from agent.runtime.quorums import Quorums
from agent.store.engine import Store
from tests.fakes import policies

QUORUM, WEB_1, WEB_2 = "shop/checks/enough@none", "shop/checks/front@web-1", "shop/checks/front@web-2"
POLICY = """version: 1
service: shop
hosts: web
checks:
  front: {tcp: 443}
  enough: {quorum: checks/front, hosts: none, crit: {ok: below 2}}
  enough-of-enough: {quorum: shop/checks/enough, hosts: none}
"""
CLOCK = SystemClock()


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> PolicySet:
    """The shop's policies."""
    found = policies.load_with(policies.new_home(tmp_path_factory.mktemp("home")), {"shop.yaml": POLICY}).policies
    assert found is not None
    return found


@pytest.fixture
def book(loaded: PolicySet, tmp_path: Path) -> Iterator[Book]:
    """A book with the policies in force, over a store of its own."""
    store = Store.open(tmp_path, CLOCK, migrate=True)
    opened = Book(store)
    opened.adopt(loaded, 1)
    yield opened
    store.close()


def keep(book: Book, key: str, raw: Verdict, **more: object) -> list[str]:
    """Remember a state; the quorums that are due for it."""
    state = CheckState(key=key, instances={"": Instance(raw=raw, **more)})  # type: ignore[arg-type]  # as written
    book.keep(state, 1)
    return sorted(book.stirred())


def test_a_quorum_names_its_members_and_comes_after_them(loaded: PolicySet, book: Book) -> None:
    assert loaded.checks[QUORUM].members == (WEB_1, WEB_2)
    assert loaded.checks["shop/checks/enough-of-enough@none"].members == (QUORUM,)
    assert book.rank(WEB_2) < book.rank(QUORUM) < book.rank("shop/checks/enough-of-enough@none")


def test_a_quorum_is_due_when_a_member_changes_and_only_then(book: Book) -> None:
    assert keep(book, WEB_1, Verdict.OK) == [QUORUM]
    assert keep(book, WEB_1, Verdict.OK, ok_run=3) == []
    assert keep(book, WEB_1, Verdict.CRITICAL) == [QUORUM]
    assert keep(book, WEB_1, Verdict.CRITICAL, crit_run=2) == []
    assert keep(book, QUORUM, Verdict.CRITICAL) == ["shop/checks/enough-of-enough@none"]
    assert keep(book, "shop/checks/other@web-1", Verdict.CRITICAL) == []


def test_a_quorum_counts_what_the_book_knows(loaded: PolicySet, book: Book) -> None:
    quorums = Quorums(book, CLOCK)
    assert quorums.look(loaded.checks[QUORUM]).summary == "0 of 2 ok (2 not looked at yet)"
    keep(book, WEB_1, Verdict.OK)
    keep(book, WEB_2, Verdict.CRITICAL)
    look = quorums.look(loaded.checks[QUORUM])
    assert (look.verdict, look.summary) == (Verdict.OK, "1 of 2 ok (1 critical)")
    assert look.metrics == {"ok": 1.0, "total": 2.0, "share": 0.5}


def test_a_member_that_is_paused_is_left_out(loaded: PolicySet, book: Book) -> None:
    for until_us, summary in ((CLOCK.now() + 60_000_000, "1 of 1 ok"), (1, "1 of 2 ok (1 critical)")):
        paused = dataclasses.replace(loaded.checks[WEB_2], paused_until_us=until_us)
        checks = types.MappingProxyType({**loaded.checks, WEB_2: paused})
        book.adopt(dataclasses.replace(loaded, checks=checks), 2)
        keep(book, WEB_1, Verdict.OK)
        keep(book, WEB_2, Verdict.CRITICAL)
        assert Quorums(book, CLOCK).look(loaded.checks[QUORUM]).summary == summary
