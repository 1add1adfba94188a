"""How a call of restic ended: recorded words and codes of 0.14, 0.18 and 0.19."""

import json
from collections.abc import Iterable

import pytest

from agent.backups import Outcome
from agent.backups.restic.outcome import Message, classify, error_lines, hint_for, read_message

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


def test_complaints_become_lines_for_people() -> None:
    messages, plain = parted([*UNREAD.splitlines(), UNREAD_NEW, exited(1, "Fatal: There were 2 errors")])
    assert error_lines(plain, messages) == (
        "/srv/u/dd",
        "/srv/u/b: Permission denied",
        "open /srv/u/b: permission denied",
        "Fatal: There were 2 errors",
    )


def test_lines_that_are_no_json_are_text_and_no_error() -> None:
    messages, plain = parted(["{broken", "[1]", "", "{}", "restoring <Snapshot>"])
    assert messages == [{}]
    assert plain == "{broken\n[1]\nrestoring <Snapshot>"


def test_every_outcome_but_success_and_the_unexplained_has_a_next_step() -> None:
    assert {outcome for outcome in Outcome if not hint_for(outcome)} == {Outcome.OK, Outcome.FAILED}
