"""The smaller nouns of the store, on real SQLite: numbers, states, looks, backups, policies, switches, orders, owners."""

import dataclasses
import math
import random
from collections.abc import Iterable
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.errors import ConflictError, OwnedError, StoreError
from agent.model.journal import Entry
from agent.model.look import Look, Measure, Result, Verdict
from agent.model.proof import Cycle, Older, Point, Proof
from agent.store import (
    backups,
    counters,
    dues,
    journal,
    looks,
    orders,
    owners,
    policies,
    states,
    switches,
)
from agent.store.tx import Tx

CLOCK = SystemClock()
CAUSE = "shop/checks/http@web1"


# counters


def test_numbers_count_from_one_under_each_prefix(tx: Tx) -> None:
    drawn = [counters.next_number(tx, prefix) for prefix in ("INC", "INC", "EXE", "INC")]
    assert drawn == ["INC0000001", "INC0000002", "EXE0000001", "INC0000003"]


# states


def test_a_state_is_saved_over_the_revision_that_was_read(tx: Tx) -> None:
    assert states.save(tx, CAUSE, {"bad": 1}, revision=0) == 1
    assert states.save(tx, CAUSE, {"bad": 2}, revision=1) == 2
    assert states.load_all(tx) == {CAUSE: (2, {"bad": 2})}


@pytest.mark.parametrize("revision", [0, 1, 3])
def test_a_state_that_somebody_else_saved_first_is_a_conflict(tx: Tx, revision: int) -> None:
    states.save(tx, CAUSE, {}, revision=states.save(tx, CAUSE, {}, revision=0))
    with pytest.raises(ConflictError, match="no longer at revision") as caught:
        states.save(tx, CAUSE, {"mine": True}, revision=revision)
    assert caught.value.hint == "read it again"
    assert states.load_all(tx)[CAUSE].document == {}


def test_what_others_saved_is_found_whether_or_not_they_wrote_a_line(tx: Tx) -> None:
    entry = Entry(actor="a", kind="k", object_type="t", object_id="o", why="w")
    journal.append(tx, entry)
    seen = journal.head(tx).seq
    assert states.changed_since(tx, seen) == {}
    states.save(tx, "without a line", {}, revision=0)
    assert set(states.changed_since(tx, seen)) == {"without a line"}
    states.save(tx, "before its line", {}, revision=0)
    journal.append(tx, entry)
    states.save(tx, "after its line", {}, revision=0)
    assert set(states.changed_since(tx, seen)) == {"without a line", "before its line", "after its line"}
    assert states.changed_since(tx, journal.head(tx).seq + 1) == {}


def test_a_removed_state_starts_anew(tx: Tx) -> None:
    states.save(tx, CAUSE, {}, revision=0)
    states.remove(tx, CAUSE)
    states.remove(tx, CAUSE)
    assert states.load_all(tx) == {}
    assert states.save(tx, CAUSE, {}, revision=0) == 1


# looks


def seen(key: str, at_us: int, summary: str, verdict: Verdict = Verdict.OK, **metrics: Measure) -> Result:
    return Result(
        key=key, begun_us=at_us - 1, ended_us=at_us, look=Look(verdict=verdict, summary=summary, metrics=metrics)
    )


def test_the_latest_look_replaces_the_one_before(tx: Tx) -> None:
    looks.save(tx, [seen("s/c/a@web", 2, "full \udcff", Verdict.CRITICAL)])
    assert looks.latest(tx)["s/c/a@web"].summary == "full ?"
    looks.save(tx, [seen("s/c/a@web", 4, "fine", used=0.5, word="up"), seen("s/c/b@web", 3, "also")])
    looks.save(tx, [])
    found = looks.latest(tx)
    assert {key: (one.at_us, one.summary) for key, one in found.items()} == {
        "s/c/a@web": (4, "fine"),
        "s/c/b@web": (3, "also"),
    }
    assert found["s/c/a@web"].metrics == {"used": 0.5, "word": "up"}
    assert set(looks.latest(tx, ["s/c/b@web", "s/c/x@web", "s/c/a@db"])) == {"s/c/b@web"}
    assert looks.latest(tx, []) == {}
    looks.forget(tx, ["s/c/a@web"])
    assert set(looks.latest(tx)) == {"s/c/b@web"}
    looks.forget(tx, ["s/c/b@web"])
    assert looks.latest(tx) == {}


@pytest.mark.parametrize(
    ("measured", "kept"),
    [(math.inf, "inf"), (-math.inf, "-inf"), (math.nan, "nan"), (2**70, 2**70), ("null", "null"), ("a\udcff", "a?")],
)
def test_what_json_has_no_number_for_is_kept_as_a_word(tx: Tx, measured: Measure, kept: Measure) -> None:
    looks.save(tx, [seen("s/c/a@web", 2, "null, it says", used=measured, other=0.5), seen("s/c/b@web", 2, "fine")])
    assert looks.latest(tx)["s/c/a@web"].metrics == {"used": kept, "other": 0.5}
    assert looks.latest(tx)["s/c/a@web"].summary == "null, it says"


def test_a_look_with_nothing_measured_is_kept(tx: Tx) -> None:
    look = Look(verdict=Verdict.OK, summary="fine", instances={"one": Look(verdict=Verdict.OK, summary="also")})
    looks.save(tx, [Result(key="s/c/a@web", begun_us=1, ended_us=2, look=look)])
    found = looks.latest(tx)["s/c/a@web"]
    assert (found.metrics, found.instances) == ({}, {"one": {"verdict": "ok", "summary": "also", "metrics": {}}})


def test_instances_are_kept_with_their_look(tx: Tx) -> None:
    disk = Look(verdict=Verdict.WARNING, summary="90%", metrics={"used": 0.9})
    look = Look(verdict=Verdict.WARNING, summary="one is full", instances={"/srv": disk})
    looks.save(tx, [Result(key="s/c/disks@web", begun_us=1, ended_us=2, look=look)])
    assert looks.latest(tx)["s/c/disks@web"].instances == {
        "/srv": {"verdict": "warning", "summary": "90%", "metrics": {"used": 0.9}}
    }


def note(shelf: looks.Shelf, results: Iterable[Result]) -> None:
    for place, some in looks.by_place(results):
        shelf.note(place, some)


def put(tx: Tx, shelf: looks.Shelf, *, merge: bool) -> None:
    shelf.write(tx, merge=merge)
    shelf.written()


def test_what_could_not_be_written_waits_for_the_next_time(tx: Tx) -> None:
    shelf = looks.Shelf()
    note(shelf, [seen("s/c/a@web", 2, "first")])
    shelf.write(tx, merge=True)
    looks.forget(tx, ["s/c/a@web"])  # as when the transaction is rolled back
    put(tx, shelf, merge=True)
    assert set(looks.latest(tx)) == {"s/c/a@web"}
    looks.forget(tx, ["s/c/a@web"])
    put(tx, shelf, merge=True)
    assert looks.latest(tx) == {}


def test_in_whatever_company_checks_are_looked_at_the_latest_of_each_is_kept(tx: Tx) -> None:
    """What came together is encoded together; then a part of it comes with others, or alone, or leaves for good."""
    shelf, lots, latest = looks.Shelf(), random.Random(5), dict[str, int]()
    for turn in range(60):
        some = lots.sample([f"s/c/{letter}@{host}" for host in ("web", "db") for letter in "abcde"], lots.randint(1, 7))
        note(shelf, [seen(key, turn, str(turn)) for key in some])
        latest |= dict.fromkeys(some, turn)
        if turn % 20 == 19:
            latest = {key: at for key, at in latest.items() if key != f"s/c/{lots.choice('abcde')}@web"}
            shelf.forget_others(latest)
        put(tx, shelf, merge=turn % 3 == 0 and turn < 20)
        assert {key: one.at_us for key, one in looks.latest(tx, latest).items()} == latest


def test_what_no_policy_names_any_more_does_not_come_back(tx: Tx) -> None:
    shelf = looks.Shelf()
    for key in ("s/c/a@web", "s/c/b@web"):
        note(shelf, [seen(key, 2, "seen")])
    put(tx, shelf, merge=True)
    looks.forget(tx, ["s/c/a@web"])
    shelf.forget_others({"s/c/b@web"})
    note(shelf, [seen("s/c/b@web", 3, "seen")])
    put(tx, shelf, merge=False)
    assert set(looks.latest(tx)) == {"s/c/b@web"}


def test_two_processes_that_look_at_one_host_lose_nothing_of_each_other(tx: Tx) -> None:
    """One keeps what it saw in memory, and writes its whole row again after the other has written."""
    shelf = looks.Shelf()
    note(shelf, [seen("s/c/a@web", 2, "mine")])
    note(shelf, [seen("s/c/b@web", 2, "mine")])
    put(tx, shelf, merge=True)
    looks.save(tx, [seen("s/c/a@web", 5, "theirs"), seen("s/c/c@web", 5, "theirs")])
    note(shelf, [seen("s/c/b@web", 6, "mine again")])
    put(tx, shelf, merge=True)
    note(shelf, [seen("s/c/b@web", 7, "and again")])
    put(tx, shelf, merge=False)
    assert {key: one.summary for key, one in looks.latest(tx).items()} == {
        "s/c/a@web": "theirs", "s/c/b@web": "and again", "s/c/c@web": "theirs",
    }  # fmt: skip


def test_more_looks_than_one_query_can_name(tx: Tx) -> None:
    rows = [seen(f"s/c/{number}@host-{number}", 1, "") for number in range(1_200)]
    looks.save(tx, rows)
    assert len(looks.latest(tx, [row.key for row in rows])) == 1_200


# backups


def point(number: int, *, partial: bool = False) -> Point:
    return Point(
        key="b", exec_id=f"e{number}", snapshot=f"s{number}", at_us=number, files=1, size_bytes=2, added_bytes=3,
        partial=partial, manifest="m",
    )  # fmt: skip


def proof(number: int, *, passed: bool) -> Proof:
    return Proof(
        key="b", exec_id=f"e{number}", snapshot="s", at_us=number, passed=passed, compared=5, torn=1,
        faults=() if passed else ("etc/passwd: differs",), restore_seconds=1.5,
    )  # fmt: skip


def test_points_and_proofs_are_found_the_newest_first(tx: Tx) -> None:
    assert backups.last_point(tx, "b") is backups.last_good_point(tx, "b") is None
    assert backups.last_proof(tx, "b") is backups.last_passed_proof(tx, "b") is None
    for one in (point(1), point(2), point(3, partial=True)):
        assert backups.add_point(tx, one)
    for drill in (proof(1, passed=True), proof(2, passed=False)):
        assert backups.add_proof(tx, drill)
    assert backups.points(tx, "b") == [point(3, partial=True), point(2), point(1)]
    assert backups.points(tx, "b", 1) == [point(3, partial=True)]
    assert backups.last_point(tx, "b") == point(3, partial=True)
    assert backups.last_good_point(tx, "b") == point(2)
    assert backups.last_proof(tx, "b") == proof(2, passed=False)
    assert backups.last_passed_proof(tx, "b") == proof(1, passed=True)
    assert backups.points(tx, "another") == []
    assert backups.proofs(tx, "b") == [proof(2, passed=False), proof(1, passed=True)]
    assert backups.proofs(tx, "b", 1) == [proof(2, passed=False)]


def test_what_a_drill_measured_and_where_the_next_one_goes_on_is_kept(tx: Tx) -> None:
    whole = dataclasses.replace(
        proof(1, passed=True), turn=4, files=900, sampled=200, size_bytes=5, whole_bytes=10, seconds=2.5,
        parts={"restored": 1.5, "compared": 1.0}, cycle=Cycle(order="ab", round=2, drawn=3, planned=5, cursor="7f"),
        older=Older(snapshot="old", at_us=7, compared=200, fault_count=0), alarm=True,
    )  # fmt: skip
    assert backups.add_proof(tx, whole)
    assert backups.last_proof(tx, "b") == whole


def test_a_job_collected_twice_leaves_one_point_and_one_proof(tx: Tx) -> None:
    assert [backups.add_point(tx, point(1)) for _ in range(2)] == [True, False]
    assert [backups.add_proof(tx, proof(1, passed=True)) for _ in range(2)] == [True, False]


# policies


def test_the_generation_grows_only_when_the_digest_changes(tx: Tx) -> None:
    assert policies.last_good(tx) is None
    files = {"shop.yaml": b"service: shop\n", "b\xc3\xa4d.yaml": b"\x00\xff"}
    assert [policies.save(tx, digest=digest, files=files) for digest in ("a", "a", "b", "a")] == [1, 1, 2, 3]
    assert policies.last_good(tx) == (3, "a", files)


def test_files_of_old_generations_are_dropped_and_their_numbers_kept(tx: Tx) -> None:
    for number in range(policies.KEPT + 5):
        generation = policies.save(tx, digest=str(number), files={"a": b"x"})
    assert generation == policies.KEPT + 5
    count = "SELECT (SELECT count(*) FROM policy_sets), (SELECT count(*) FROM policy_files)"
    assert tx.connection.exec_driver_sql(count).one() == (policies.KEPT + 5, policies.KEPT)


# switches, orders, dues


def test_a_switch_is_off_until_somebody_turns_it(tx: Tx) -> None:
    assert not switches.get(tx, "kill").is_on
    turned = switches.turn(tx, "kill", on=True, by="a person", why="storm")
    assert switches.get(tx, "kill") == turned
    assert turned.is_on
    switches.turn(tx, "kill", on=False, by="a person", why="over")
    assert not switches.get(tx, "kill").is_on


def test_an_order_waits_until_it_is_settled_and_keeps_its_outcome(tx: Tx) -> None:
    first = orders.add(tx, "reload", {}, "a person")
    second = orders.add(tx, "backup", {"key": "b"}, "a person")
    assert [(one.id, one.verb, one.args) for one in orders.waiting(tx)] == [
        (first, "reload", {}),
        (second, "backup", {"key": "b"}),
    ]
    assert orders.outcome(tx, first) is None
    assert [orders.take(tx, first) for _ in range(2)] == [True, False]
    assert orders.waiting(tx)[0].taken_at_us is not None
    orders.settle(tx, first, {"ok": True})
    assert orders.outcome(tx, first) == {"ok": True}
    assert [one.id for one in orders.waiting(tx)] == [second]
    with pytest.raises(StoreError, match="settled"):
        orders.settle(tx, first, {"ok": False})
    assert orders.outcome(tx, "unknown") is None


def test_the_last_run_of_an_item_is_remembered(tx: Tx) -> None:
    dues.mark(tx, "a", 1)
    dues.mark(tx, "a", 2)
    dues.mark(tx, "b", 1)
    dues.forget(tx, "b")
    assert dues.last_runs(tx) == {"a": 2}


# owners


def test_a_second_daemon_is_told_who_owns_the_folder(tmp_path: Path) -> None:
    claim = owners.claim(tmp_path / "state", CLOCK)
    with pytest.raises(OwnedError, match=f"pid {claim.owner.pid}") as caught:
        owners.claim(tmp_path / "state", CLOCK)
    assert caught.value.exit_code == 4
    assert owners.running(tmp_path / "state", CLOCK) == claim.owner
    claim.release()
    claim.release()
    assert owners.running(tmp_path / "state", CLOCK) is None
    owners.claim(tmp_path / "state", CLOCK).release()


def test_a_folder_nobody_owned_has_no_owner(tmp_path: Path) -> None:
    assert owners.running(tmp_path, CLOCK) is None


def test_the_owner_is_named_in_the_database(tx: Tx, tmp_path: Path) -> None:
    assert owners.current(tx) is None
    claim = owners.claim(tmp_path, CLOCK)
    for _ in range(2):
        owners.record(tx, claim.owner)
    assert owners.current(tx) == claim.owner
    claim.release()
