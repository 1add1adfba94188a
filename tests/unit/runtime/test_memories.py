"""What looks leave, over a restart: only after the result, only while it is worth something, and never in two minds."""

import dataclasses

import pytest

from agent.checks.recalling import Kept
from agent.closed import ClosedModel, Text
from agent.model.cadence import Every
from agent.model.check import Check, Rules, RunFrom
from agent.runtime.memories import WORTH_SECONDS, Memories
from agent.store.memories import Row
from tests.fakes.clock import ToldClock

KINDS = {"log": Kept(tuple[int, int], lasts=True), "cpu": Kept(tuple[int, ...], lasts=False)}


class Options(ClosedModel):
    """What is asked."""

    what: Text = ""


def check(kind: str, what: str = "") -> Check:
    key = f"shop/checks/{kind}@here"
    return Check(
        key=key, item=f"shop/checks/{kind}", service="shop", host="here", kind=kind, options=Options(what=what),
        run_from=RunFrom.HOST, every=(Every(seconds=60),), timeout_seconds=5, retry_every_seconds=15,
        rules=Rules(key=key),
    )  # fmt: skip


class Two:
    """Two processes, one after the other, with what lies between them."""

    def __init__(self) -> None:
        self.clock = ToldClock()
        self.store: dict[str, Row] = {}
        self.memories = self.start()

    def start(self) -> Memories:
        """The next process."""
        self.memories = Memories(self.clock, kinds=KINDS)
        self.memories.begin(self.store)
        return self.memories

    def look(self, one: Check, left: object) -> None:
        """A look whose result is followed through."""
        self.memories.keep(one, left)
        self.memories.settle(one.key)

    def flush(self, *, last: bool = False) -> list[str]:
        """Write what is due; which keys that were."""
        due = self.memories.due(last=last)
        self.store |= {row.key: row for row in self.memories.rows(due)}
        self.memories.written(due)
        return sorted(one.key for one in due)


@pytest.fixture
def two() -> Two:
    return Two()


LOG, CPU, OTHER = check("log"), check("cpu"), check("other")


def test_a_look_counts_once_its_result_has_been_followed_through(two: Two) -> None:
    two.memories.keep(LOG, (1, 10))
    assert two.memories.recall(LOG) is None, "the next look is to find the same once more"
    assert two.flush(last=True) == []
    two.memories.settle(LOG.key)
    assert two.memories.recall(LOG) == (1, 10)
    two.memories.keep(LOG, (1, 20))
    assert two.memories.recall(LOG) == (1, 10)
    assert two.flush() == [LOG.key]
    assert two.start().recall(LOG) == (1, 10), "what was not followed through is not known to have been"


def test_where_nothing_outlives_the_process_a_look_counts_at_once() -> None:
    memories = Memories(ToldClock(), kinds=KINDS)
    memories.keep(LOG, (1, 10))
    memories.settle(LOG.key)
    assert memories.recall(LOG) == (1, 10)
    assert memories.due(last=True) == ()


def test_a_position_is_written_whenever_it_moved_and_not_otherwise(two: Two) -> None:
    told = []
    for left in ((1, 10), (1, 10), (1, 20), (1, 20)):
        two.look(LOG, left)
        told.append(two.flush())
    assert told == [[LOG.key], [], [LOG.key], []]
    assert two.start().recall(LOG) == (1, 20)


def test_counters_are_written_at_first_then_every_ten_minutes_and_at_the_end(two: Two) -> None:
    told = []
    for number in range(25):
        two.look(CPU, (number,))
        told.append(bool(two.flush()))
        two.clock.pass_seconds(60)
    assert [number for number, written in enumerate(told) if written] == [0, 10, 20]
    assert two.flush(last=True) == [CPU.key]
    assert two.flush(last=True) == []
    assert two.start().recall(CPU) == (24,)


@pytest.mark.parametrize(
    ("seconds", "stepped", "is_same_boot", "comes_back"),
    [
        (WORTH_SECONDS, 0, True, True),
        (WORTH_SECONDS + 1, 0, True, False),  # an average over more than an hour would hide what is now
        (60, 0, False, False),  # boottimes of another boot mean nothing
        (60, -61, True, False),  # written in the future: nobody knows how long ago
    ],
)
def test_counters_are_worth_something_for_an_hour_of_one_boot_and_a_position_for_ever(
    two: Two, seconds: float, stepped: float, *, is_same_boot: bool, comes_back: bool
) -> None:
    two.look(LOG, (1, 10))
    two.look(CPU, (7,))
    two.flush()
    two.clock.pass_seconds(seconds)
    two.clock.step_seconds(stepped)
    two.clock.boot_id = two.clock.boot_id if is_same_boot else "another"
    memories = two.start()
    assert (memories.recall(LOG), memories.recall(CPU)) == ((1, 10), (7,) if comes_back else None)


def test_what_was_left_under_other_options_or_by_another_probe_is_not_taken_up(two: Two) -> None:
    two.look(LOG, (1, 10))
    two.flush()
    assert two.start().recall(check("log", "edited")) is None
    assert two.start().recall(dataclasses.replace(CPU, key=LOG.key)) is None
    assert two.start().recall(check("log")) == (1, 10), "the same options, read anew"


def test_what_is_not_readable_is_as_good_as_none(two: Two) -> None:
    two.look(LOG, (1, 10))
    two.flush()
    two.store[LOG.key] = two.store[LOG.key]._replace(document='[["$(reboot)",1]]')
    assert two.start().recall(LOG) is None


def test_a_probe_whose_memory_is_not_kept_keeps_it_in_the_process(two: Two) -> None:
    two.look(OTHER, object())
    assert two.memories.recall(OTHER) is not None
    assert two.flush(last=True) == []


def test_what_moved_while_it_was_written_and_what_was_not_written_stays_due(two: Two) -> None:
    two.look(LOG, (1, 10))
    due = two.memories.due()
    two.look(LOG, (1, 20))
    assert two.memories.due()[0].memory == (1, 20), "the store failed: nothing was written"
    two.memories.written(due)
    assert two.flush() == [LOG.key]
    assert two.start().recall(LOG) == (1, 20)


def test_an_edited_check_begins_anew_and_its_next_memory_is_written(two: Two) -> None:
    two.look(LOG, (1, 10))
    two.flush()
    edited = check("log", "edited")
    assert two.memories.recall(edited) is None
    two.look(edited, (2, 0))
    assert two.flush() == [LOG.key]
    assert two.start().recall(edited) == (2, 0)
    two.look(check("log", "edited"), (2, 0))
    assert two.flush() == [], "the same options, read anew"


def test_of_too_many_the_oldest_is_forgotten() -> None:
    memories = Memories(ToldClock(), kinds=KINDS, most=1)
    memories.begin({})
    for one in (LOG, CPU):
        memories.keep(one, (1, 1))
        memories.settle(one.key)
    assert [due.key for due in memories.due()] == [CPU.key]
    assert memories.recall(LOG) is None
