"""Mutation itself: what is changed, by which name, and that a change reaches whoever imported the function."""

import ast
from pathlib import Path

import pytest

from tests import mutants

SOURCE = '''
"""Numbers outside of functions are no decisions."""
LIMIT = 3

def judge(one, two=5):
    """Nor are words."""
    if one < 1 and two > 1:
        return f"{one + 1}"
    return [max(two / 5, 3) for one in range(9) if one is not None]
'''


@pytest.fixture
def changed(tmp_path: Path) -> list[mutants.Mutant]:
    """Every change of the source."""
    path = tmp_path / "gate.py"
    path.write_text(SOURCE)
    return list(mutants.mutants_of(path))


def test_what_a_function_decides_is_changed_and_nothing_else(changed: list[mutants.Mutant]) -> None:
    assert [one.name for one in changed] == [
        "gate.judge: `1` → `2` (1 of 2)",
        "gate.judge: `one < 1` → `one <= 1`",
        "gate.judge: `1` → `2` (2 of 2)",
        "gate.judge: `two > 1` → `two >= 1`",
        "gate.judge: `one < 1 and two > 1` → `one < 1 or two > 1`",
        "gate.judge: `5` → `6`",
        "gate.judge: `two / 5` → `two * 5`",
        "gate.judge: `3` → `4`",
        "gate.judge: `max(two / 5, 3)` → `min(two / 5, 3)`",
        "gate.judge: `9` → `10`",
        "gate.judge: `one is not None` → `one is None`",
    ]


def test_each_change_is_one_and_another(changed: list[mutants.Mutant]) -> None:
    texts = {ast.unparse(mutants.tree_of(one.source, one.index)) for one in changed}
    plain = ast.unparse(mutants.tree_of(SOURCE))
    assert plain == ast.unparse(ast.parse(SOURCE))
    assert len(texts - {plain}) == len(changed)
    for text in texts:
        pairs = zip(plain.splitlines(), text.splitlines(), strict=True)
        assert sum(before != after for before, after in pairs) == 1


def test_a_function_says_that_it_was_called() -> None:
    told = list[str]()
    names = {"says": told.append}
    exec(compile(mutants.telling(SOURCE, "says", "gate.py"), "gate.py", "exec"), names)  # noqa: S102  it is the source above
    exec("judge(1)", names)  # noqa: S102
    assert told == ["gate.py:5"]
