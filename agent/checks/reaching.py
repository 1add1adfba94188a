"""Connections of the agent's own probes: opened, closed, and their failures in plain words."""

import asyncio
import contextlib
import dataclasses
import errno
import functools
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NoReturn

from agent.checks.reading import one_line
from agent.errors import AgentError, InputError, TransportError

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_WORDS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset by the other side",
    errno.EPIPE: "connection closed by the other side",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ETIMEDOUT: "no answer",
}
# The agent's own trouble says nothing of the other side: out of descriptors, buffers, ports, or without any network.
_OURS = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EADDRNOTAVAIL,
        errno.ENETUNREACH,
        errno.EACCES,
        errno.EPERM,
    }
)
_RESET = struct.pack("ii", 1, 0)  # socket(7), SO_LINGER: no farewell, what was not sent is dropped
_NO_SUCH_NAME = frozenset({socket.EAI_NONAME, socket.EAI_ADDRFAMILY, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


@dataclasses.dataclass(frozen=True, slots=True)
class Address:
    """Where a name leads: the address family, the bare address, and what the kernel wants to be told."""

    family: int
    number: str
    where: tuple[Any, ...]


def is_name(host: str) -> str:
    """The host, when it may be a name or an address by its characters; ValueError otherwise."""
    if not host or any(letter.isspace() or not letter.isprintable() for letter in host):
        raise ValueError(f"{host!r} is not a host name or an address")
    return host


@functools.lru_cache(maxsize=10_000)
def literal(host: str, family: int = socket.AF_UNSPEC) -> Address | None:
    """What is an address already, without a look-up; None for a name, or an address of another family."""
    try:
        found = socket.getaddrinfo(host, 0, family=family, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return None
    return _address(found[0][0], found[0][4])


async def looked_up(host: str, family: int = socket.AF_UNSPEC) -> Address:
    """The first address that a name leads to; TransportError when there is none."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, 0, family=family, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        translate(error, host)
    return _address(found[0][0], found[0][4])


def _address(family: int, where: tuple[Any, ...]) -> Address:
    return Address(family, str(where[0]).partition("%")[0], where)


@contextlib.asynccontextmanager
async def opened(host: str, port: int, context: ssl.SSLContext | None = None) -> AsyncIterator[Streams]:
    """A connection, closed at the end; whatever the other side does wrong meanwhile is a TransportError in plain words."""
    writer: asyncio.StreamWriter | None = None
    try:
        server_name = host if context else None
        if (address := literal(host)) is not None:
            sock = await _connected(address, port)
            reader, writer = await asyncio.open_connection(sock=sock, ssl=context, server_hostname=server_name)
        else:
            reader, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=server_name)
        yield reader, writer
    except TimeoutError:
        raise  # the deadline's, or the kernel's: the caller says after how long
    except (OSError, UnicodeError) as error:
        translate(error, host)
    finally:
        if writer is not None:
            _close(writer, is_tls=context is not None)


def _close(writer: asyncio.StreamWriter, *, is_tls: bool) -> None:
    """At once: who does not take what we sent, or does not say goodbye (close_notify), would keep the socket."""
    if not is_tls and not writer.transport.get_write_buffer_size():
        writer.close()
        return
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


async def greeted(host: str, port: int) -> None:
    """Connect and hang up; what goes wrong is a TransportError, as with `opened`, which costs three times as much."""
    address = literal(host)
    if address is None:
        async with opened(host, port):
            return
    try:
        (await _connected(address, port)).close()
    except TimeoutError:
        raise
    except OSError as error:
        translate(error, host)


async def _connected(address: Address, port: int) -> socket.socket:
    """By hand: the loop's own way looks the address up again."""
    connection = socket.socket(address.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        number = connection.connect_ex((address.where[0], port, *address.where[2:]))
        if number == errno.EINPROGRESS:
            await _writable(connection)
            number = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    except BaseException:
        connection.close()
        raise
    if number:
        connection.close()
        raise OSError(number, os.strerror(number))
    return connection


async def _writable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()
    descriptor = connection.fileno()
    loop.add_writer(descriptor, _arrived, waiter)
    try:
        await waiter
    finally:
        loop.remove_writer(descriptor)


def _arrived(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def translate(error: OSError | UnicodeError, host: str) -> NoReturn:
    """Raise what a failure of the network means: the other side's as TransportError, our own as AgentError."""
    if isinstance(error, ssl.SSLCertVerificationError):
        raise TransportError(f"certificate not trusted: {one_line(error.verify_message.removesuffix('.'))}") from error
    if isinstance(error, ssl.SSLError):
        raise TransportError(f"TLS failed: {one_line(error.reason or str(error))}") from error
    if isinstance(error, UnicodeError) or (isinstance(error, socket.gaierror) and error.errno in _NO_SUCH_NAME):
        raise TransportError(f"no such name: {one_line(host)}") from error
    if isinstance(error, socket.gaierror):
        hint = f"try on this machine: getent hosts {host}"
        raise AgentError(f"the agent cannot look up {one_line(host)}: {error.strerror}", hint=hint) from error
    if error.errno in _OURS:
        raise AgentError(f"the agent cannot open a connection: {error.strerror}", hint="watchkeeper doctor") from error
    words = _WORDS.get(error.errno or 0) or error.strerror or str(error)
    raise TransportError(one_line(words)) from error


def trusting(authorities: str | None, *, protocols: tuple[str, ...] = ("http/1.1",)) -> ssl.SSLContext:
    """The TLS settings that trust these authorities (a file; None: the system's), built once per state of that file.

    `protocols` are offered by ALPN (RFC 7301).
    """
    path = authorities or ssl.get_default_verify_paths().cafile
    try:
        changed = Path(path).stat().st_mtime_ns if path else 0
    except OSError as error:
        if authorities is None:
            return _context(None, 0, protocols)
        raise InputError(f"ca: {authorities}: {error.strerror}", hint=f"ls -l {authorities}") from error
    return _context(authorities, changed, protocols)


@functools.lru_cache(maxsize=64)  # reading the authorities costs about 25 ms, too much for every look
def _context(authorities: str | None, _changed_ns: int, protocols: tuple[str, ...]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=authorities)
    except (ssl.SSLError, OSError) as error:
        raise InputError(f"ca: {authorities} holds no certificates in PEM form", hint=f"file {authorities}") from error
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context
