"""Services that depend on others, on a real store: whichever incident comes first, both sides are told."""

from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.model.decision import Decision, Verb
from agent.model.incident import Incident
from agent.runtime.book import Book
from agent.runtime.desk import Desk
from agent.store import incidents
from agent.store.engine import Store
from tests.fakes import policies

POLICIES = {
    "shop.yaml": "{version: 1, service: shop, hosts: web-1, depends_on: database, checks: {front: {tcp: 443}}}",
    "database.yaml": "{version: 1, service: database, hosts: db, checks: {port: {tcp: 5432}}}",
    "other.yaml": "{version: 1, service: other, hosts: db, checks: {port: {tcp: 1}}}",
}
SHOP, DATABASE, OTHER = "shop/checks/front@web-1", "database/checks/port@db-1", "other/checks/port@db-1"


@pytest.mark.parametrize(
    "order",
    [
        pytest.param((DATABASE, OTHER, SHOP), id="the reason first"),
        pytest.param((SHOP, OTHER, DATABASE), id="the symptom first"),
    ],
)
def test_the_shop_is_told_that_its_database_has_an_incident(tmp_path: Path, order: tuple[str, ...]) -> None:
    found = policies.load_with(policies.new_home(tmp_path / "home"), POLICIES)
    assert found.policies is not None, found.problems
    clock = SystemClock()
    store = Store.open(tmp_path / "state", clock, migrate=True)
    book = Book(store)
    book.adopt(found.policies, 1)
    desk, opened = Desk(store, clock, book), dict[str, Incident]()
    for cause in order:
        with store.write() as tx:
            decided = Decision(verb=Verb.OPEN, why="three in a row")
            opened[cause] = desk.open(tx, cause=cause, title=f"{cause} is critical", decided=decided)
    with store.read() as reader:
        lines = {cause: incidents.timeline(reader, one.id)[1:] for cause, one in opened.items()}
    store.close()
    words = f"shop depends on database, where {opened[DATABASE].number} is open: {DATABASE} is critical"
    assert [line.text for line in lines[SHOP]] == [words]
    assert (lines[DATABASE], lines[OTHER]) == ([], [])
