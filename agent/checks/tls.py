"""check: tls — is a server's certificate trusted, does it name the server, and how long is it still valid?

TLS 1.2 or newer (RFC 8446) on any port, after STARTTLS where `starttls` names a protocol; names as RFC 9525 says.
`expires_in` is the time until the certificate's notAfter, below zero once that has passed; it is measured of
certificates that are not trusted, too. `chain` is ok, or why it is not trusted; `protocol` the version agreed upon.
Critical when the certificate has expired, is not trusted or names another server, and when no TLS is spoken.
"""

import asyncio
import dataclasses
import functools
import ssl
from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field, field_validator

from agent.checks import Target, check
from agent.checks.reaching import Streams, is_name, opened, translate, trusting
from agent.checks.reading import one_line, told
from agent.checks.starttls import PORTS, PRELUDES
from agent.clock import MICROSECONDS, Deadline
from agent.closed import ClosedModel, Port, Text
from agent.errors import InputError, TransportError
from agent.model.check import RunFrom
from agent.model.look import Look, Measure, Unit, Verdict

_READ = 16_384
_MOST = 262_144  # bytes of a handshake: OpenSSL itself takes chains of 100 kB (SSL_CTX_set_max_cert_list(3))


class TlsOptions(ClosedModel):
    """Where to connect, how to begin, and what to trust."""

    host: Text | None = Field(default=None, description="Name or address to connect to; left out: the check's host")
    port: Port | None = Field(default=None, description="The port; left out: 443, or the port of `starttls`")
    name: Text | None = Field(default=None, description="Name that the certificate must have; left out: the host's")
    starttls: Text | None = Field(default=None, description="Begin in clear: smtp, imap, pop3, ldap or postgres")
    ca: Text | None = Field(default=None, description="File of the authorities to trust (PEM); left out: the system's")

    @field_validator("host", "name")
    @classmethod
    def _is_name(cls, name: str | None) -> str | None:
        return name if name is None else is_name(name)

    @field_validator("starttls")
    @classmethod
    def _is_known(cls, protocol: str | None) -> str | None:
        if protocol is not None and protocol not in PRELUDES:
            raise ValueError(f"{protocol!r} is not one of: {', '.join(PRELUDES)}")
        return protocol


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Seen:
    """What a handshake showed: the version, and the end of the certificate's validity (seconds since the epoch)."""

    protocol: str
    not_after: float | None


@check("tls")
class Tls:
    """One handshake; a second one, which trusts anything and says nothing, looks at what was not trusted."""

    OPTIONS: ClassVar = TlsOptions
    SHORT: ClassVar = "host"
    METRICS: ClassVar[Mapping[str, Unit]] = {"expires_in": Unit.SECONDS, "chain": Unit.TEXT, "protocol": Unit.TEXT}
    RUN_FROM: ClassVar = RunFrom.AGENT
    INSTANCES: ClassVar = False

    @staticmethod
    async def reach(target: Target, options: TlsOptions, deadline: Deadline) -> Look:
        """Shake hands, once or twice; over by the deadline."""
        host = options.host or target.address
        if host is None:
            raise InputError("tls: this check is about no host", hint="give it a host: tls: {host: …}")
        port = options.port or PORTS.get(options.starttls or "", 443)
        patience = deadline.remaining_seconds()
        try:
            async with asyncio.timeout(patience):
                seen, problem = await _seen(host, port, options)
        except TransportError as error:
            return told(Verdict.CRITICAL, f"port {port}: {error}")
        except TimeoutError:
            return told(Verdict.CRITICAL, f"port {port}: no handshake within {patience:.3g} s")
        return _judged(seen, problem, deadline.clock.now() / MICROSECONDS)


async def _seen(host: str, port: int, options: TlsOptions) -> tuple[_Seen, str]:
    """What was seen, and why it is not trusted."""
    name = options.name or host
    try:
        return await _shaken(host, port, options.starttls, trusting(options.ca, protocols=()), name), ""
    except _UntrustedError as error:
        return await _shaken(host, port, options.starttls, _doubting(), name), str(error)


class _UntrustedError(TransportError):
    """The certificate does not verify; all else went well."""


async def _shaken(host: str, port: int, starttls: str | None, context: ssl.SSLContext, name: str) -> _Seen:
    async with opened(host, port) as streams:
        if starttls is not None:
            await PRELUDES[starttls](streams)
        try:
            return _read(await _handshake(streams, context, name))
        except ssl.SSLCertVerificationError as error:
            raise _UntrustedError(one_line(error.verify_message.removesuffix("."), 120)) from error
        except (ssl.SSLError, UnicodeError) as error:
            translate(error, host)
        finally:
            streams[1].transport.abort()


async def _handshake(streams: Streams, context: ssl.SSLContext, name: str) -> ssl.SSLObject:
    """By hand on plain streams: asyncio's own start_tls would take what came in clear for a part of TLS, or lose it."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    heard = 0
    while True:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            streams[1].write(outgoing.read())
            data = await streams[0].read(_READ)
            heard += len(data)
            if not data or heard > _MOST:
                words = "closed during the handshake" if not data else "a handshake without end"
                raise TransportError(words) from None
            incoming.write(data)
        else:
            return tls


def _read(tls: ssl.SSLObject) -> _Seen:
    """Of a verified certificate Python tells the fields; of another one the bytes alone."""
    fields = tls.getpeercert() or {}
    written = fields.get("notAfter")
    if isinstance(written, str):
        not_after: float | None = float(ssl.cert_time_to_seconds(written))
    else:
        not_after = _not_after(tls.getpeercert(binary_form=True) or b"")
    return _Seen(protocol=tls.version() or "none", not_after=not_after)


def _not_after(der: bytes) -> float | None:
    from cryptography import x509

    try:
        return x509.load_der_x509_certificate(der).not_valid_after_utc.timestamp()
    except ValueError:
        return None


@functools.lru_cache(maxsize=1)
def _doubting() -> ssl.SSLContext:
    """For a look at what was not trusted: nothing is sent over such a connection, and nothing in it believed."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _judged(seen: _Seen, problem: str, now: float) -> Look:
    metrics: dict[str, Measure] = {"chain": problem or "ok", "protocol": seen.protocol}
    words = "valid until nobody knows when"
    if seen.not_after is not None:
        left = metrics["expires_in"] = seen.not_after - now
        words = f"expires in {left / 86400:.1f} days" if left >= 0 else f"expired {-left / 86400:.1f} days ago"
    if problem:
        return told(Verdict.CRITICAL, f"certificate not trusted: {problem}; {words}", metrics=metrics)
    return told(Verdict.OK, f"{words}, {seen.protocol}", metrics=metrics)
