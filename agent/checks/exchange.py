"""One HTTP/1.1 request and its answer, by h11 on asyncio streams (RFC 9110, 9112); redirects followed with care."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, urljoin, urlsplit, urlunsplit

from agent.checks.reaching import Streams, opened, trusting
from agent.checks.reading import one_line
from agent.errors import InputError, TransportError

if TYPE_CHECKING:
    import h11

BODY_BYTES = 1_048_576  # a page or an API's answer; the rest of a download is not read
_READ = 65_536
_USUAL = 300  # characters of a URL that is remembered; a server may redirect us to a longer one at every look
_PORTS = {"http": 80, "https": 443}
_MOVED = frozenset({301, 302, 303, 307, 308})
_IN_URL = "/?&=%:@!$'()*+,;~-._[]"  # what stays as it is when a path with other letters is made ASCII


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What to ask: an absolute URL, and what goes with it. `ca` is a file of trusted authorities, None the system's."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""
    ca: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What came back: header names in lower case, the body up to its limit."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes
    is_cut: bool


def parts(url: str) -> SplitResult:
    """The parts of an absolute http or https URL with a host; ValueError says what is wrong."""
    return _remembered(url) if len(url) <= _USUAL else _split(url)


def _split(url: str) -> SplitResult:
    split = urlsplit(url)
    if split.scheme not in _PORTS or not split.hostname:
        raise ValueError(f"{url!r} is not a URL: write it like https://www.example.org/health")
    if any(letter.isspace() or not letter.isprintable() for letter in url):
        raise ValueError(f"{url!r} holds a character that no URL has")
    if "@" in split.netloc:
        raise ValueError("a URL here holds no user and no password")
    _ = split.port  # raises ValueError itself when it is no port
    return split


_remembered = functools.lru_cache(maxsize=10_000)(_split)  # the same few are asked again and again


async def fetch(request: Request, *, redirects: int, is_wanted: Callable[[int], bool]) -> Answer:
    """The answer, after at most so many redirects; one whose status is wanted is an answer like any other.

    Never from https to http. What the operator sends along (headers, body) stays with the host it was meant for.
    """
    for _ in range(redirects + 1):
        answer = await _ask(request)
        if (
            redirects == 0
            or answer.status not in _MOVED
            or "location" not in answer.headers
            or is_wanted(answer.status)
        ):
            return answer
        request = _redirected(request, answer)
    raise TransportError(f"more than {redirects} redirects")


def _redirected(request: Request, answer: Answer) -> Request:
    old, location = parts(request.url), answer.headers["location"]
    try:
        new = parts(urljoin(request.url, location))
    except ValueError as error:
        raise TransportError(f"redirected to what is no URL: {one_line(location, 100)}") from error
    if old.scheme == "https" and new.scheme == "http":
        raise TransportError(f"redirected from https to http: {one_line(location, 100)}")
    method, body = request.method, request.body
    if answer.status == 303 or (answer.status in {301, 302} and method == "POST"):
        method, body = ("HEAD" if method == "HEAD" else "GET"), b""
    is_home = old.hostname == new.hostname and (_port(old) == _port(new) or (_port(old), _port(new)) == (80, 443))
    if not is_home and body:
        raise TransportError(f"redirected to another host, which shall not get the body: {one_line(location, 100)}")
    return dataclasses.replace(
        request, method=method, body=body, url=urlunsplit(new), headers=request.headers if is_home else {}
    )


async def _ask(request: Request) -> Answer:
    url = parts(request.url)
    context = trusting(request.ca) if url.scheme == "https" else None
    async with opened(url.hostname or "", _port(url), context) as streams:
        return await _exchange(streams, request, url)


async def _exchange(streams: Streams, request: Request, url: SplitResult) -> Answer:
    import h11

    connection = h11.Connection(h11.CLIENT)
    try:
        sent = [connection.send(_head(request, url))]
        sent.append(connection.send(h11.Data(data=request.body)) if request.body else b"")
        sent.append(connection.send(h11.EndOfMessage()))
    except h11.LocalProtocolError as error:
        raise InputError(f"http: this request cannot be sent: {error}", hint="look at method and headers") from error
    streams[1].write(b"".join(piece or b"" for piece in sent))
    try:
        return await _hear(connection, streams)
    except h11.RemoteProtocolError as error:
        raise TransportError(f"the answer is not HTTP as it should be: {one_line(str(error), 100)}") from error


def _head(request: Request, url: SplitResult) -> "h11.Request":
    if request.headers or len(request.url) > _USUAL:  # a token may be among them: not kept
        return _made(request.method, url, len(request.body), request.headers)
    return _plain(request.method, url, len(request.body))


@functools.lru_cache(maxsize=1_000)  # making it is a tenth of what an exchange in clear costs; some 3 kB each
def _plain(method: str, url: SplitResult, size: int) -> "h11.Request":
    return _made(method, url, size, {})


def _made(method: str, url: SplitResult, size: int, given: Mapping[str, str]) -> "h11.Request":
    import h11

    headers = {
        "Host": url.netloc.encode("ascii" if url.netloc.isascii() else "idna").decode(),
        "User-Agent": "watchkeeper",
        "Accept": "*/*",
        "Accept-Encoding": "identity",  # a small answer that is compressed is a large one in memory
        **({"Content-Length": str(size)} if size else {}),
    }
    names = {name.lower() for name in given}
    kept = [(name, value) for name, value in headers.items() if name.lower() not in names]
    target = quote(url.path or "/", safe=_IN_URL) + (f"?{quote(url.query, safe=_IN_URL)}" if url.query else "")
    both = [*kept, *given.items(), ("Connection", "close")]
    return h11.Request(method=method, target=target, headers=[(name.encode(), value.encode()) for name, value in both])


async def _hear(connection: "h11.Connection", streams: Streams) -> Answer:
    import h11

    answer, body, size = None, [], 0
    while size < BODY_BYTES:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            data = await streams[0].read(_READ)
            if not data and answer is None:
                heard = one_line(connection.trailing_data[0].decode("latin-1"), 80)
                words = f"what answers does not speak HTTP: {heard}" if heard else "closed without an answer"
                raise TransportError(words)
            connection.receive_data(data)
        elif isinstance(event, h11.Response):
            answer = event
        elif isinstance(event, h11.Data):
            body.append(bytes(event.data))
            size += len(event.data)
        elif not isinstance(event, h11.InformationalResponse):
            break  # the end of the message, or of the connection
    if answer is None:
        raise TransportError("the server wants to speak another protocol")
    return Answer(
        status=answer.status_code,
        reason=one_line(answer.reason.decode("latin-1"), 60),
        headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers},
        body=b"".join(body)[:BODY_BYTES],
        is_cut=size >= BODY_BYTES,
    )


def _port(url: SplitResult) -> int:
    return url.port or _PORTS[url.scheme]
