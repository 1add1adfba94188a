"""Tests that share what is dear to build run in one process; all others go wherever there is time."""

import inspect

import pytest
from xdist import newhooks  # type: ignore[import-untyped]  # it ships no types
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # as above

from tests.sharing import scope_of

SHARED = '@pytest.fixture(scope="module")\ndef machine() -> None: ...\n'
GROUPED = 'pytestmark = pytest.mark.xdist_group("install")\n'


@pytest.mark.parametrize(
    ("file", "text", "scope"),
    [
        ("tests/acceptance/test_a.py", "", "tests/acceptance/test_a.py::test_it[a::b]"),
        ("tests/acceptance/test_a.py", SHARED, "tests/acceptance/test_a.py"),
        ("tests/acceptance/test_a.py", SHARED + GROUPED, "install"),
        ("tests/integration/test_a.py", "pytestmark = pytest.mark.lab\n", "lab"),
        ("tests/unit/test_a.py", "", "tests/unit/test_a.py"),
    ],
)
def test_what_a_test_is_kept_together_with(file: str, text: str, scope: str) -> None:
    assert scope_of(f"{file}::test_it[a::b]", text) == scope


def test_xdist_asks_us_and_goes_by_what_we_say() -> None:
    """It once lost its groups without a word: what we hook into has to be there under its name."""
    (asked,) = inspect.signature(newhooks.pytest_xdist_make_scheduler).parameters.keys() - {"log"}
    assert asked == "config"
    assert "self._split_scope(nodeid)" in inspect.getsource(LoadScopeScheduling.schedule)
