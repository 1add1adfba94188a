"""What goes wrong in the midst of a pull, or changes in odd ways between two: the next one makes the mirror whole."""

import os
import shutil
import socket
from pathlib import Path

import pytest

from agent.backups import Outcome
from agent.errors import ToolError, TransportError
from tests.integration import test_pull_settled
from tests.integration.test_pull_settled import There, told

there = test_pull_settled.there
DENIED = 'case "$*" in *maxdepth*) exit $found;; esac\necho "find: \'/x\': Permission denied" >&2\nexit 1\n'


def replace(there: There, name: str, text: str) -> None:
    """Another program by this name, which may call the real one as `$0.real`."""
    program = there.programs / name
    program.rename(program.with_name(f"{name}.real"))
    program.write_text(f"#!/bin/sh\n{text}")
    program.chmod(0o755)


def give_back(there: There, name: str) -> None:
    (there.programs / f"{name}.real").replace(there.programs / name)


def is_whole(there: There) -> bool:
    saved = there.backup()
    return (saved.outcome, there.copied()) == (Outcome.OK, told(there.source))


def test_a_second_name_in_a_folder_that_comes_later_is_fetched(there: There) -> None:
    (there.source / "z").mkdir()
    (there.source / "z/link").hardlink_to(there.source / "a")
    assert is_whole(there)


def test_a_second_name_that_was_left_out_stays_a_name_of_the_same_file(there: There) -> None:
    (there.source / "deep/link").hardlink_to(there.source / "a")
    there.backup(exclude=["link"])
    assert is_whole(there)
    top = Path(f"{there.mirror}/tree{there.source}")
    assert (top / "a").samefile(top / "deep/link")


def test_a_file_that_became_a_socket_is_no_file_any_more(there: There, monkeypatch: pytest.MonkeyPatch) -> None:
    there.backup()
    (there.source / "a").unlink()
    monkeypatch.chdir(there.source)  # a socket's name must be short
    with socket.socket(socket.AF_UNIX) as door:
        door.bind("a")
        saved = there.backup()
    assert (saved.outcome, saved.files, "a" in there.copied()) == (Outcome.OK, 1, False)


def test_a_removed_folder_is_whole_again_although_the_pull_failed_and_a_file_of_it_is_gone(there: There) -> None:
    (there.source / "deep/c").touch()
    there.backup()
    (there.source / "a").write_text("another\n")
    replace(there, "tar", "kill -9 $PPID\n")
    with pytest.raises(TransportError):
        there.backup(exclude=["deep"])
    give_back(there, "tar")
    (there.source / "deep/c").unlink()
    assert is_whole(there)


@pytest.mark.parametrize("returns", [False, True])
def test_a_folder_that_is_a_link_for_a_while_during_incomplete_lists(there: There, *, returns: bool) -> None:
    there.backup()
    deep, aside = there.source / "deep", there.source.parent / "aside"
    deep.rename(aside)
    deep.symlink_to("../aside")
    replace(there, "find", f'"$0.real" "$@"; found=$?\n{DENIED}')
    assert there.backup().outcome is Outcome.PARTIAL
    if returns:
        deep.unlink()
        aside.rename(deep)
        there.backup()
    give_back(there, "find")
    assert is_whole(there)


def test_what_a_question_mark_means_is_left_to_us(there: There) -> None:
    """Find in the C locale takes it for a byte, restic for a letter."""
    (there.source / "ü").touch()
    there.backup(exclude=["??"])
    assert "ü" in there.copied()


def test_a_source_that_another_leaves_out_is_told(there: There) -> None:
    paths = [str(there.source), str(there.source / "deep")]
    for _ in range(2):
        saved = there.backup(paths=paths, exclude=["deep"])
        assert saved.outcome is Outcome.PARTIAL
        assert saved.faults == (f"not saved: {there.source}/deep: it is left out by `exclude`, or gone",)


@pytest.mark.parametrize("lost", ["deep/b", "deep"])
def test_what_the_mirror_lost_comes_back_and_what_is_gone_there_goes(there: There, lost: str) -> None:
    there.backup()
    gone = Path(f"{there.mirror}/tree{there.source}/{lost}")
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    if lost == "deep":
        (there.source / "deep/b").write_text("changed\n")
        with pytest.raises(ToolError, match="has lost the folder"):
            there.backup()
    else:
        assert there.backup().outcome is Outcome.PARTIAL
    (there.source / "a").unlink()
    assert is_whole(there)


def test_after_a_crash_nothing_is_certain_until_the_list_is_written(there: There) -> None:
    there.backup()
    (there.mirror / "boot").write_text("another boot")
    there.settled.unlink()  # that of another boot counts for nothing
    Path(f"{there.mirror}/tree{there.source}/a").write_text("")  # what a crash leaves
    (there.mirror / ".listing").mkdir()
    with pytest.raises(OSError, match=r"\.listing"):
        there.backup()
    (there.mirror / ".listing").rmdir()
    assert is_whole(there)


def test_a_quiet_night_with_a_growing_log_is_saved(there: There) -> None:
    log = there.source / "log"
    log.write_text("1\n")
    there.backup()
    log.write_text("1\n2\n")
    replace(there, "tar", f'echo more >>{log}\nexec "$0.real" "$@"\n')
    saved = there.backup()
    assert (bool(saved.snapshot), saved.torn) == (True, 1)


def test_a_file_that_cannot_be_read_costs_no_more_than_itself(there: There) -> None:
    (there.source / "bad").touch()
    replace(there, "tar", 'exec "$0.real" --exclude="*/bad" "$@"\n')
    for _ in range(2):
        saved = there.backup()
        assert (saved.outcome, saved.files) == (Outcome.PARTIAL, 2)


def test_attributes_of_a_source_inside_a_source_arrive(there: There) -> None:
    paths = [str(there.source / "deep"), str(there.source)]
    there.backup(paths=[paths[0]])
    os.setxattr(there.source, "user.origin", b"late")
    there.backup(paths=paths)
    os.setxattr(there.source, "user.more", b"later")
    there.backup(paths=paths)
    copied = Path(f"{there.mirror}/tree{there.source}")
    assert {name: os.getxattr(copied, name) for name in ("user.origin", "user.more")} == {
        "user.origin": b"late", "user.more": b"later",
    }  # fmt: skip
