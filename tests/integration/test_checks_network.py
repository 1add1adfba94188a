"""http and tcp against real servers on loopback, the well-behaved and the hostile: always a verdict, always in time."""

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from agent.checks import Target
from agent.checks.http import Http, HttpOptions
from agent.checks.tcp import Tcp, TcpOptions
from agent.clock import Deadline, SystemClock
from agent.errors import AgentError, InputError
from agent.model.look import Look, Verdict
from agent.secrets import Secrets
from tests.lab.wait import in_time

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HERE = Target(host="here", address="127.0.0.1")
PATIENCE = 0.4  # seconds for a server that never comes to an end


@contextlib.asynccontextmanager
async def serving(behave: Behaviour, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server on loopback that treats each connection so; gives its port."""
    connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections[task] = writer
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await behave(reader, writer)
        writer.transport.abort() if context else writer.close()

    server = await asyncio.start_server(guarded, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task, writer in connections.items():
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*connections, return_exceptions=True)


def answering(*pieces: bytes, pause: float = 0.0, forever: bool = False) -> Behaviour:
    """Reads a request's head, then sends these pieces, with a pause before each."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        while True:
            for piece in pieces:
                await asyncio.sleep(pause)
                writer.write(piece)
                await writer.drain()
            if not forever:
                return

    return behave


def answer(body: bytes = b"", status: str = "200 OK", *headers: str) -> Behaviour:
    """One complete answer."""
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers])
    return answering(f"{head}\r\n\r\n".encode() + body)


def ask(behave: Behaviour, path: str = "/", seconds: float = 5.0, **options: Any) -> Look:
    """What the probe says of this server."""

    async def run() -> Look:
        async with serving(behave) as port:
            valid = HttpOptions.model_validate({"url": f"http://127.0.0.1:{port}{path}", **options})
            return await Http.reach(HERE, valid, Deadline.after(SystemClock(), seconds))

    return asyncio.run(run())


def http(url: str, seconds: float = 5.0, **options: Any) -> Look:
    """What the probe says of this URL."""
    valid = HttpOptions.model_validate({"url": url, **options})
    return asyncio.run(Http.reach(HERE, valid, Deadline.after(SystemClock(), seconds)))


@pytest.mark.parametrize(
    ("behave", "expect", "verdict", "words"),
    [
        (answer(b"all ok"), {}, "ok", "200 OK, 6 B in"),
        (answer(b"", "204 No Content"), {}, "ok", "204 No Content, 0 B in"),
        (answer(b"down", "503 Unavailable"), {}, "critical", "status 503 Unavailable, expected 200 to 299"),
        (answer(b"", "404 Not Found"), {"status": ["404", "410"]}, "ok", "404 Not Found"),
        (answer(b""), {"status": "204"}, "critical", "status 200 OK, expected 204"),
        (answer(b"all ok"), {"body": "o[k]"}, "ok", "200 OK"),
        (answer(b"oh no"), {"body": "ok$"}, "critical", "the body lacks 'ok$'"),
        (answer(b"fatal error"), {"not_body": "(?i)ERROR"}, "critical", "the body contains"),
        (answer(b"{}", "200 OK", "X-Cache: HIT"), {"header": {"x-cache": "^HIT$"}}, "ok", "200 OK"),
        (answer(b"{}", "200 OK", "X-Cache: MISS"), {"header": {"X-Cache": "HIT"}}, "critical", "header X-Cache is 'MISS'"),
        (answer(b"{}"), {"header": {"X-Cache": "HIT"}}, "critical", "there is no header X-Cache"),
        (answer(b'{"db": {"up": true, "n": 1}}'), {"json": {"db": {"up": True}}}, "ok", "200 OK"),
        (answer(b'{"db": 1}'), {"json": {"db": True}}, "critical", "json: db is 1, expected true"),
        (answer(b'{"a": [1, 2]}'), {"json": {"a": [1]}}, "critical", "json: a is [1, 2], expected [1]"),
        (answer(b"{}"), {"json": {"db": "up"}}, "critical", "json: there is no db"),
        (answer(b"[" * 100_000), {"json": {"db": "up"}}, "critical", "the body is not JSON"),
        (answer(b"\xff\xfe\x00", "200 \x1b[31mOK"), {"body": "x"}, "critical", "the body lacks"),
        (answering(b"SSH-2.0-OpenSSH_9.2\r\n"), {}, "critical", "does not speak HTTP: SSH-2.0"),
        (answering(b""), {}, "critical", "closed without an answer"),
        (answering(b"HTTP/1.1 101 Switch\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), {}, "critical", "not HTTP as it should be"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), {}, "critical", "not HTTP as it should be"),
        (answering(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000), {}, "critical", "not HTTP as it should be"),
        (answering(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\nuntil the end"), {}, "ok", "200 OK, 13 B"),
    ],
)  # fmt: skip
def test_an_answer_is_judged_by_what_was_expected(
    behave: Behaviour, expect: dict[str, Any], verdict: str, words: str
) -> None:
    look = ask(behave, expect=expect)
    assert look.verdict == verdict, look
    assert words in look.summary


@pytest.mark.parametrize(
    "behave",
    [
        pytest.param(answering(b"", pause=60), id="never answers"),
        pytest.param(answering(b"HTTP/1.1 200 OK\r\nA", *[b"b"] * 900, pause=0.05), id="a byte at a time"),
        pytest.param(answering(b"HTTP/1.1 103 Hint\r\n\r\n", pause=0.01, forever=True), id="hints for ever"),
    ],
)
def test_a_server_that_never_comes_to_an_end_is_left_at_the_deadline(behave: Behaviour) -> None:
    with in_time(PATIENCE):
        look = ask(behave, seconds=PATIENCE)
    assert (look.verdict, look.summary) == (Verdict.CRITICAL, "no answer within 0.4 s")


def test_of_a_body_without_end_the_first_mebibyte_is_read() -> None:
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    look = ask(answering(head, *[b"x" * 65_536] * 40), expect={"body": "x"})
    assert look.verdict is Verdict.OK
    assert look.metrics["size"] == 1_048_576
    assert "more than 1.0 MB" in look.summary


def echo(seen: list[bytes], status: str = "200 OK", *headers: str) -> Behaviour:
    """Keeps what it was asked, then answers."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.read(65_536))
        writer.write("\r\n".join([f"HTTP/1.1 {status}", "Content-Length: 0", *headers, "", ""]).encode())

    return behave


def test_the_request_carries_what_the_policy_says_and_asks_for_no_compression() -> None:
    seen: list[bytes] = []
    ask(
        echo(seen),
        "/ä?q=1 2".replace(" ", "%20"),
        method="POST",
        headers={"X-Key": "k", "user-agent": "me"},
        body="héllo",
    )
    head, _, body = seen[0].partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert lines[0] == "post /%c3%a4?q=1%202 http/1.1"
    assert {"x-key: k", "user-agent: me", "accept-encoding: identity", "connection: close", "content-length: 6"} <= set(
        lines
    )
    assert body.decode() == "héllo"


@pytest.mark.parametrize(
    ("auth", "line"),
    [
        ({"token": {"secret": "key"}}, b"Authorization: Bearer s3cret\r\n"),
        ({"user": "watcher", "password": {"secret": "key"}}, b"Authorization: Basic d2F0Y2hlcjpzM2NyZXQ=\r\n"),
        ({}, b"\r\n\r\n"),
    ],
)
def test_what_opens_the_server_is_a_secret_and_stays_at_home(auth: dict[str, Any], line: bytes, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret\n")
    (tmp_path / "key").chmod(0o600)
    target = Target(host="here", address="127.0.0.1", secrets=Secrets(tmp_path))
    seen: list[bytes] = []

    async def run() -> Look:
        async with (
            serving(echo(seen)) as end,
            serving(echo(seen, "302 Found", f"Location: http://127.0.0.1:{end}/")) as port,
        ):
            valid = HttpOptions.model_validate({"url": f"http://127.0.0.1:{port}/", "auth": auth})
            assert "s3cret" not in repr(valid)
            return await Http.reach(target, valid, Deadline.after(SystemClock(), 5))

    assert asyncio.run(run()).verdict is Verdict.OK
    assert line in seen[0]
    assert (b"Authorization" in seen[0]) is bool(auth)
    assert b"Authorization" not in seen[1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"auth": {"user": "ada"}}, "user and password go together"),
        ({"auth": {"user": "ada", "password": "x", "token": "y"}}, "either a token, or user and password"),
        ({"auth": {"token": "y"}, "headers": {"authorization": "Bearer x"}}, "either auth, or a header"),
    ],
)
def test_two_ways_in_are_told_at_load(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        HttpOptions.model_validate({"url": "http://127.0.0.1/", **options})


def test_redirects_are_followed_up_to_the_limit_and_what_was_sent_along_stays_at_home() -> None:
    seen: list[bytes] = []

    async def run(redirects: int, to: str) -> Look:
        async with (
            serving(echo(seen)) as end,
            serving(echo(seen, "302 Found", f"Location: {to.format(end=end)}")) as port,
        ):
            options = {
                "url": f"http://127.0.0.1:{port}/",
                "headers": {"Authorization": "secret"},
                "redirects": redirects,
            }
            valid = HttpOptions.model_validate(options)
            return await Http.reach(HERE, valid, Deadline.after(SystemClock(), 5))

    assert asyncio.run(run(1, "http://127.0.0.1:{end}/there")).verdict is Verdict.OK
    assert b"secret" in seen[0]
    assert seen[1].startswith(b"GET /there ")
    assert b"secret" not in seen[1]
    assert asyncio.run(run(0, "http://127.0.0.1:{end}/")).summary.startswith("status 302 Found, expected")
    assert asyncio.run(run(3, "/again")).summary == "more than 3 redirects"
    assert len(seen) == 7
    assert "no URL" in asyncio.run(run(1, "file:///etc/passwd")).summary
    assert "no URL" in asyncio.run(run(1, "http://user:password@127.0.0.1/")).summary


def test_a_redirect_that_was_expected_is_the_answer() -> None:
    look = ask(
        echo([], "301 Moved", "Location: /elsewhere"), expect={"status": "301", "header": {"location": "^/else"}}
    )
    assert look.verdict is Verdict.OK


@pytest.mark.parametrize(
    ("status", "methods"), [("303 See Other", ["POST", "GET"]), ("307 Temporary", ["POST", "POST"])]
)
def test_a_body_goes_along_only_where_the_redirect_says_so(status: str, methods: list[str]) -> None:
    seen: list[bytes] = []
    ask(echo(seen, status, "Location: /next"), method="POST", body="x", redirects=1)
    assert [request.split()[0].decode() for request in seen] == methods
    assert [request.endswith(b"x") for request in seen] == [method == "POST" for method in methods]


def certificate(folder: Path, name: str, days: int = 2) -> Path:
    """A key and a certificate for this name that signs itself, in one file."""
    file = folder / f"{name}.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(days),
         "-subj", f"/CN={name}", "-addext", f"subjectAltName={name if ':' in name else 'DNS:' + name}",
         "-keyout", str(file), "-out", str(file) + ".crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    file.write_text(file.read_text() + Path(f"{file}.crt").read_text())
    return file


def over_tls(folder: Path, name: str, *, is_trusted: bool) -> Look:
    file = certificate(folder, name)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)

    async def run() -> Look:
        async with serving(answer(b"hello"), context) as port:
            url = {"url": f"https://127.0.0.1:{port}/", **({"ca": f"{file}.crt"} if is_trusted else {})}
            return await Http.reach(HERE, HttpOptions.model_validate(url), Deadline.after(SystemClock(), 5))

    return asyncio.run(run())


def test_a_certificate_must_be_trusted_and_name_the_host(tmp_path: Path) -> None:
    assert over_tls(tmp_path, "IP:127.0.0.1", is_trusted=True).verdict is Verdict.OK
    stranger = over_tls(tmp_path, "IP:127.0.0.1", is_trusted=False)
    assert (stranger.verdict, stranger.summary) == (
        Verdict.CRITICAL,
        "certificate not trusted: self-signed certificate",
    )
    other = over_tls(tmp_path, "other.example.org", is_trusted=True)
    assert other.verdict is Verdict.CRITICAL
    assert "not valid for '127.0.0.1'" in other.summary


def test_tls_where_none_is_spoken_and_a_downgrade_are_critical(tmp_path: Path) -> None:
    file = certificate(tmp_path, "IP:127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)

    async def run(behave: Behaviour, inner: ssl.SSLContext | None) -> Look:
        async with serving(behave, inner) as port:
            options = HttpOptions(url=f"https://127.0.0.1:{port}/", ca=f"{file}.crt")
            return await Http.reach(HERE, options, Deadline.after(SystemClock(), 5))

    assert "TLS failed" in asyncio.run(run(greeting(b"220 hello\r\n"), None)).summary
    down = asyncio.run(run(answer(b"", "302 Found", "Location: http://127.0.0.1/"), context))
    assert down.summary == "redirected from https to http: http://127.0.0.1/"


def test_a_file_of_authorities_that_is_none_is_the_checks_fault(tmp_path: Path) -> None:
    for ca in (tmp_path / "absent.pem", Path("/etc/hostname")):
        with pytest.raises(InputError, match="ca: "):
            http("https://127.0.0.1:9/", ca=str(ca))


def test_refused_and_unknown_names_are_verdicts() -> None:
    async def closed_port() -> int:
        async with serving(answering()) as port:
            return port

    port = asyncio.run(closed_port())
    assert http(f"http://127.0.0.1:{port}/").summary == "connection refused"
    assert tcp(port).summary == f"port {port}: connection refused"
    with contextlib.suppress(AgentError):  # without any resolver the agent cannot tell, and says so
        assert "no such name" in http("http://no-such-name.invalid/").summary


def tcp(port: int, seconds: float = 5.0, **options: Any) -> Look:
    """What the probe says of this port."""
    valid = TcpOptions.model_validate({"port": str(port), **options})
    return asyncio.run(Tcp.reach(HERE, valid, Deadline.after(SystemClock(), seconds)))


def greeting(*pieces: bytes) -> Behaviour:
    """Says these pieces, hears one line, repeats it, and waits to be left."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        writer.write(b"heard " + await reader.readline())
        await reader.read()

    return behave


@pytest.mark.parametrize(
    ("behave", "options", "verdict", "words"),
    [
        (greeting(), {}, "ok", "answers in"),
        (greeting(b"220 ", b"mail ready\r\n"), {"expect": "^220 mail"}, "ok", "answers in"),
        (greeting(), {"send": "PING\r\n", "expect": "heard PING"}, "ok", "answers in"),
        (answering(), {"send": "bye\r\n\r\n", "expect": "x"}, "critical", "the answer lacks 'x': nothing was said"),
        (greeting(b"554 \x1b[2Jno\r\n"), {"expect": "^220"}, "critical", "no answer within 0.4 s"),
        (answering(b"x" * 70_000), {"send": "\r\n\r\n", "expect": "y"}, "critical", "the answer lacks 'y'"),
        (greeting(), {"expect": "220"}, "critical", "no answer within 0.4 s"),
    ],
)  # fmt: skip
def test_a_port_is_judged_by_what_it_says(behave: Behaviour, options: dict[str, Any], verdict: str, words: str) -> None:
    async def run() -> Look:
        async with serving(behave) as port:
            valid = TcpOptions.model_validate({"port": str(port), **options})
            return await Tcp.reach(HERE, valid, Deadline.after(SystemClock(), PATIENCE))

    look = asyncio.run(run())
    assert look.verdict == verdict, look
    assert words in look.summary


def test_a_port_without_a_host_is_the_checks_fault() -> None:
    nowhere = Target(host=None, address=None)
    with pytest.raises(InputError, match="about no host"):
        asyncio.run(Tcp.reach(nowhere, TcpOptions(port=1), Deadline.after(SystemClock(), 1)))
