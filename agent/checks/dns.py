"""check: dns — does a name server answer a question, and with what it should?

One question (RFC 1035) over UDP, and over TCP when the answer does not fit (RFC 7766). An answer counts when it comes
from the server asked, repeats the question and its number; all others are overlooked. `answers` counts the records of
that type, aliases followed. Critical when there is none, when the server says no or nothing, and when `expect` is given
and the records are not exactly those.
"""

import asyncio
import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from agent.checks import Target, check
from agent.checks.reading import one_line, spell_seconds, told
from agent.clock import NANOSECONDS, Deadline
from agent.closed import ClosedModel, Port, Text, Texts
from agent.errors import InputError
from agent.model.check import RunFrom
from agent.model.look import Look, Unit, Verdict

if TYPE_CHECKING:
    from dns.message import Message, QueryMessage

_RESOLV_CONF = Path("/etc/resolv.conf")
_MOST = 10  # servers of one check
_FIRST_TRY = 0.4  # of the time, before the question is asked once more: UDP loses packets


class DnsOptions(ClosedModel):
    """What to ask, whom, and what to expect."""

    name: Text = Field(description="The name to ask for")
    type: Text = Field(default="A", description="Type of the records: A, AAAA, MX, TXT, …")
    expect: Texts = Field(default=(), description="The records that must come back, no more and no fewer, in any order")
    servers: Texts = Field(
        default=(), description="Addresses of the name servers to ask, one instance each; left out: this machine's own"
    )
    port: Port = Field(default=53, description="The port to ask")

    @field_validator("name")
    @classmethod
    def _is_name(cls, name: str) -> str:
        import dns.exception
        import dns.name

        try:
            return dns.name.from_text(name).to_text()
        except (dns.exception.DNSException, UnicodeError) as error:
            raise ValueError(f"{name!r} is not a name: {error}") from error

    @field_validator("type")
    @classmethod
    def _is_type(cls, kind: str) -> str:
        import dns.rdatatype

        try:
            number = dns.rdatatype.from_text(kind)
        except (dns.rdatatype.UnknownRdatatype, ValueError) as error:
            raise ValueError(f"{kind!r} is not a type of records") from error
        if dns.rdatatype.is_metatype(number):
            raise ValueError(f"{kind!r} is no type of records to ask for here")
        return dns.rdatatype.to_text(number)

    @field_validator("servers")
    @classmethod
    def _are_addresses(cls, servers: tuple[str, ...]) -> tuple[str, ...]:
        if len(servers) > _MOST:
            raise ValueError(f"ask {_MOST} name servers at most")
        return tuple(dict.fromkeys(str(ipaddress.ip_address(server)) for server in servers))

    @model_validator(mode="after")
    def _are_records(self) -> Self:
        for text in self.expect:
            _record(self.type, text)
        return self


@check("dns")
class Dns:
    """One question to one or more name servers, one instance each."""

    OPTIONS: ClassVar = DnsOptions
    SHORT: ClassVar = "name"
    METRICS: ClassVar[Mapping[str, Unit]] = {"answers": Unit.NUMBER, "time": Unit.SECONDS}
    RUN_FROM: ClassVar = RunFrom.AGENT
    INSTANCES: ClassVar = True

    @staticmethod
    async def reach(_target: Target, options: DnsOptions, deadline: Deadline) -> Look:
        """Ask them all at the same time; over by the deadline."""
        servers = options.servers or _own_servers()
        looks = await asyncio.gather(*(_asked(server, options, deadline) for server in servers))
        instances = dict(zip(servers, looks, strict=True))
        server, worst = max(instances.items(), key=lambda item: item[1].verdict.weight)
        summary = worst.summary if worst.verdict is Verdict.OK and len(looks) == 1 else f"{server}: {worst.summary}"
        return told(worst.verdict, summary, instances=instances)


def _own_servers() -> tuple[str, ...]:
    """resolv.conf(5)."""
    try:
        lines = _RESOLV_CONF.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise InputError(
            f"dns: {_RESOLV_CONF}: {error.strerror}", hint="name servers: dns: {servers: [192.0.2.53]}"
        ) from error
    found = [words[1] for words in map(str.split, lines) if len(words) > 1 and words[0] == "nameserver"]
    if not found:
        raise InputError(f"dns: {_RESOLV_CONF} names no server", hint="name servers: dns: {servers: [192.0.2.53]}")
    return tuple(dict.fromkeys(found[:3]))  # as the C library does: MAXNS


async def _asked(server: str, options: DnsOptions, deadline: Deadline) -> Look:
    import dns.exception
    import dns.message

    question = dns.message.make_query(options.name, options.type)
    begun, patience = deadline.clock.boottime(), deadline.remaining_seconds()
    try:
        async with asyncio.timeout(patience):
            answer = await _answer(question, server, options.port, patience)
    except TimeoutError:
        return told(Verdict.CRITICAL, f"no answer within {round(patience, 1):g} s")
    except ConnectionRefusedError:
        return told(Verdict.CRITICAL, "nothing answers on that port")
    except (OSError, EOFError) as error:
        words = one_line(getattr(error, "strerror", None) or "closed before the answer was complete")
        return told(Verdict.CRITICAL, f"cannot be asked: {words}")
    except (dns.exception.DNSException, ValueError) as error:
        return told(Verdict.CRITICAL, f"the answer makes no sense: {one_line(str(error), 100) or type(error).__name__}")
    took = (deadline.clock.boottime() - begun) / NANOSECONDS
    return _judged(answer, options, took)


async def _answer(question: "QueryMessage", server: str, port: int, patience: float) -> "Message":
    """Once more when the first packet is lost; by TCP when the answer is cut."""
    import dns.asyncbackend
    import dns.asyncquery
    import dns.exception
    import dns.message

    backend = dns.asyncbackend.get_backend("asyncio")
    common: dict[str, Any] = {"port": port, "backend": backend}
    for wait in (patience * _FIRST_TRY, patience):
        try:
            return await dns.asyncquery.udp(
                question,
                server,
                timeout=wait,
                ignore_unexpected=True,
                ignore_errors=True,
                raise_on_truncation=True,
                **common,
            )
        except dns.message.Truncated:
            return await dns.asyncquery.tcp(question, server, timeout=patience, **common)
        except dns.exception.Timeout:
            continue
    raise TimeoutError


def _judged(answer: "Message", options: DnsOptions, took: float) -> Look:
    import dns.rcode

    code = answer.rcode()
    if code != dns.rcode.NOERROR:
        words = {dns.rcode.NXDOMAIN: "no such name"}.get(code, f"the server says {dns.rcode.to_text(code)}")
        return told(Verdict.CRITICAL, f"{options.name} {options.type}: {words}", metrics={"answers": 0.0, "time": took})
    found = _records(answer, options.type)
    metrics = {"answers": float(len(found)), "time": took}
    told_records = one_line(", ".join(sorted(map(str, found))), 120)
    if not found:
        return told(Verdict.CRITICAL, f"{options.name} {options.type}: no such records", metrics=metrics)
    expected = {_record(options.type, text) for text in options.expect}
    if expected and found != expected:
        wanted = one_line(", ".join(sorted(map(str, expected))), 60)
        return told(
            Verdict.CRITICAL, f"{options.name} {options.type}: {told_records}, expected {wanted}", metrics=metrics
        )
    return told(Verdict.OK, f"{options.name} {options.type}: {told_records} in {spell_seconds(took)}", metrics=metrics)


def _records(answer: "Message", kind: str) -> set[Any]:
    """Of the name asked for, or of what it is an alias of; what else a server volunteers is not an answer."""
    import dns.exception
    import dns.message

    assert isinstance(answer, dns.message.QueryMessage), "a question of ours is answered in kind"
    try:
        chain = answer.resolve_chaining()
    except dns.exception.DNSException:
        return set()
    return set(chain.answer or ()) if chain.answer is not None and _is_kind(chain.answer, kind) else set()


def _is_kind(records: Any, kind: str) -> bool:
    import dns.rdatatype

    return bool(records.rdtype == dns.rdatatype.from_text(kind))


def _record(kind: str, text: str) -> Any:
    """A record from its text as in zone files; names are complete with or without the dot at the end."""
    import dns.exception
    import dns.name
    import dns.rdata

    quoted = f'"{text}"' if kind == "TXT" and not text.startswith('"') else text
    try:
        return dns.rdata.from_text("IN", kind, quoted, origin=dns.name.root, relativize=False)
    except (dns.exception.DNSException, ValueError) as error:
        raise ValueError(f"{text!r} is not what a record of type {kind} holds: {error}") from error
