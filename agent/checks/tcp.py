"""check: tcp — does a port accept connections, and does what listens there answer as it should?

TCP as in RFC 9293; names as getaddrinfo(3) finds them. Critical when the connection is refused, fails or takes longer
than the timeout, or when `expect` is not found in the first 64 KiB of the answer.
"""

import asyncio
from typing import ClassVar

from pydantic import Field, field_validator

from agent.checks import Target, check
from agent.checks.reaching import greeted, is_name, opened
from agent.checks.reading import Pattern, is_found, one_line, spell_seconds, told
from agent.clock import NANOSECONDS, Deadline
from agent.closed import ClosedModel, Port, Text
from agent.errors import InputError, TransportError
from agent.model.check import RunFrom
from agent.model.look import Look, Unit, Verdict

_ANSWER_BYTES = 65_536  # a greeting or a line of protocol, not a download


class TcpOptions(ClosedModel):
    """Where to connect, what to say, what to hear."""

    port: Port = Field(description="The port to connect to")
    host: Text | None = Field(default=None, description="Name or address to connect to; left out: the check's host")
    send: Text | None = Field(default=None, description="Text to send once connected")
    expect: Pattern | None = Field(default=None, description="Pattern (RE2) that the answer must contain")

    @field_validator("host")
    @classmethod
    def _is_name(cls, host: str | None) -> str | None:
        return host if host is None else is_name(host)


@check("tcp")
class Tcp:
    """Connect, say something if told to, listen for the answer if told to."""

    OPTIONS: ClassVar = TcpOptions
    SHORT: ClassVar = "port"
    METRICS: ClassVar = {"time": Unit.SECONDS}
    RUN_FROM: ClassVar = RunFrom.AGENT
    INSTANCES: ClassVar = False

    @staticmethod
    async def reach(target: Target, options: TcpOptions, deadline: Deadline) -> Look:
        """One connection; over by the deadline."""
        host = options.host or target.address
        if host is None:
            raise InputError("tcp: this check is about no host", hint="give it a host: tcp: {host: …, port: …}")
        begun, patience = deadline.clock.boottime(), deadline.remaining_seconds()
        try:
            async with asyncio.timeout(patience):
                problem, heard = await _talk(host, options)
        except TransportError as error:
            return told(Verdict.CRITICAL, f"port {options.port}: {error}")
        except TimeoutError:
            return told(Verdict.CRITICAL, f"port {options.port}: no answer within {round(patience, 1):g} s")
        took = (deadline.clock.boottime() - begun) / NANOSECONDS
        summary = f"port {options.port}: {problem or f'answers in {spell_seconds(took)}'}"
        verdict = Verdict.CRITICAL if problem else Verdict.OK
        return told(verdict, summary, metrics={"time": took}, evidence=heard)


async def _talk(host: str, options: TcpOptions) -> tuple[str, str]:
    """(What is wrong, if anything, what was heard)."""
    if options.send is None and options.expect is None:
        await greeted(host, options.port)
        return "", ""
    async with opened(host, options.port) as (reader, writer):
        if options.send is not None:
            writer.write(options.send.encode())
            await writer.drain()
        if options.expect is None:
            return "", ""
        heard = b""
        while len(heard) < _ANSWER_BYTES and (piece := await reader.read(4096)):
            heard += piece
            if is_found(options.expect, heard.decode("utf-8", "replace")):
                return "", heard.decode("utf-8", "replace")
    text = heard.decode("utf-8", "replace")
    return f"the answer lacks {one_line(options.expect, 60)!r}: {one_line(text, 80) or 'nothing was said'}", text
