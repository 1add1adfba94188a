"""The agenda: what is due when, however often it is put off."""

from hypothesis import given
from hypothesis import strategies as st

from agent.runtime.agenda import Agenda

STEPS = st.lists(st.tuples(st.sampled_from(["put", "drop", "take"]), st.sampled_from("abcd"), st.integers(0, 30)))


@given(STEPS)
def test_it_tells_what_a_plain_list_would_tell(steps: list[tuple[str, str, int]]) -> None:
    agenda, plain = Agenda(), dict[str, int]()
    for what, key, at_us in steps:
        if what == "put":
            agenda.put(key, at_us)
            plain[key] = at_us
        elif what == "drop":
            agenda.drop(key)
            plain.pop(key, None)
        else:
            due = sorted(key for key, when in plain.items() if when <= at_us)
            assert sorted(agenda.take(at_us)) == due
            plain = {key: when for key, when in plain.items() if when > at_us}
        assert agenda.moments() == plain
        assert all((key in agenda) == (key in plain) for key in "abcd")


def test_the_earliest_comes_first_and_what_was_put_off_comes_once() -> None:
    agenda = Agenda()
    for number in range(5_000):
        agenda.put("often", number)
    agenda.put("late", 9_000)
    agenda.put("soon", 10)
    assert list(agenda.take(8_000)) == ["soon", "often"]
    assert list(agenda.take(8_999)) == []
    assert list(agenda.take(9_000)) == ["late"]
    assert list(agenda.take(10_000)) == []
