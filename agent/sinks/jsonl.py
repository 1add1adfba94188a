"""sink: jsonl — one line of JSON per event, appended to a file.

Each line is on disk before it counts as delivered, and stands there once: a repetition of what one of the last lines
holds is not written again. JSON Lines (jsonlines.org), in ASCII: no character in a text can end a line for any reader.
"""

import fcntl
import json
import os
import stat
from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator

from agent.clock import Deadline
from agent.closed import ClosedModel, Text
from agent.errors import InputError
from agent.model.outbox import Delivered, Delivery, Message
from agent.sinks import SinkContext, document, sink

_TAIL = 1_048_576  # bytes looked through for a repetition: some thousand events


class JsonlOptions(ClosedModel):
    """Which file."""

    path: Text = Field(description="The file to append to; relative to the folder of config.yaml")

    @field_validator("path")
    @classmethod
    def _is_path(cls, path: str) -> str:
        if not path or not path.isprintable() or path.endswith("/"):
            raise ValueError(f"{path!r} is not the name of a file")
        return path


@sink("jsonl")
class Jsonl:
    """Appends, under a lock that other writers of the file see too."""

    OPTIONS: ClassVar = JsonlOptions

    @staticmethod
    def deliver(message: Message, options: JsonlOptions, context: SinkContext, _deadline: Deadline) -> Delivered:
        """One line, once; a full or broken disk is worth another try."""
        path = context.home / options.path
        line = json.dumps(document(message, context), sort_keys=True, separators=(",", ":"))
        try:
            is_new = _append(path, line.encode() + b"\n", message.key)
        except OSError as error:
            return Delivered(outcome=Delivery.RETRY, detail=f"{path}: {error.strerror}")
        return Delivered(outcome=Delivery.DELIVERED, detail="appended" if is_new else "was there already")


def _append(path: Path, line: bytes, key: str) -> bool:
    """Whether the line was new; it is durable when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    is_first = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InputError(f"jsonl: {path} is not a file", hint=f"ls -l {path}")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        is_new = _write(descriptor, line, key)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if is_first:
        _keep_name(path.parent)
    return is_new


def _write(descriptor: int, line: bytes, key: str) -> bool:
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, _TAIL, max(0, size - _TAIL))
    if any(_key(each) == key for each in tail.split(b"\n")):
        return False
    torn = b"\n" if tail and not tail.endswith(b"\n") else b""  # half a line of a writer that was killed
    whole = torn + line
    try:
        written = os.write(descriptor, whole)
    except OSError:
        os.ftruncate(descriptor, size)
        raise
    if written < len(whole):
        os.ftruncate(descriptor, size)
        raise OSError(28, "only a part could be written: is the disk full?")
    return True


def _key(line: bytes) -> str | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found.get("key") if isinstance(found, dict) else None


def _keep_name(folder: Path) -> None:
    """A new file is only there after a crash when its folder says so."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
