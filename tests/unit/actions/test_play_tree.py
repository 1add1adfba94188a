"""Names lead to playbooks inside the folder only, and the digest notices whatever a play could read there."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.actions import play_tree
from agent.errors import InputError


@pytest.fixture
def playbooks(tmp_path: Path) -> Path:
    folder = tmp_path / "playbooks"
    (folder / "roles/web/tasks").mkdir(parents=True)
    (folder / "restart.yml").write_text("- hosts: all\n")
    (folder / "roles/web/tasks/main.yml").write_text("[]\n")
    (folder / "tool.sh").write_text("exit 0\n")
    return folder


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("../restart.yml", "relative"),
        ("/etc/passwd", "relative"),
        ("roles/../restart.yml", "relative"),
        ("-e.yml", "relative"),
        ("a\0.yml", "relative"),
        ("restrat.yml", "did you mean 'restart.yml'?"),
        ("roles", "known: "),
        ("tool.sh", "known: "),
        ("linked.yml", "copy it"),
    ],
)
def test_a_name_that_is_no_playbook_inside_is_refused_with_a_hint(playbooks: Path, name: str, hint: str) -> None:
    (playbooks.parent / "outside.yml").write_text("[]\n")
    (playbooks / "linked.yml").symlink_to("../outside.yml")
    with pytest.raises(InputError) as caught:
        play_tree.locate(playbooks, name)
    assert hint in caught.value.hint
    assert not play_tree.exists(playbooks, name)


def test_names_inside_are_found(playbooks: Path) -> None:
    assert play_tree.exists(playbooks, "restart.yml")
    assert play_tree.exists(playbooks, "roles/web/tasks/main.yml")


def test_the_digest_is_the_same_in_another_place(playbooks: Path, tmp_path: Path) -> None:
    first = play_tree.digest(playbooks, "restart.yml")
    assert len(first) == 64
    assert play_tree.digest(playbooks.rename(tmp_path / "moved"), "restart.yml") == first


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "restart.yml").write_text("- hosts: web\n"),
        lambda folder: (folder / "roles/web/tasks/main.yml").write_text("- ping:\n"),
        lambda folder: (folder / "new.yml").write_text(""),
        lambda folder: (folder / "tool.sh").unlink(),
        lambda folder: (folder / "tool.sh").rename(folder / "other.sh"),
        lambda folder: (folder / "tool.sh").chmod(0o700),
        lambda folder: (folder.parent / "shared/common.yml").write_text("changed"),
    ],
    ids=["playbook", "role", "new file", "gone", "renamed", "made executable", "in a linked folder"],
)
def test_any_change_changes_the_digest(playbooks: Path, change: Callable[[Path], object]) -> None:
    (playbooks.parent / "shared").mkdir()
    (playbooks.parent / "shared/common.yml").write_text("[]\n")
    (playbooks / "shared").symlink_to("../shared")
    tree = play_tree.Tree(playbooks)
    before = tree.digest("restart.yml")
    assert tree.digest("restart.yml") == before
    change(playbooks)
    assert tree.digest("restart.yml") != before
    assert tree.digest("restart.yml") == play_tree.digest(playbooks, "restart.yml")


def test_two_playbooks_of_one_folder_have_two_digests(playbooks: Path) -> None:
    (playbooks / "other.yml").write_text("- hosts: all\n")
    tree = play_tree.Tree(playbooks)
    assert tree.digest("other.yml") != tree.digest("restart.yml")


def test_circles_dead_links_pipes_and_leftovers_do_not_matter_or_hang(playbooks: Path) -> None:
    (playbooks / "round").symlink_to(".")
    (playbooks / "dead").symlink_to("nowhere")
    os.mkfifo(playbooks / "pipe")
    before = play_tree.digest(playbooks, "restart.yml")
    (playbooks / "__pycache__").mkdir()
    (playbooks / "__pycache__/x.pyc").write_text("x")
    (playbooks / "restart.retry").write_text("web1")
    assert play_tree.digest(playbooks, "restart.yml") == before


def test_an_unchanged_file_is_not_read_again(playbooks: Path) -> None:
    """Its content cannot be read any more (root may read all: so it is looked at through what the tree remembers)."""
    tree = play_tree.Tree(playbooks)
    first = tree.digest("restart.yml")
    remembered = dict(tree._seen)
    tree.digest("restart.yml")
    assert all(tree._seen[path][1] is known[1] for path, known in remembered.items())
    assert tree.digest("restart.yml") == first
