"""A live POSIX sh on a host, at the end of a kept SSH connection: asked many things at once, and heard within bounds."""

from collections.abc import Sequence
from typing import Self

import paramiko

from agent.clock import Deadline
from agent.errors import OutputLimitError, TransportError
from agent.model.look import Section
from agent.transports import framing, login
from agent.transports.dial import LOGIN_BYTES

_COMMAND = "exec sh"  # in the words of every login shell there is
_CHUNK = 65_536
_WINDOW = 262_144  # bytes that a host may send before we read them: all the memory that it can take
_GRACE_SECONDS = 5.0  # beyond the time of all scripts: for what a killed one still had to say, and the way back
_TAIL = 200  # bytes of an unexpected answer that go into the message
_NO_SHELL = "the account needs a login shell there; sh must be on its PATH"
_FLOOD = "sent more than we are ready to hear"
_START_UP = "does a start-up file of its shell print without end?"
_PROMPT_SECONDS = 0.5  # a kept connection that had gone stale is refused at once, before anything could run there
_RETRY = "it is asked again at the next look"


class EndedError(TransportError):
    """The connection was over at once, without a word of an answer: a kept one had gone stale, it is worth a new one."""


class Shell:
    """One shell and the connection it lives on. Not for two threads at once."""

    def __init__(self, transport: login.Transport, channel: paramiko.Channel, where: str) -> None:
        self.transport = transport
        self._channel = channel
        self._where = where

    @classmethod
    def open(cls, transport: login.Transport, where: str, deadline: Deadline) -> Self:
        """Start the shell on a connection that is logged in; the caller cuts it in time and closes it on an error."""
        connection = login.socket_of(transport)
        connection.allowance.renew(_WINDOW + LOGIN_BYTES)
        try:
            channel = transport.open_session(window_size=_WINDOW)
            channel.set_combine_stderr(True)
            channel.exec_command(_COMMAND)
            channel.sendall(framing.PRELUDE.encode())
        except login.FOREIGN as error:
            if connection.allowance.is_flooded:
                raise OutputLimitError(f"{where} {_FLOOD}", hint=_START_UP) from error
            reason = "its time was up" if deadline.is_over() else _reason(error)
            raise TransportError(f"{where} let us in but gave no shell: {reason}", hint=_NO_SHELL) from error
        return cls(transport, channel, where)

    def ask(self, scripts: Sequence[tuple[str, float]], deadline: Deadline) -> list[Section]:
        """Run the scripts in one round trip; one section each, in order. The caller cuts the connection in time."""
        marker, answer = framing.new_marker(), bytearray()
        stale = Deadline.after(deadline.clock, _PROMPT_SECONDS)
        silence = sum(seconds for _, seconds in scripts) + _GRACE_SECONDS
        cause: BaseException | None = None
        try:
            self._channel.settimeout(silence)
            login.socket_of(self.transport).allowance.renew(2 * framing.limit(len(scripts)) + LOGIN_BYTES)
            self._channel.sendall(framing.message(scripts, marker))
            while chunk := self._channel.recv(_CHUNK):
                seen = len(answer)
                answer += chunk
                if framing.is_complete(answer, marker, len(scripts), seen):
                    return self._sections(bytes(answer), marker, len(scripts))
                self._refuse_flood(answer, len(scripts))
        except login.FOREIGN as error:
            cause = error
        plain = _printable(framing.without_records(answer, marker)[-_TAIL:])
        said = f"; it said: {plain}" if plain else ""
        if deadline.is_over():
            late = f"{self._where} did not finish in time ({len(answer)} bytes came)"
            raise OutputLimitError(late, hint="is it overloaded?") from cause
        raise self._broken(
            cause or self.transport.get_exception(), said, silence, is_stale=not answer and not stale.is_over()
        ) from cause

    def hang_up(self) -> None:
        """End the shell and its connection."""
        login.hang_up(self.transport)

    def _sections(self, answer: bytes, marker: str, count: int) -> list[Section]:
        sections = framing.sections(answer, marker)
        if len(sections) != count:
            raise TransportError(f"{self._where} answered {len(sections)} of {count} scripts", hint="try again")
        return sections

    def _refuse_flood(self, answer: bytearray, count: int) -> None:
        if len(answer) > framing.limit(count):
            raise OutputLimitError(
                f"{self._where} sent more than {framing.limit(count)} bytes; it began: {_printable(answer[:_TAIL])}",
                hint=_START_UP,
            )

    def _broken(self, cause: BaseException | None, said: str, silence: float, *, is_stale: bool) -> TransportError:
        if login.socket_of(self.transport).allowance.is_flooded:
            return OutputLimitError(f"{self._where} {_FLOOD}", hint=_START_UP)
        if isinstance(cause, TimeoutError) and not cause.errno:  # paramiko's own, not the kernel's ETIMEDOUT
            return TransportError(f"{self._where} fell silent for {silence:g} s{said}", hint="is it overloaded?")
        if is_stale:
            return EndedError(f"{self._where} gave no answer: {_reason(cause)}", hint=_NO_SHELL)
        return TransportError(f"{self._where} broke off in mid-answer: {_reason(cause)}{said}", hint=_RETRY)


def _reason(cause: BaseException | None) -> str:
    return (cause.strerror if isinstance(cause, OSError) else str(cause or "")) or "it closed the connection"


def _printable(data: bytes | bytearray) -> str:
    """Foreign bytes as one line for a message."""
    return "".join(letter if letter.isprintable() else " " for letter in data.decode(errors="replace")).strip()
