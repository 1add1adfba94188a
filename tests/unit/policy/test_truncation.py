"""A file cut off anywhere, or filled with anything, is an error or loads: it is never a crash."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from agent.policy.reading import document
from agent.policy.source import read
from tests.fakes import policies

EXAMPLE = (Path(__file__).resolve().parents[2] / "corpus" / "example.yaml").read_bytes()
PIECES = [
    b"checks:", b"\n", b"  ", b"a", b": ", b"{", b"}", b"[", b"]", b"- ", b"'", b'"', b"*x", b"&x ", b"!t ", b"<<", b"|\n",
    b"{{ x }}", b"? ", b"#", b"---\n", b"%YAML 1.1\n", b"\t", b"tcp", b"80", b"every", b"service", b"\xff", b"\0", b"\xc3\xa9",
]  # fmt: skip


def test_every_beginning_of_the_example_loads_or_is_an_error() -> None:
    known = policies.catalogue()
    for end in range(len(EXAMPLE)):
        found = document("shop.yaml", EXAMPLE[:end], known)
        assert found.problems or found.header is not None


def test_every_beginning_that_ends_with_a_line_goes_through_the_whole_load(tmp_path: Path) -> None:
    config = policies.new_home(tmp_path)
    whole = policies.load_with(config, {"shop.yaml": EXAMPLE}).policies
    assert whole is not None
    lines = EXAMPLE.splitlines(keepends=True)
    for count in range(len(lines)):
        text = b"".join(lines[:count])
        loaded = policies.load_with(config, {"shop.yaml": text}, last_good=whole.sources)
        assert loaded.policies is not None
        if loaded.problems:
            assert loaded.policies.sources == whole.sources


@given(some.lists(some.sampled_from(PIECES), max_size=40).map(b"".join))
def test_anything_that_looks_like_yaml_gives_a_document(data: bytes) -> None:
    found = document("shop.yaml", data, policies.catalogue())
    assert found.problems
    assert list(found.problems) == sorted(
        found.problems, key=lambda problem: (problem.line, problem.column, problem.message)
    )


@given(some.binary(max_size=400))
def test_any_bytes_give_a_document(data: bytes) -> None:
    assert document("shop.yaml", data, policies.catalogue()).problems


@given(some.lists(some.tuples(some.integers(0, len(EXAMPLE) - 1), some.binary(max_size=3)), min_size=1, max_size=3))
def test_the_example_with_bytes_changed_gives_a_document(changes: list[tuple[int, bytes]]) -> None:
    data = EXAMPLE
    for place, piece in changes:
        data = data[:place] + piece + data[place + len(piece) :]
    found = document("shop.yaml", data, policies.catalogue())
    assert found.problems or found.header is not None


@pytest.mark.parametrize("occurrence", [0, 1, 2])
def test_each_occurrence_of_a_repeated_key_can_be_read(occurrence: int) -> None:
    tree = read(b"a: {x: 0}\na: [1]\na: '2'\n", occurrence=occurrence)
    assert tree.root == {"a": [{"x": "0"}, ["1"], "2"][occurrence]}
    assert tree.repeats == 2
