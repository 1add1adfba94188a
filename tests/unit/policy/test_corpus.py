"""Every broken policy of the corpus gives exactly its expected messages: all of them, at their places."""

from pathlib import Path

import pytest

from tests.fakes import policies

BROKEN = Path(__file__).resolve().parents[2] / "corpus" / "broken"
CASES = sorted(BROKEN.glob("*.yaml"))


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return policies.new_home(tmp_path_factory.mktemp("corpus"))


def messages(config: Path, data: bytes) -> str:
    """What `validate` would print, each line without the name of the file."""
    loaded = policies.load_with(config, {"shop.yaml": data})
    assert loaded.policies is None or not loaded.problems
    return "".join(str(problem).removeprefix("policies/shop.yaml:") + "\n" for problem in loaded.problems)


def test_the_corpus_is_there() -> None:
    assert len(CASES) >= 40


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_broken_policy_gives_its_messages(path: Path, config: Path) -> None:
    assert messages(config, path.read_bytes()) == path.with_suffix(".expected").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"[" * 200_000, "1:51: nested deeper than 50 levels\n"),
        (b"{a: " * 200_000, "1:201: nested deeper than 50 levels\n"),
        (b"a: " + b"[x, " * 60, "1:200: nested deeper than 50 levels\n"),
        (b"- x\n" * 150_000, "100000:3: more than 100,000 values: split the file\n"),
        (b"title: " + b"x" * 1_000_001, "1:1: larger than 1 MB: split the file\n"),
    ],
    ids=["brackets", "braces", "mixed", "many", "large"],
)
def test_a_bomb_is_refused_before_it_is_built(data: bytes, expected: str, config: Path) -> None:
    assert messages(config, data) == expected
