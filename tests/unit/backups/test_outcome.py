"""How a call of restic ended: recorded words and codes of 0.14, 0.18 and 0.19."""

import json
from collections.abc import Iterable

import pytest

from agent.backups import Outcome
from agent.backups.restic.command import Ended, Listener
from agent.backups.restic.outcome import Message, classify, error_lines, hint_for, read_message
from agent.transports.local import Completed

OLD, MIDDLE, NEW = (0, 14, 0), (0, 18, 0), (0, 19, 1)
LOCK = """\
unable to create lock in backend: repository is already locked exclusively by PID 7213 on vm by root (UID 0, GID 0)
lock was created at 2026-11-23 02:30:35 (8.107564114s ago)
storage ID b081e16c
the `unlock` command can be used to remove stale locks"""
ABSENT = """\
Fatal: unable to open config file: stat /srv/repo/config: no such file or directory
Is there a repository at the following location?
/srv/repo"""
CONFIG = "unable to open config file"
SFTP = "create backend: unable to create the sftp session: unable to start the sftp session, error: EOF"
PASSWORD = "Fatal: wrong password or no key found"
FULL = "Fatal: unable to save snapshot: write repo/data/e7/e7a5-tmp-39: no space left on device"
RESTORED_FULL = """\
ignoring error for /s2/f1: write /tmp/x/s2/f1: no space left on device
Fatal: There were 2 errors"""
FLIPPED = """\
ignoring error for /s2/f1: ciphertext verification failed
ignoring error for /s2/f1: UtimesNano: no such file or directory
Fatal: There were 2 errors"""
TREE = """\
ignoring error for /s2: decrypting blob 42e92916 failed: ciphertext verification failed
Fatal: There were 2 errors"""
SHORT_NEW = """\
Load(<data/7ee759ee8a>, 400094, 0) failed: file is too short
{"message_type":"error","error":{"message":"ReadFull(<data/7ee759ee8a>): file is too short"},"during":"restore","item":"/f"}
{"message_type":"exit_error","code":1,"message":"Fatal: There were 4 errors\\n"}"""
GONE_NEW = """\
Load(<data/7ee759ee8a>, 400094, 0) failed: open d2/data/7e/7ee7: no such file or directory
{"message_type":"exit_error","code":1,"message":"Fatal: There were 4 errors\\n"}"""
INDEX = "Fatal: load <index/129f7b8eca>: invalid data returned"
CANCELLED = """\
LoadTree(e77a2a96) returned error decrypting blob <tree/e77a2a96> from pack 6e65dd36 failed: ciphertext verification failed"""
NO_SOURCE = "/nx does not exist, skipping\nFatal: all target directories/files do not exist"
NO_SOURCE_NEW = "/nx does not exist, skipping\nFatal: all source directories/files do not exist"
UNREAD = """\
{"message_type":"error","error":{},"during":"scan","item":"/srv/u/dd"}
{"message_type":"error","error":{"Op":"open","Path":"/srv/u/b","Err":13},"during":"archival","item":"/srv/u/b"}
Warning: at least one source file could not be read"""
UNREAD_NEW = '{"message_type":"error","error":{"message":"open /srv/u/b: permission denied"},"during":"archival","item":"/srv/u/b"}'
TREE_NEW = (
    '{"message_type":"error","error":{"message":"ciphertext verification failed"},"during":"archival","item":"/srv"}'
)


def exited(code: int, message: str) -> str:
    """The last word of restic since 0.18."""
    return json.dumps({"message_type": "exit_error", "code": code, "message": message})


def parted(lines: Iterable[str]) -> tuple[list[Message], str]:
    """What restic printed: JSON objects, and everything else as text."""
    seen = [(line, read_message(line)) for line in lines]
    plain = [line for line, message in seen if message is None and line.strip()]
    return [message for _, message in seen if message is not None], "\n".join(plain)


@pytest.mark.parametrize(
    ("version", "code", "stderr", "outcome"),
    [
        (OLD, 0, "", Outcome.OK),
        (MIDDLE, 0, "", Outcome.OK),
        (NEW, 0, "", Outcome.OK),
        (OLD, 0, "/nx does not exist, skipping", Outcome.OK),  # the caller knows its sources
        (MIDDLE, 0, UNREAD_NEW, Outcome.PARTIAL),  # errors and exit code 0: believe the errors
        (OLD, 3, UNREAD, Outcome.PARTIAL),
        (NEW, 3, UNREAD_NEW, Outcome.PARTIAL),
        (NEW, 3, "/nx does not exist, skipping", Outcome.PARTIAL),
        (NEW, 3, TREE_NEW, Outcome.DAMAGED),
        (OLD, 1, PASSWORD, Outcome.WRONG_PASSWORD),
        (MIDDLE, 12, exited(12, PASSWORD), Outcome.WRONG_PASSWORD),
        (NEW, 12, PASSWORD, Outcome.WRONG_PASSWORD),
        (OLD, 1, f"Fatal: {CONFIG}: unexpected HTTP response (401): 401 Unauthorized", Outcome.REFUSED),
        (NEW, 1, exited(1, f"Fatal: {CONFIG}: Stat: Access Denied."), Outcome.REFUSED),
        (OLD, 1, f"subprocess ssh: watch@192.0.2.7: Permission denied (publickey).\nFatal: {SFTP}", Outcome.REFUSED),
        (OLD, 1, f"subprocess ssh: Host key verification failed.\nFatal: {SFTP}", Outcome.UNREACHABLE),
        (OLD, 1, f"Fatal: {CONFIG}: dial tcp 192.0.2.7:8000: connect: connection refused", Outcome.UNREACHABLE),
        (
            NEW,
            1,
            exited(1, "unable to create lock in backend: ssh command exited: exit status 137"),
            Outcome.UNREACHABLE,
        ),
        (OLD, 1, ABSENT, Outcome.MISSING_REPOSITORY),
        (
            NEW,
            10,
            exited(10, "Fatal: repository does not exist: unable to open config file"),
            Outcome.MISSING_REPOSITORY,
        ),
        (OLD, 1, LOCK, Outcome.LOCKED),
        (MIDDLE, 11, exited(11, "unable to create lock in backend: repository is already locked"), Outcome.LOCKED),
        (NEW, 11, LOCK, Outcome.LOCKED),
        (OLD, 1, FULL, Outcome.NO_SPACE),
        (NEW, 1, exited(1, FULL), Outcome.NO_SPACE),
        (OLD, 1, RESTORED_FULL, Outcome.NO_SPACE),
        (OLD, 1, FLIPPED, Outcome.DAMAGED),
        (OLD, 1, TREE, Outcome.DAMAGED),
        (OLD, 1, INDEX, Outcome.DAMAGED),
        (MIDDLE, 1, SHORT_NEW, Outcome.DAMAGED),
        (NEW, 1, GONE_NEW, Outcome.DAMAGED),
        (OLD, 1, NO_SOURCE, Outcome.SOURCE_MISSING),
        (NEW, 1, NO_SOURCE_NEW, Outcome.SOURCE_MISSING),
        (OLD, 130, "signal interrupt received, cleaning up", Outcome.INTERRUPTED),
        (MIDDLE, 1, exited(1, "Fatal: unable to save snapshot: context canceled"), Outcome.INTERRUPTED),
        (NEW, 130, "", Outcome.INTERRUPTED),
        (NEW, 1, f"could not load snapshots: context canceled\n{CANCELLED}", Outcome.DAMAGED),
        (OLD, 137, "", Outcome.INTERRUPTED),
        (OLD, 143, "", Outcome.INTERRUPTED),
        (OLD, 1, "Fatal: --exclude: invalid pattern(s) provided:\n[", Outcome.FAILED),
        (OLD, 1, "", Outcome.FAILED),
        (OLD, 2, PASSWORD, Outcome.FAILED),
        (OLD, 12, "", Outcome.FAILED),  # before 0.17 that code has no meaning
        (NEW, 42, "", Outcome.FAILED),
    ],
)
def test_an_ending_is_told_by_version_code_and_words(
    version: tuple[int, int, int], code: int, stderr: str, outcome: Outcome
) -> None:
    messages, plain = parted(stderr.splitlines())
    assert classify(version, code, plain, messages) is outcome


def test_a_lock_is_no_corruption_though_check_counts_an_error() -> None:
    messages, _ = parted(['{"message_type":"summary","num_errors":1,"broken_packs":null}'])
    assert classify(MIDDLE, 11, LOCK, messages) is Outcome.LOCKED


@pytest.mark.parametrize("name", ["wrong password or no key found", "repository is already locked", "context canceled"])
def test_the_name_of_a_file_is_no_verdict(name: str) -> None:
    words = (
        f"ignoring error for /srv/{name}: UtimesNano\n/srv/{name} does not exist, skipping\nFatal: There were 1 errors"
    )
    assert classify(OLD, 1, words, ()) is Outcome.FAILED


ODD = "/srv/a: ciphertext verification failed"
PACK = f"/srv/repo/data/7e/{'7e' * 32}"
SPLIT = "/srv/n\nFatal: wrong password or no key found\nx"
SHORT = "Load(<data/7ee759ee8a>, 400094, 0) returned error, retrying after 552ms: ReadFull: unexpected EOF"


def complained(item: str, why: str) -> str:
    """An error of a file, as restic writes it since 0.18."""
    return json.dumps({"message_type": "error", "error": {"message": why}, "during": "archival", "item": item})


@pytest.mark.parametrize(
    ("item", "why", "outcome"),
    [
        (ODD, f"open {ODD}: permission denied", Outcome.PARTIAL),
        (ODD, f"{ODD}: open {ODD[5:]}: permission denied", Outcome.PARTIAL),  # from a mirror
        (f"{ODD} d", f"openfile for readdirnames failed: open {ODD} d: permission denied", Outcome.PARTIAL),
        ("d is damaged", "openfile for readdirnames failed: open d is damaged: permission denied", Outcome.PARTIAL),
        (PACK, f"open {PACK}: no such file or directory", Outcome.PARTIAL),  # a host with a repository of its own
        (PACK, f"read {PACK}: unexpected EOF", Outcome.PARTIAL),
        (ODD, f"lchown /box/{ODD}: no such file or directory", Outcome.PARTIAL),
        (ODD, "ciphertext verification failed", Outcome.DAMAGED),
        (ODD, "decrypting blob <data/9235480e> from 54c23c1d failed: ciphertext verification failed", Outcome.DAMAGED),
        (ODD, f"ReadFull(<data/7e7e7e7e7e>): open {PACK}: no such file or directory", Outcome.DAMAGED),
        ("/srv/failed", "decrypting blob <data/9235480e> from 54c2 failed: ciphertext verification failed", Outcome.DAMAGED),
    ],
)  # fmt: skip
def test_a_file_that_is_named_like_damage_damages_nothing(item: str, why: str, outcome: Outcome) -> None:
    messages, plain = parted([complained(item, why)])
    assert classify(NEW, 3, plain, messages) is outcome


@pytest.mark.parametrize(
    ("lines", "outcome"),
    [
        (f"ignoring error for {ODD}: write /box{ODD}: no space left on device", Outcome.NO_SPACE),
        (f"ignoring error for {ODD}: UtimesNano: no such file or directory", Outcome.FAILED),
        (f"ignoring error for {SPLIT}: UtimesNano: no such file or directory", Outcome.FAILED),
        (f"ignoring error for {SPLIT}: ciphertext verification failed", Outcome.FAILED),  # its line is torn in pieces
        (f"ignoring error for {ODD}: ciphertext verification failed", Outcome.DAMAGED),
        (f"ignoring error for /srv/a: {SHORT}", Outcome.FAILED),
        (f"ignoring error for /srv/a: UtimesNano: no such file or directory\n{SHORT}", Outcome.DAMAGED),
    ],
)
def test_names_in_the_text_of_an_old_restic_are_no_verdict(lines: str, outcome: Outcome) -> None:
    assert classify(OLD, 1, f"{lines}\nFatal: There were 2 errors\n", ()) is outcome


def test_what_ends_early_is_damage_in_a_folder_and_none_on_the_way_from_a_server() -> None:
    words = f"{SHORT}\nFatal: unable to load tree"
    assert classify(OLD, 1, words, ()) is Outcome.DAMAGED
    assert classify(OLD, 1, words, (), is_here=False) is Outcome.FAILED


@pytest.mark.parametrize(
    ("line", "is_here", "gives_up"),
    [
        (SHORT, True, True),
        (SHORT, False, False),  # restic asks again, and may get it whole
        ("Load(<data/7ee759ee8a>, 1, 0) returned error, retrying after 5ms: open x: no such file or directory", False, True),
        (complained("/srv/x", "open returned error, retrying after 5: no such file or directory"), True, False),
        (complained("/srv/x", "List(key) returned error, retrying after 5: dial tcp"), True, False),
        (complained("/srv/x", "Load() returned error, retrying after 5: The specified bucket does not exist"), True, False),
    ],
)  # fmt: skip
def test_a_call_is_given_up_for_what_restic_says_and_for_no_name(line: str, is_here: bool, gives_up: bool) -> None:
    listener = Listener(None, str, is_here=is_here)
    assert [listener.complain(line) for _ in range(3)][-1] is not gives_up


def test_a_lock_that_vanishes_while_it_is_read_is_no_damage() -> None:
    """Another job has ended meanwhile; 0.14 would ask for 15 minutes."""
    listener = Listener(None, str)
    gone = (
        "Load(<lock/37868e7fe5>, 0, 0) returned error, retrying after 552ms: open x/locks/37: no such file or directory"
    )
    assert [listener.complain(gone) for _ in range(3)] == [True, True, False]
    ended = listener.ended(OLD, Completed(exit_code=130, stdout="", stderr=""))
    assert (ended.outcome, ended.is_free) == (Outcome.LOCKED, True)


@pytest.mark.parametrize(("line", "is_left"), [("failed to unlock: x", True), (complained("/srv/failed to unlock", "x"), False)])  # fmt: skip
def test_a_lock_is_left_when_restic_says_so(line: str, is_left: bool) -> None:
    listener = Listener(None, str)
    listener.complain(line)
    assert listener.left_a_lock is is_left


def test_complaints_become_lines_for_people() -> None:
    messages, plain = parted([*UNREAD.splitlines(), UNREAD_NEW, exited(1, "Fatal: There were 2 errors")])
    assert error_lines(plain, messages) == (
        "/srv/u/dd",
        "/srv/u/b: Permission denied",
        "open /srv/u/b: permission denied",
        "Fatal: There were 2 errors",
    )


def test_the_last_word_is_restics_and_not_a_piece_of_a_name() -> None:
    told = error_lines(f"ignoring error for {SPLIT}: UtimesNano\nFatal: There were 1 errors", ())
    assert Ended(outcome=Outcome.FAILED, errors=told).why() == "Fatal: There were 1 errors"


def test_a_changed_host_key_is_told_and_not_the_frame_around_it() -> None:
    frame = "@" * 59
    told = (frame, "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @", frame,
            "Host key for [192.0.2.7]:22 has changed and you have requested strict checking.",
            "Host key verification failed.")  # fmt: skip
    errors = (*(f"subprocess ssh: {line}" for line in told), "Fatal: unable to open repository: EOF")
    why = Ended(outcome=Outcome.UNREACHABLE, errors=errors).why()
    assert why.startswith("subprocess ssh: Host key for [192.0.2.7]:22 has changed")


def test_a_last_word_of_several_lines_is_one_line() -> None:
    messages, _ = parted([exited(10, ABSENT), exited(1, "Fatal: There were 4 errors\n")])
    assert error_lines("", messages) == (
        "Fatal: unable to open config file: stat /srv/repo/config: no such file or directory; /srv/repo",
        "Fatal: There were 4 errors",
    )


def test_what_a_check_complains_of_is_told() -> None:
    messages, _ = parted(['{"message_type":"error","message":"\\npack ce87 contains 2 errors: [blob 16ea]\\n"}'])
    assert error_lines("", messages) == ("pack ce87 contains 2 errors: [blob 16ea]",)


def test_lines_that_are_no_json_are_text_and_no_error() -> None:
    messages, plain = parted(["{broken", "[1]", "", "{}", "restoring <Snapshot>"])
    assert messages == [{}]
    assert plain == "{broken\n[1]\nrestoring <Snapshot>"


def test_every_outcome_but_success_and_the_unexplained_has_a_next_step() -> None:
    assert {outcome for outcome in Outcome if not hint_for(outcome)} == {Outcome.OK, Outcome.FAILED}
