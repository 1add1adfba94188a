"""Takes what a restic elsewhere says and keeps what can be: known kinds of messages, numbers that are some, text without tricks."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from agent.backups.restic.compare import printable
from agent.backups.restic.outcome import read_message
from agent.errors import ToolError

_LIMIT_BYTES = 256_000_000  # of each stream: a day of progress is a tenth of it
_LINE_BYTES = 1_000_000
_TEXT = 2_000  # characters of one complaint
_LARGEST = 2**63
_SNAPSHOT = re.compile(r"[0-9a-f]{8,64}")
_ERRNOS = range(1, 200)


class Lines:
    """Parts what comes in pieces into lines; one without end is cut, and so is who does not stop: ToolError."""

    def __init__(self, tell: Callable[[str], None], name: str, limit_bytes: int = _LIMIT_BYTES) -> None:
        self._tell, self._name, self._held, self._left = tell, name, b"", limit_bytes

    def take(self, data: bytes) -> None:
        """One piece."""
        self._left -= len(data)
        if self._left < 0:
            raise ToolError(f"restic on {self._name} talks without end", hint="look at it by hand")
        *lines, self._held = (self._held + data).split(b"\n")
        self._held = self._held[:_LINE_BYTES]
        for line in lines:
            self._one(line)

    def end(self) -> None:
        """What was left without a newline."""
        self._one(self._held)
        self._held = b""

    def _one(self, line: bytes) -> None:
        if line:
            self._tell(line.decode(errors="replace"))


def progress(line: str) -> str:
    """A line of its stdout: what it counts, and which snapshot it names; empty when it is nothing of that."""
    message = read_message(line) or {}
    kind = message.get("message_type")
    if kind not in {"status", "summary"}:
        return ""
    kept: dict[str, Any] = {name: value for name, value in message.items() if _is_number(value)}
    snapshot = message.get("snapshot_id")
    if isinstance(snapshot, str) and _SNAPSHOT.fullmatch(snapshot):
        kept["snapshot_id"] = snapshot
    return json.dumps({"message_type": kind, **kept}, separators=(",", ":"))


def complaint(line: str) -> str:
    """A line of its stderr."""
    message = read_message(line)
    if message is None:
        return _plain(line)
    if message.get("message_type") == "exit_error":
        return json.dumps({"message_type": "exit_error", "message": _plain(message.get("message", ""))})
    if message.get("message_type") != "error":
        return ""
    return json.dumps({"message_type": "error", "item": _plain(message.get("item", "")), "error": _why(message)})


def _why(message: Mapping[str, Any]) -> dict[str, Any]:
    error = message.get("error")
    if not isinstance(error, Mapping):
        return {}
    if isinstance(error.get("message"), str):
        return {"message": _plain(error["message"])}
    return {"Err": error["Err"]} if _is_number(error.get("Err")) and error["Err"] in _ERRNOS else {}


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST


def _plain(value: object) -> str:
    return printable(str(value)[:_TEXT])
