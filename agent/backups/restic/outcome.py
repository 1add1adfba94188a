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
                r"|no route to host|network is unreachable|i/o timeout|handshake|x509:|sftp session)"
                r"|: ssh command exited: exit status"), Outcome.UNREACHABLE),
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
            r"|(data|index|snapshots|keys)/([0-9a-f]{2}/)?[0-9a-f]{64}: no such file"
            r"|(Load|ReadFull)\(<(data|index|snapshot|key)/[^\n]*(no such file|file is too short)",
            re.IGNORECASE,
        ),
        Outcome.DAMAGED,
    ),
)
_CUT = re.compile(  # of a file on this machine; of one elsewhere it may be the connection that ended
    r"(data|index|snapshots|keys)/([0-9a-f]{2}/)?[0-9a-f]{64}: unexpected EOF"
    r"|(Load|ReadFull)\(<(data|index|snapshot|key)/[^\n]*unexpected EOF",
    re.IGNORECASE,
)
_IGNORING, _SKIPPING = "ignoring error for ", "does not exist, skipping"  # what 0.14 begins and ends a name with
_QUESTION = "Is there a repo"
_OF_REPOSITORY = re.compile(r"[A-Z][A-Za-z]*\(<?[a-z]+")  # Load(<data/…>, List(key): how restic names what it asks for
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


def classify(
    version: Version, exit_code: int, stderr: str, messages: Sequence[Message], *, is_here: bool = True
) -> Outcome:
    """How the call ended. Words are looked at only where the code leaves it open; an unknown code is a failure.

    Names of files are no words: whoever owns the files chose them. `is_here`: the repository is a folder of this machine.
    """
    words, fatal = _words(stderr, messages)
    found = _match(_ANYWHERE, words)
    if found is None and is_here and _CUT.search(words):
        found = Outcome.DAMAGED
    if exit_code == 0:
        return Outcome.PARTIAL if any(_is_error(message) for message in messages) else Outcome.OK
    if exit_code == 3:
        return Outcome.DAMAGED if found is Outcome.DAMAGED else Outcome.PARTIAL
    if exit_code in _SIGNALLED:
        return Outcome.INTERRUPTED
    if exit_code in _CODES and version >= CODED:
        return _CODES[exit_code]
    if exit_code != 1:
        return Outcome.FAILED
    verdict = _match(_FATAL, fatal)
    if verdict is Outcome.INTERRUPTED and found is not None:  # restic cancels the rest of its work when it stumbles
        return found
    return verdict or found or Outcome.FAILED


def error_lines(stderr: str, messages: Sequence[Message]) -> tuple[str, ...]:
    """What went wrong, one line each, for people: JSON errors first, then text without what only repeats it."""
    told = [_error_text(message) for message in messages if _is_error(message)]
    ends = (str(message.get("message", "")).splitlines() for message in messages if _is_exit(message))
    told += ["; ".join(line for line in lines if line and not line.startswith(_QUESTION)) for lines in ends]
    told += [line for line in stderr.splitlines() if not line.startswith(("Warning: at least one", _QUESTION))]
    return tuple(line for line in told if line)


def hint_for(outcome: Outcome) -> str:
    """The next thing to do about an outcome; empty when there is none."""
    return _HINTS.get(outcome, "")


def _words(stderr: str, messages: Sequence[Message]) -> tuple[str, str]:
    """All words of restic's own; and those that ended the call."""
    exits = [str(message.get("message", "")) for message in messages if _is_exit(message)]
    errors = [_reason(message) for message in messages if _is_error(message)]
    before, files, after = _parts([line for line in stderr.splitlines() if not line.endswith(_SKIPPING)])
    return "\n".join([*before, *files, *after, *exits, *errors]), "\n".join([*exits, *before, *after])


def _parts(lines: Sequence[str]) -> tuple[Sequence[str], Sequence[str], Sequence[str]]:
    """What 0.14 says before it comes to files, of them, and last of all; a name may go over several lines."""
    first = next((at for at, line in enumerate(lines) if line.startswith(_IGNORING)), None)
    if first is None:
        return lines, (), ()
    last = max((at for at, line in enumerate(lines) if line.startswith("Fatal: ")), default=len(lines))
    told = lines[first : max(first, last)]
    reasons = [line.rpartition(": ")[2] for line in told if line.startswith(_IGNORING)]
    return lines[:first], [*reasons, *(line for line in told if _OF_REPOSITORY.match(line))], lines[max(first, last) :]


def _reason(message: Message) -> str:
    """What an error says beside the name of its file: `open /srv/name: permission denied`, with `/srv/name: ` before."""
    item, text = str(message.get("item", "")), _told(message)
    text = text.removeprefix(f"{item}: ")
    name = re.escape(item.rpartition("/")[2])
    of_file = re.fullmatch(rf"(?:[a-z ]+: )?[a-z]+ (?:.*/)?{name}: ([^/]*)", text, re.DOTALL) if name else None
    return of_file[1] if of_file else text.replace(item, "…") if item else text


def _match(table: Iterable[tuple[re.Pattern[str], Outcome]], words: str) -> Outcome | None:
    return next((outcome for pattern, outcome in table if pattern.search(words)), None)


def _is_error(message: Message) -> bool:
    return message.get("message_type") == "error"


def _is_exit(message: Message) -> bool:
    return message.get("message_type") == "exit_error"


def _error_text(message: Message) -> str:
    item, why = str(message.get("item", "")), _told(message)
    return f"{item}: {why}" if item and why and item not in why else why or item or "an error without words"


def _told(message: Message) -> str:
    """The words of an error; 0.14 loses most: {} or {Op, Path, Err}."""
    error = message.get("error")
    if not isinstance(error, Mapping):
        return str(message.get("message", "")).strip()  # of a check since 0.18
    return str(error.get("message") or (os.strerror(error["Err"]) if isinstance(error.get("Err"), int) else ""))
