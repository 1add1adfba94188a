"""Says how a call of restic ended, from its version, exit code and words: one pure function and its tables.

Exit codes alone do not do: before 0.17 every failure is 1, and the words must be read; 0.14 may save a snapshot
without a whole source and exit 0 (the caller looks at the sources itself).
"""

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agent.backups import Outcome

Version = tuple[int, int, int]
Message = Mapping[str, Any]
OLDEST: Version = (0, 14, 0)
CODED: Version = (0, 17, 0)  # from here on 10, 11 and 12 have a meaning of their own

_CODES = {10: Outcome.MISSING_REPOSITORY, 11: Outcome.LOCKED, 12: Outcome.WRONG_PASSWORD}
_SIGNALLED = {130, 137, 143}  # SIGINT as restic says it; SIGKILL, SIGTERM as we do
_FATAL = (
    (re.compile(r"wrong password or no key found"), Outcome.WRONG_PASSWORD),
    (re.compile(r"repository is already locked|unable to create lock in backend: .*locked"), Outcome.LOCKED),
    (re.compile(r"unable to (open config file|open repository at)[^\n]*(\((401|403)\)|Access ?Denied|Forbidden"
                r"|SignatureDoesNotMatch|InvalidAccessKeyId|request signature we calculated does not match"
                r"|Access Key Id you provided does not exist)"
                r"|^subprocess ssh: [^\n]*Permission denied \(", re.MULTILINE), Outcome.REFUSED),
    (re.compile(r"unable to (open config file|open repository at|create the sftp session)[^\n]*(connection refused|no such host"
                r"|no route to host|network is unreachable|i/o timeout|handshake|x509:|sftp session)"), Outcome.UNREACHABLE),
    (re.compile(r"unable to open config file.*(no such file|does not exist)|repository does not exist", re.DOTALL),
     Outcome.MISSING_REPOSITORY),
    (re.compile(r"all (target|source) directories/files do not exist"), Outcome.SOURCE_MISSING),
    (re.compile(r"signal interrupt received|context canceled"), Outcome.INTERRUPTED),
)  # fmt: skip
_ANYWHERE = (
    (re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE), Outcome.NO_SPACE),
    (
        re.compile(
            r"ciphertext verification failed|invalid data returned|wrong data returned|hash mismatch"
            r"|repository contains errors|not found in (repository|index)|is damaged"
            r"|(data|index|snapshots|keys)/([0-9a-f]{2}/)?[0-9a-f]{64}: (no such file|unexpected EOF)"
            r"|(Load|ReadFull)\(<(data|index|snapshot|key)/[^\n]*(no such file|unexpected EOF|file is too short)",
            re.IGNORECASE,
        ),
        Outcome.DAMAGED,
    ),
)
_HINTS = {
    Outcome.WRONG_PASSWORD: "the repository was made with another password, or its keys are gone: compare the secret",
    Outcome.MISSING_REPOSITORY: "mount or restore the repository's folder",
    Outcome.UNREACHABLE: "see that its server runs and answers, and compare its host key",
    Outcome.REFUSED: "write the right secrets to the files that the repository's `credentials` (or `url`) in config.yaml name, "
    "or have its server allow this user; then run it again",
    Outcome.LOCKED: "wait for the other job to end; if there is none, run: restic unlock",
    Outcome.NO_SPACE: "make room on that file system",
    Outcome.DAMAGED: "run: restic check --read-data; then see restic's manual on repairing a repository",
    Outcome.SOURCE_MISSING: "correct `paths` in the policy, or mount what is missing",
    Outcome.INTERRUPTED: "run it again",
    Outcome.TIMEOUT: "give it a longer timeout, or look why it is slow",
    Outcome.PARTIAL: "make the files readable, or exclude them",
}


def read_message(line: str) -> Message | None:
    """One line as a JSON object, or None."""
    if not line.startswith("{"):
        return None
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def classify(version: Version, exit_code: int, stderr: str, messages: Sequence[Message]) -> Outcome:
    """How the call ended. Words are looked at only where the code leaves it open; an unknown code is a failure."""
    words, fatal = _words(stderr, messages)
    damaged = _match(_ANYWHERE, words) is Outcome.DAMAGED
    if exit_code == 0:
        return Outcome.PARTIAL if any(_is_error(message) for message in messages) else Outcome.OK
    if exit_code == 3:
        return Outcome.DAMAGED if damaged else Outcome.PARTIAL
    if exit_code in _SIGNALLED:
        return Outcome.INTERRUPTED
    if exit_code in _CODES and version >= CODED:
        return _CODES[exit_code]
    if exit_code != 1:
        return Outcome.FAILED
    return _match(_FATAL, fatal) or _match(_ANYWHERE, words) or Outcome.FAILED


def error_lines(stderr: str, messages: Sequence[Message]) -> tuple[str, ...]:
    """What went wrong, one line each, for people: JSON errors first, then text without what only repeats it."""
    told = [_error_text(message) for message in messages if _is_error(message)]
    told += [str(message.get("message", "")).strip() for message in messages if _is_exit(message)]
    told += [line for line in stderr.splitlines() if not line.startswith(("Warning: at least one", "Is there a repo"))]
    return tuple(line for line in told if line)


def hint_for(outcome: Outcome) -> str:
    """The next thing to do about an outcome; empty when there is none."""
    return _HINTS.get(outcome, "")


def _words(stderr: str, messages: Sequence[Message]) -> tuple[str, str]:
    """All words; and those that ended the call, in which names of files cannot be mistaken for a verdict."""
    exits = [str(message.get("message", "")) for message in messages if _is_exit(message)]
    errors = [_error_text(message) for message in messages if _is_error(message)]
    fatal = [
        line
        for line in stderr.splitlines()
        if not line.startswith("ignoring error for") and not line.endswith("does not exist, skipping")
    ]
    return "\n".join([stderr, *exits, *errors]), "\n".join([*exits, *fatal])


def _match(table: Iterable[tuple[re.Pattern[str], Outcome]], words: str) -> Outcome | None:
    return next((outcome for pattern, outcome in table if pattern.search(words)), None)


def _is_error(message: Message) -> bool:
    return message.get("message_type") == "error"


def _is_exit(message: Message) -> bool:
    return message.get("message_type") == "exit_error"


def _error_text(message: Message) -> str:
    item, error = str(message.get("item", "")), message.get("error")
    why = ""
    if isinstance(error, Mapping):  # 0.14 loses most texts: {} or {Op, Path, Err}
        why = str(error.get("message") or (os.strerror(error["Err"]) if isinstance(error.get("Err"), int) else ""))
    return f"{item}: {why}" if item and why and item not in why else why or item or "an error without words"
