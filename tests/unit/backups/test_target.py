"""Where a person may restore to, and which tricks are refused."""

from pathlib import Path

import pytest

from agent.backups.restic.target import check, make
from agent.errors import InputError


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A folder with what can stand in the way."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "full/inner").mkdir(parents=True)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("empty")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "state/sandbox").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("name", ["empty", "new", "new/deep", "new/"])
def test_a_new_or_empty_folder_is_taken(top: Path, name: str) -> None:
    make(check(f"{top}/{name}", [str(top / "state")]))
    assert (top / name).is_dir()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("full", "is not empty"),
        ("file", "is no folder"),
        ("link", "symbolic link"),
        ("link/new", "symbolic link"),
        ("dangling", "symbolic link"),
        ("empty/../full/inner", "no full path"),
        ("state", "belongs to the agent"),
        ("state/sandbox", "belongs to the agent"),
        ("", "belongs to the agent"),
        ("a\0b", "no full path"),
    ],
)
def test_everything_else_is_refused(top: Path, name: str, why: str) -> None:
    with pytest.raises(InputError, match=why) as caught:
        check(f"{top}/{name}", [str(top / "state")])
    assert caught.value.hint


@pytest.mark.parametrize("target", ["", "relative", "./x", "~", "/", "//", "/../.."])
def test_neither_the_running_system_nor_a_relative_path(target: str) -> None:
    with pytest.raises(InputError):
        check(target, [])


def test_a_folder_that_cannot_be_made_is_an_error_with_a_hint(top: Path) -> None:
    with pytest.raises(InputError, match="cannot be made"):
        make(top / "file/below")
