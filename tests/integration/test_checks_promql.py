"""promql against a real Prometheus that watches itself, and against servers that answer anything else."""

import asyncio
import contextlib
import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from agent.checks import Target
from agent.checks.promql import Promql, PromqlOptions
from agent.clock import Deadline, SystemClock
from agent.model.look import Look, Verdict
from agent.secrets import Secrets
from tests.lab.wait import in_time, until


async def reach(
    url: str,
    query: str = "1",
    timeout: float = 5.0,  # noqa: ASYNC109  # it is the check's
    secrets: Secrets | None = None,
    **options: Any,
) -> Look:
    valid = PromqlOptions.model_validate({"url": url, "query": query, **options})
    target = Target(host=None, address=None, secrets=secrets)
    return await Promql.reach(target, valid, Deadline.after(SystemClock(), timeout))


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that watches itself, and something that is not there."""
    folder = tmp_path_factory.mktemp("prometheus")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        here = f"127.0.0.1:{probe.getsockname()[1]}"
    jobs = [
        {"job_name": job, "static_configs": [{"targets": [at]}]}
        for job, at in (("self", here), ("gone", "127.0.0.1:1"))
    ]
    config = folder / "prometheus.yml"
    config.write_text(
        json.dumps({"global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"}, "scrape_configs": jobs})
    )
    rules = [f"--config.file={config}", f"--storage.tsdb.path={folder}/data", f"--web.listen-address={here}"]
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(["prometheus", *rules], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        until(lambda: asyncio.run(reach(f"http://{here}", "count(up)")).metrics == {"value": 2.0}, 20, "both are known")
        yield f"http://{here}"
    finally:
        child.kill()
        child.wait(10)


class TestPrometheus:
    @pytest.mark.parametrize(
        ("query", "value"),
        [("1 + 1", 2), ("vector(0.5)", 0.5), ('up{job="self"}', 1), ("sum(up)", 1), ("vector(1e300)", 1e300)],
    )
    def test_one_number_is_the_value(self, prometheus: str, query: str, value: float) -> None:
        look = asyncio.run(reach(prometheus, query))
        assert (look.verdict, look.metrics) == (Verdict.OK, {"value": value})

    def test_by_gives_an_instance_for_each_series(self, prometheus: str) -> None:
        look = asyncio.run(reach(prometheus + "/", "up", by="job"))
        assert (look.verdict, look.summary) == (Verdict.OK, "2 series")
        assert {name: one.metrics["value"] for name, one in look.instances.items()} == {"self": 1.0, "gone": 0.0}

    def test_no_series_is_no_instance(self, prometheus: str) -> None:
        look = asyncio.run(reach(prometheus, "nothing_at_all", by="job"))
        assert (look.verdict, look.summary, look.instances) == (Verdict.OK, "0 series", {})

    @pytest.mark.parametrize(
        ("query", "by", "words"),
        [
            ("up", None, "2 series, and one is due; by: LABEL makes instances"),
            ("nothing_at_all", None, "nothing matches"),
            ("up{", None, 'refused: invalid parameter "query": 1:4: parse error'),
            ("up[1m]", "job", "the answer is a matrix; a vector is due"),
            ('"text"', None, "the answer is a string; a vector is due, or a scalar"),
            ("1", "job", "the answer is a scalar; a vector is due"),
            ("0 / 0", None, "no number: nan"),
            ("vector(1 / 0)", None, "no number: inf"),
            ("up", "nope", "two series are called (nameless)"),
        ],
    )
    def test_what_is_no_number_is_unknown(self, prometheus: str, query: str, by: str | None, words: str) -> None:
        look = asyncio.run(reach(prometheus, query, by=by))
        assert look.verdict is Verdict.UNKNOWN
        assert look.summary.startswith(words)

    def test_one_series_that_is_no_number_is_told(self, prometheus: str) -> None:
        look = asyncio.run(reach(prometheus, "up / up", by="job"))
        assert (look.verdict, look.summary) == (Verdict.UNKNOWN, "gone: no number: nan")
        assert look.instances["self"].metrics == {"value": 1.0}


# servers that are none


def http(body: bytes, status: str = "200 OK", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


def vector(series: bytes) -> bytes:
    return http(b'{"status":"success","data":{"resultType":"vector","result":[' + series + b"]}}")


async def answered(data: bytes, *, heard: list[bytes] | None = None, timeout: float = 8.0, **options: Any) -> Look:  # noqa: ASYNC109
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError), contextlib.closing(writer):
            request = await reader.readuntil(b"\r\n\r\n")
            if heard is not None:
                heard.append(request)
            writer.write(data)
            await writer.drain()
            if not data:
                await reader.read()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        return await reach(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout=timeout, **options)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no answer within 0.3 s"),
        (b"SSH-2.0-x\r\n", "what answers does not speak HTTP"),
        (http(b"<html>"), "the server says 200 OK, and no JSON: is this a Prometheus?"),
        (http(b"", "401 Unauthorized"), "the server says 401 Unauthorized, and no JSON"),
        (http(b"[" * 100_000), "the server says 200 OK, and no JSON"),
        (http(b"[]"), "the server says 200 OK, and nothing that a Prometheus says"),
        (http(b'{"status":"success","data":7}'), "the server says 200 OK, and nothing that"),
        (http(b'{"status":"error","error":"\\u001b[31mno\\u202e"}'), "refused: no"),
        (http(b'{"status":"success","data":{"resultType":"vector","result":{}}}'), "the answer is a vector"),
        (vector(b"7"), "a series without a number"),
        (vector(b'{"metric":{},"value":[1,2]}'), "a series without a number"),
        (vector(b'{"metric":{},"histogram":[1,{}]}'), "a series without a number: is it a histogram?"),
        (vector(b'{"metric":{},"value":[1,"x"]}'), "no number: x"),
        (vector(b'{"metric":{},"value":[1,"' + b"9" * 5000 + b'"]}'), "no number: inf"),
        (vector(b'{"metric":{},"value":[1,"1"]},' * 40_000 + b"1"), "the answer is larger than 1 MiB"),
        (http(b"", "302 Found", "Location: /again\r\n"), "more than 3 redirects"),
    ],
)
def test_what_is_no_answer_is_unknown(data: bytes, words: str) -> None:
    with in_time(0.3):
        look = asyncio.run(answered(data, timeout=30.0 if data else 0.3))
    assert look.verdict is Verdict.UNKNOWN
    assert look.summary.startswith(words)
    assert look.summary.isprintable()
    assert not look.metrics


def test_too_many_series_are_unknown() -> None:
    series = b",".join(b'{"metric":{"a":"%d"},"value":[1,"1"]}' % number for number in range(1001))
    look = asyncio.run(answered(vector(series), by="a"))
    assert (look.verdict, look.summary) == (Verdict.UNKNOWN, "more than 1,000 series: let the query sum them up")


def test_nobody_there_is_unknown() -> None:
    look = asyncio.run(reach("http://127.0.0.1:1"))
    assert (look.verdict, look.summary) == (Verdict.UNKNOWN, "connection refused")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"token": {"secret": "key"}}, b"Authorization: Bearer s3cret\r\n"),
        ({"user": "ada", "password": {"secret": "key"}}, b"Authorization: Basic YWRhOnMzY3JldA==\r\n"),
    ],
)
def test_secrets_go_along(options: dict[str, Any], line: bytes, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret\n")
    (tmp_path / "key").chmod(0o600)
    heard: list[bytes] = []
    good = vector(b'{"metric":{},"value":[1,"4"]}')
    query = 'sum(rate(a{b=~"c d"}[5m])) > 1 # ü&'
    look = asyncio.run(answered(good, heard=heard, secrets=Secrets(tmp_path), query=query, **options))
    assert look.metrics == {"value": 4.0}
    assert line in heard[0]
    first = heard[0].split(b"\r\n")[0]
    assert first.startswith(
        b"GET /api/v1/query?query=sum%28rate%28a%7Bb%3D~%22c%20d%22%7D%5B5m%5D%29%29%20%3E%201%20%23%20%C3%BC%26&timeout="
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "prometheus:9090"}, "is not a URL"),
        ({"url": "http://a:b@prometheus"}, "no user and no password"),
        ({"url": "http://prometheus/?a=b"}, "nothing goes behind the path"),
        ({"query": " "}, "a query is due"),
        ({"user": "ada"}, "user and password go together"),
        ({"user": "ada", "password": "x", "token": "y"}, "either a token, or user and password"),
    ],
)
def test_what_cannot_work_is_told_at_load(options: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        PromqlOptions.model_validate({"url": "http://prometheus:9090", "query": "up", **options})
