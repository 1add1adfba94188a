"""The registry finds what is stamped, and refuses what is ambiguous."""

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from agent.errors import AgentError, PolicyError
from agent.registry import named, scan, stamp

MakePackage = Callable[[dict[str, str]], ModuleType]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> MakePackage:
    """Makes a package of these files and imports it."""
    name = f"made_up_{request.node.name.split('[')[0]}"

    def make(files: dict[str, str]) -> ModuleType:
        folder = tmp_path / name
        folder.mkdir()
        for file, text in {"__init__.py": "", **files}.items():
            (folder / file).write_text(textwrap.dedent(text))
        monkeypatch.syspath_prepend(str(tmp_path))
        request.addfinalizer(
            lambda: [sys.modules.pop(each) for each in list(sys.modules) if each.startswith(name)] and None
        )
        return __import__(name)

    return make


ONE = """
    from agent.registry import stamp

    @stamp("check", "one")
    class One: ...
"""


def test_a_file_in_the_folder_is_the_whole_registration(package: MakePackage) -> None:
    found = scan(package({"one.py": ONE, "words.py": "class Unstamped: ..."}), "check")
    assert list(found) == ["one"]
    assert found["one"].__name__ == "One"
    with pytest.raises(TypeError):
        found["two"] = int  # type: ignore[index]  # that it cannot be changed is what is tested


def test_a_class_counts_in_its_own_family_and_where_it_was_written(package: MakePackage) -> None:
    made = package(
        {"one.py": ONE, "two.py": "import importlib\nOne = importlib.import_module('.one', __package__).One\n"}
    )
    assert list(scan(made, "check")) == ["one"]
    assert list(scan(made, "sink")) == []


def test_a_subclass_does_not_inherit_its_parents_name(package: MakePackage) -> None:
    assert list(scan(package({"one.py": ONE + "\n    class More(One): ...\n"}), "check")) == ["one"]


def test_two_with_one_name_refuse_to_start(package: MakePackage) -> None:
    with pytest.raises(AgentError, match="two check plug-ins are called 'one'"):
        scan(package({"one.py": ONE, "other.py": ONE}), "check")


def test_an_unknown_name_lists_the_known_ones() -> None:
    family = {"http": int, "tcp": int}
    assert named(family, "check", "tcp") is int
    with pytest.raises(PolicyError, match="unknown check 'htpp'") as told:
        named(family, "check", "htpp")
    assert told.value.hint == "known: http, tcp"


def test_the_stamp_leaves_the_class_as_it_is() -> None:
    class Plain:
        pass

    assert stamp("check", "plain")(Plain) is Plain
