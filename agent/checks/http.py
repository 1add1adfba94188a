"""check: http — does a web server answer as it should?

One HTTP/1.1 request (RFC 9110, 9112) on a connection of its own; with https the certificate must be trusted and must
name the host. Critical unless the answer is as `expect` says; without `expect`, unless its status is 200 to 299, after
redirects. What opens the server (`auth`), headers and body stay with the host they were meant for when a redirect leads
elsewhere. The first MiB of the body is read, and judged.
"""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema, field_validator

from agent.checks import Target, check
from agent.checks.credentials import Credentials, authorization
from agent.checks.exchange import Answer, Request, fetch, parts
from agent.checks.reading import Pattern, from_json, is_found, one_line, spell_bytes, spell_seconds, told
from agent.clock import NANOSECONDS, Deadline
from agent.closed import ClosedModel, FreeMap, Integer, Text
from agent.errors import TransportError
from agent.model.check import RunFrom
from agent.model.look import Look, Unit, Verdict

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")  # RFC 9110, 5.6.2: names of methods and headers
_OURS = frozenset({"connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer", "expect"})
_AT_ONCE = 65_536  # bytes; what is longer is judged in a thread, for a search may take a while
_EXCERPT = 500  # of an answer that was not as expected: its first lines say why


def _statuses(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


Statuses = Annotated[
    tuple[Integer, ...],
    BeforeValidator(_statuses),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]}),
]


class Expected(ClosedModel):
    """What a good answer is like; everything that is written must hold."""

    status: Statuses = Field(default=(), description="One of these; left out: 200 to 299")
    body: Pattern | None = Field(default=None, description="Pattern (RE2) found in the body")
    not_body: Pattern | None = Field(default=None, description="Pattern (RE2) not found in the body")
    json_body: FreeMap = Field(
        default={}, alias="json", description="The body is a JSON object that contains all of this"
    )
    header: dict[Text, Pattern] = Field(default={}, description="Header: pattern (RE2) found in its value")

    @field_validator("status")
    @classmethod
    def _are_statuses(cls, statuses: tuple[int, ...]) -> tuple[int, ...]:
        for status in statuses:
            if not 200 <= status <= 599:
                raise ValueError(f"{status} is not the status of an answer: 200 to 599")
        return statuses

    def wants(self, status: int) -> bool:
        """Whether this status is as expected."""
        return status in self.status if self.status else 200 <= status <= 299


class HttpOptions(ClosedModel):
    """What to ask, and what to expect."""

    url: Text = Field(description="What to ask for: http:// or https://")
    method: Text = Field(default="GET", description="The method of the request")
    headers: dict[Text, Text] = Field(default={}, description="Headers to send along")
    body: Text = Field(default="", description="Text to send along")
    auth: Credentials = Field(default_factory=Credentials, description="What opens the server")
    expect: Expected = Field(default_factory=Expected, description="What a good answer is like")
    redirects: Integer = Field(default=5, description="Redirects to follow at most; 0: none, a redirect is the answer")
    ca: Text | None = Field(default=None, description="File of the authorities to trust (PEM); left out: the system's")

    @field_validator("url")
    @classmethod
    def _is_url(cls, url: str) -> str:
        parts(url)
        return url

    @field_validator("method")
    @classmethod
    def _is_method(cls, method: str) -> str:
        if _TOKEN.match(method) is None or method == "CONNECT":
            raise ValueError(f"{method!r} is not a method to ask with")
        return method

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if _TOKEN.match(name) is None or name.lower() in _OURS:
                raise ValueError(f"{name!r} is not a header to send along")
            if not value.isprintable():
                raise ValueError(f"header {name}: its value must be one line")
        return headers

    @field_validator("auth")
    @classmethod
    def _is_shown_once(cls, auth: Credentials, info: ValidationInfo) -> Credentials:
        names = {name.lower() for name in info.data.get("headers", {})}
        if "authorization" in names and (auth.token or auth.user):
            raise ValueError("either auth, or a header Authorization")
        return auth

    @field_validator("redirects")
    @classmethod
    def _is_bounded(cls, redirects: int) -> int:
        if not 0 <= redirects <= 20:
            raise ValueError(f"{redirects}: follow 0 to 20 redirects")
        return redirects


@check("http")
class Http:
    """One request, its redirects, and a judgement of the answer."""

    OPTIONS: ClassVar = HttpOptions
    SHORT: ClassVar = "url"
    METRICS: ClassVar[Mapping[str, Unit]] = {"status": Unit.NUMBER, "time": Unit.SECONDS, "size": Unit.BYTES}
    RUN_FROM: ClassVar = RunFrom.AGENT
    INSTANCES: ClassVar = False

    @staticmethod
    async def reach(target: Target, options: HttpOptions, deadline: Deadline) -> Look:
        """Ask; over by the deadline."""
        headers = {**options.headers, **authorization(target, options.auth)}
        request = Request(
            method=options.method, url=options.url, headers=headers, body=options.body.encode(), ca=options.ca
        )
        begun, patience = deadline.clock.boottime(), deadline.remaining_seconds()
        try:
            async with asyncio.timeout(patience):
                answer = await fetch(request, redirects=options.redirects, is_wanted=options.expect.wants)
        except TransportError as error:
            return told(Verdict.CRITICAL, str(error))
        except TimeoutError:
            return told(Verdict.CRITICAL, f"no answer within {round(patience, 1):g} s")
        took = (deadline.clock.boottime() - begun) / NANOSECONDS
        if len(answer.body) <= _AT_ONCE:
            return _judged(answer, options.expect, took)
        try:
            async with asyncio.timeout(deadline.remaining_seconds()):
                return await asyncio.to_thread(_judged, answer, options.expect, took)
        except TimeoutError:
            return told(Verdict.UNKNOWN, "the answer could not be searched in time: are the patterns simple enough?")


def _judged(answer: Answer, expect: Expected, took: float) -> Look:
    metrics = {"status": float(answer.status), "time": took, "size": float(len(answer.body))}
    status = f"{answer.status} {answer.reason}".strip()
    text = answer.body.decode("utf-8", "replace")
    if problems := list(_problems(answer, expect, text)):
        evidence = f"{status}\n{text[:_EXCERPT]}"
        return told(Verdict.CRITICAL, "; ".join(problems), metrics=metrics, evidence=evidence)
    size = f"{'more than ' if answer.is_cut else ''}{spell_bytes(len(answer.body))}"
    return told(Verdict.OK, f"{status}, {size} in {spell_seconds(took)}", metrics=metrics)


def _problems(answer: Answer, expect: Expected, text: str) -> Iterator[str]:
    if not expect.wants(answer.status):
        wanted = " or ".join(map(str, expect.status)) or "200 to 299"
        yield f"status {answer.status} {answer.reason}".strip() + f", expected {wanted}"
    if expect.body is not None and not is_found(expect.body, text):
        yield f"the body lacks {one_line(expect.body, 60)!r}"
    if expect.not_body is not None and is_found(expect.not_body, text):
        yield f"the body contains {one_line(expect.not_body, 60)!r}"
    for name, pattern in expect.header.items():
        value = answer.headers.get(name.lower())
        if value is None:
            yield f"there is no header {name}"
        elif not is_found(pattern, value):
            yield f"header {name} is {one_line(value, 60)!r}, expected {one_line(pattern, 60)!r}"
    if expect.json_body:
        yield from _json_problems(expect.json_body, text)


def _json_problems(expected: Mapping[str, Any], text: str) -> Iterator[str]:
    try:
        found = from_json(text)
    except ValueError as error:
        yield f"the body is not JSON: {one_line(str(error), 60)}"
        return
    if not isinstance(found, dict):
        yield "the body is JSON, but not an object"
        return
    for name, value in expected.items():
        if name not in found:
            yield f"json: there is no {one_line(name, 60)}"
        elif not _contains(found[name], value):
            seen, wanted = (one_line(json.dumps(each, default=str), 60) for each in (found[name], value))
            yield f"json: {one_line(name, 60)} is {seen}, expected {wanted}"


def _contains(found: object, expected: object) -> bool:
    """Objects may hold more than expected, lists and plain values may not; true is not 1."""
    if isinstance(expected, Mapping):
        return isinstance(found, dict) and all(
            name in found and _contains(found[name], expected[name]) for name in expected
        )
    if isinstance(expected, list | tuple):
        pairs = isinstance(found, list) and len(found) == len(expected)
        return pairs and isinstance(found, list) and all(map(_contains, found, expected))
    return found == expected and isinstance(found, bool) == isinstance(expected, bool)
