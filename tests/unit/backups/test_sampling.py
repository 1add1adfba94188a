"""Which files a drill draws: each once per round whatever the key, and within the plan however the tree changes."""

import math
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.backups.restic import sampling
from agent.errors import AgentError
from agent.model.proof import Cycle

KEYS = st.binary(min_size=32, max_size=32)


def ranks(key: bytes, names: range) -> dict[bytes, int]:
    """The rank of each file."""
    return {sampling.rank(key, f"/srv/{name}"): name for name in names}


def drawn(known: dict[bytes, int], cycle: Cycle, sample: int) -> tuple[set[int], Cycle]:
    """The files of the next slice."""
    found = sampling.draw(known, cycle, sample)
    taken = {name for rank, name in known.items() if found.holds(rank)}
    assert len(taken) == found.count
    return taken, found.then


@given(key=KEYS, files=st.integers(1, 300), sample=st.integers(1, 60), begin=st.integers(0, 12))
@settings(max_examples=150, deadline=None)
def test_whatever_the_key_every_file_is_drawn_within_so_many_drills(
    key: bytes, files: int, sample: int, begin: int
) -> None:
    """From any moment on, not only from the start of a round."""
    known, cycle, bound = ranks(key, range(files)), Cycle(), math.ceil(files / sample)
    for _ in range(begin):
        _, cycle = drawn(known, cycle, sample)
    seen: set[int] = set()
    for _ in range(bound):
        taken, cycle = drawn(known, cycle, sample)
        assert len(taken) <= sample
        assert not taken & seen
        seen |= taken
    assert seen == set(range(files))


@given(
    key=KEYS,
    sample=st.integers(1, 20),
    sizes=st.lists(st.tuples(st.integers(0, 80), st.integers(1, 160)), min_size=4, max_size=40),
)
@settings(max_examples=150, deadline=None)
def test_what_was_there_when_a_round_began_and_stays_is_drawn_as_planned_though_the_tree_changes(
    key: bytes, sample: int, sizes: list[tuple[int, int]]
) -> None:
    cycle, stays, seen, left = Cycle(), set[int](), set[int](), 0
    for first, count in sizes:
        names = range(first, first + count)
        if not cycle.drawn:
            assert stays <= seen
            stays, seen, left = set(names), set(), math.ceil(count / sample)
        taken, then = drawn(ranks(key, names), cycle, sample)
        anew = then.round > cycle.round + 1 or (cycle.drawn and then.round > cycle.round and then.drawn)
        if anew:  # everything ahead had vanished: this is a round of its own
            stays, seen, left = set(names), set(), math.ceil(count / sample)
        seen |= taken
        stays &= set(names)
        left -= 1
        assert left >= 0
        cycle = then


@given(key=KEYS, other=KEYS)
@settings(max_examples=30, deadline=None)
def test_who_has_not_the_key_cannot_tell_what_comes_next(key: bytes, other: bytes) -> None:
    first, _ = drawn(ranks(key, range(200)), Cycle(), 20)
    second, _ = drawn(ranks(other, range(200)), Cycle(), 20)
    assert key == other or first != second


def test_a_tree_that_grows_in_mid_round_makes_larger_slices_and_no_longer_round() -> None:
    key, cycle = bytes(32), Cycle()
    taken, cycle = drawn(ranks(key, range(100)), cycle, 20)
    assert (len(taken), cycle.round, cycle.drawn, cycle.planned) == (20, 1, 1, 5)
    sizes = []
    while cycle.round == 1:
        taken, cycle = drawn(ranks(key, range(1000)), cycle, 20)
        sizes.append(len(taken))
    assert len(sizes) == 4
    assert min(sizes) > 100


def test_another_sample_changes_the_plan_of_the_round_from_there_on() -> None:
    key, known = bytes(32), ranks(bytes(32), range(100))
    _, cycle = drawn(known, Cycle(), 50)
    taken, cycle = drawn(known, cycle, 10)
    assert (len(taken), cycle.drawn, cycle.planned) == (10, 2, 6)
    assert sampling.mark_of(key) != sampling.mark_of(bytes(31) + b"x")


def test_nothing_is_drawn_from_nothing() -> None:
    taken, cycle = drawn({}, Cycle(), 10)
    assert (taken, cycle.drawn) == (set(), 0)


def test_the_key_is_made_once_is_private_and_another_for_each_backup(tmp_path: Path) -> None:
    first = sampling.key_of(tmp_path / "state", "a@web1")
    assert sampling.key_of(tmp_path / "state", "a@web1") == first
    assert sampling.key_of(tmp_path / "state", "b@web1") != first
    assert sampling.key_of(tmp_path / "other", "a@web1") != first
    (path,) = (tmp_path / "state").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"short")
    with pytest.raises(AgentError, match="not what it was"):
        sampling.key_of(tmp_path / "state", "a@web1")


def test_names_that_are_no_text_have_a_rank() -> None:
    assert sampling.rank(bytes(32), os.fsdecode(b"/srv/bad\xff")) != sampling.rank(bytes(32), "/srv/bad")
