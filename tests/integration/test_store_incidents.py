"""Incidents in the store, on real SQLite: one open per cause, races with one winner, numbers as people write them."""

import dataclasses
from typing import Any

import pytest
from sqlalchemy.event import listen

from agent.clock import SystemClock
from agent.errors import ConflictError
from agent.model.incident import Incident, IncidentState, TimelineEntry
from agent.model.look import Verdict
from agent.model.service import Importance, Priority, Urgency
from agent.store import (
    counters,
    ids,
    incidents,
)
from agent.store.tx import Tx

CLOCK = SystemClock()
CAUSE = "shop/checks/http@web1"


def incident(tx: Tx, **changes: Any) -> Incident:
    made = Incident(
        id=ids.ulid(CLOCK), number=counters.next_number(tx, "INC"), cause=CAUSE, episode=1, state=IncidentState.OPEN,
        service="shop", item="shop/checks/http", host="web1", severity=Verdict.CRITICAL, impact=Importance.HIGH,
        urgency=Urgency.MEDIUM, priority=Priority.P2, title="the shop is down", why="three in a row", owner="web team",
        opened_at_us=CLOCK.now(),
    )  # fmt: skip
    return dataclasses.replace(made, **changes)


def filed(tx: Tx, **changes: Any) -> Incident:
    made = incident(tx, **changes)
    incidents.insert(tx, made)
    return made


def resolved(one: Incident) -> Incident:
    return dataclasses.replace(one, state=IncidentState.RESOLVED, resolved_at_us=9, revision=one.revision + 1)


def test_an_incident_comes_back_as_it_was_filed(tx: Tx) -> None:
    plain = filed(tx)
    full = filed(
        tx, cause="b", host=None, acknowledged_at_us=1, acknowledged_by="a", assigned_to="b", resolved_at_us=2,
        resolution="c", runbook="d", recurrence_of="INC0000001", state=IncidentState.ACKNOWLEDGED,
    )  # fmt: skip
    assert incidents.by_number(tx, plain.number) == plain
    assert incidents.by_number(tx, full.number) == full


@pytest.mark.parametrize("meant", ["INC0000001", "inc1", "1", "0001"])
def test_a_person_may_write_an_incidents_number_short(tx: Tx, meant: str) -> None:
    one = filed(tx)
    assert incidents.by_number(tx, meant) == one
    assert incidents.by_number(tx, one.id.lower()) == one


@pytest.mark.parametrize("meant", ["2", "INC", "", "x1", "-1", "1'", "01ARYZ6S410000000000000000"])
def test_what_is_no_incident_is_none(tx: Tx, meant: str) -> None:
    filed(tx)
    assert incidents.by_number(tx, meant) is None


def test_a_cause_has_one_open_incident(tx: Tx) -> None:
    first = filed(tx)
    with pytest.raises(ConflictError, match="has an open incident already"):
        filed(tx)
    acknowledged = dataclasses.replace(first, state=IncidentState.ACKNOWLEDGED, revision=2)
    incidents.update(tx, acknowledged)
    with pytest.raises(ConflictError):
        filed(tx)
    assert incidents.open_of(tx, CAUSE) == acknowledged
    incidents.update(tx, resolved(acknowledged))
    assert incidents.open_of(tx, CAUSE) is None
    second = filed(tx)
    assert incidents.open_of(tx, CAUSE) == second
    assert incidents.last_of(tx, CAUSE) == second
    with pytest.raises(ConflictError, match="another open incident"):
        incidents.update(tx, dataclasses.replace(first, revision=4))


def test_the_last_incident_of_a_cause_is_the_one_filed_last_also_after_the_clock_was_set_back(tx: Tx) -> None:
    ahead = filed(tx, opened_at_us=2_000_000)
    incidents.update(tx, resolved(ahead))
    today = filed(tx, opened_at_us=1_000_000)
    assert incidents.last_of(tx, CAUSE) == today


def test_the_second_of_two_who_change_an_incident_must_read_again(tx: Tx) -> None:
    one = filed(tx)
    incidents.update(tx, resolved(one))
    with pytest.raises(ConflictError, match="changed it first") as caught:
        incidents.update(tx, dataclasses.replace(one, assigned_to="me", revision=2))
    assert "incident show INC0000001" in caught.value.hint


def test_incidents_are_listed_the_newest_first_by_state_and_service(tx: Tx) -> None:
    made = [filed(tx, cause=str(n), service="shop" if n % 2 else "mail", opened_at_us=n) for n in range(4)]
    incidents.update(tx, resolved(made[3]))
    assert [one.cause for one in incidents.listing(tx)] == ["3", "2", "1", "0"]
    assert [one.cause for one in incidents.listing(tx, states=incidents.OPEN)] == ["2", "1", "0"]
    assert [one.cause for one in incidents.listing(tx, service="shop")] == ["3", "1"]
    assert [one.cause for one in incidents.listing(tx, states=[IncidentState.RESOLVED], service="mail")] == []
    assert len(incidents.listing(tx, limit=2)) == 2


def test_open_incidents_are_found_without_reading_all_that_ever_were(tx: Tx) -> None:
    """`status` lists them again and again."""
    asked: list[tuple[str, Any]] = []
    listen(
        tx.connection.engine, "before_cursor_execute", lambda _, __, words, given, *___: asked.append((words, given))
    )
    begun_us, old = CLOCK.now(), filed(tx, opened_at_us=5)
    incidents.update(tx, resolved(old))
    first, second = filed(tx), filed(tx, cause="b")
    asked.clear()
    assert incidents.listing(tx, states=incidents.OPEN) == [second, first]
    assert incidents.listing(tx, states=incidents.OPEN, service="shop", limit=1) == [second]
    assert incidents.open_of_service(tx, "shop") == [first, second]
    plans = [
        row.detail
        for words, given in list(asked)
        for row in tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {words}", given)
    ]
    assert len(plans) >= 3
    assert [plan for plan in plans if plan.startswith("SCAN") and "incidents_one_open" not in plan] == []
    assert incidents.since(tx, begun_us) == [second, first]
    assert incidents.since(tx, 9) == [second, first, resolved(old)]


def test_a_timeline_is_told_in_the_order_written(tx: Tx) -> None:
    one = filed(tx)
    told = [
        TimelineEntry(incident_id=one.id, at_us=at_us, actor="a", verb=verb, text="…")
        for at_us, verb in ((5, "opened"), (3, "comment"), (5, "resolved"))  # the clock was set back in between
    ]
    for entry in told:
        incidents.add_line(tx, entry)
    assert incidents.timeline(tx, one.id) == told


def test_a_timeline_belongs_to_an_incident(tx: Tx) -> None:
    from sqlalchemy.exc import IntegrityError

    with pytest.raises(IntegrityError, match="FOREIGN KEY"):
        incidents.add_line(tx, TimelineEntry(incident_id="nobody", at_us=1, actor="a", verb="comment", text=""))
