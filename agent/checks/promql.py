"""check: promql — what does a Prometheus server answer?

An instant query by its HTTP API (and by that of those who speak it: Thanos, VictoriaMetrics, Mimir). Without `by` the
answer is one number, the value: a scalar, or a vector of one series. With it there is an instance for each series, named
by that label; series that vanish are kept for `fail_after` looks. Always ok by itself, so give it bounds; unknown when
the server cannot be reached or refuses, and when the answer is no number, so watch the server with a check of its own.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from pydantic import Field, field_validator, model_validator

from agent.checks import Target, check
from agent.checks.credentials import authorization, one_way_in
from agent.checks.exchange import Answer, Request, fetch, parts
from agent.checks.reading import from_json, one_line, told
from agent.checks.values import several, valued
from agent.clock import Deadline
from agent.closed import ClosedModel, SecretRef, Text
from agent.errors import TransportError
from agent.model.check import RunFrom
from agent.model.look import Look, Unit, Verdict

_REDIRECTS = 3


class PromqlOptions(ClosedModel):
    """Whom to ask, and what."""

    url: Text = Field(
        description="The server: https://prometheus.example.org, with the path before /api when it has one"
    )
    query: Text = Field(description="What to ask for, in PromQL")
    by: Text | None = Field(
        default=None, description="Label that names the instances; left out: the answer is one value"
    )
    token: SecretRef | Text | None = Field(default=None, repr=False, description="Bearer token to send along")
    user: Text | None = Field(default=None, description="User to log in as (HTTP Basic)")
    password: SecretRef | Text | None = Field(default=None, repr=False, description="Password of that user")
    ca: Text | None = Field(default=None, description="File of the authorities to trust (PEM); left out: the system's")

    @field_validator("url")
    @classmethod
    def _is_url(cls, url: str) -> str:
        split = parts(url)
        if split.query or split.fragment:
            raise ValueError("nothing goes behind the path: the query stands in query")
        return url.rstrip("/")

    @field_validator("query")
    @classmethod
    def _is_something(cls, query: str) -> str:
        if not query.strip():
            raise ValueError("a query is due")
        return query

    @model_validator(mode="after")
    def _is_one_way_in(self) -> "PromqlOptions":
        one_way_in(self)
        return self


class _RefusedError(Exception):
    """The answer, in words, when it is none."""


@check("promql")
class Promql:
    """One query."""

    OPTIONS: ClassVar = PromqlOptions
    SHORT: ClassVar = None
    METRICS: ClassVar[Mapping[str, Unit]] = {"value": Unit.NUMBER}
    RUN_FROM: ClassVar = RunFrom.AGENT
    INSTANCES: ClassVar = True

    @staticmethod
    async def reach(target: Target, options: PromqlOptions, deadline: Deadline) -> Look:
        """One request; over by the deadline."""
        patience = deadline.remaining_seconds()
        limit = max(1, int(patience * 1000))
        asked = f"{options.url}/api/v1/query?query={quote(options.query, safe='')}&timeout={limit}ms"
        headers = {"Accept": "application/json", **authorization(target, options)}
        request = Request(method="GET", url=asked, headers=headers, ca=options.ca)
        try:
            async with asyncio.timeout(patience):
                answer = await fetch(request, redirects=_REDIRECTS, is_wanted=lambda _: False)
            return _read(*_data(answer), options.by)
        except (TransportError, _RefusedError) as error:
            return told(Verdict.UNKNOWN, str(error))
        except TimeoutError:
            return told(Verdict.UNKNOWN, f"no answer within {round(patience, 1):g} s")


def _data(answer: Answer) -> tuple[str, Any]:
    """The kind of a good answer's result, and the result."""
    status = f"{answer.status} {answer.reason}".strip()
    if answer.is_cut:
        raise _RefusedError("the answer is larger than 1 MiB: let the query sum up")
    try:
        found = from_json(answer.body)
    except ValueError:
        raise _RefusedError(f"the server says {status}, and no JSON: is this a Prometheus?") from None
    match found:
        case {"status": "success", "data": {"resultType": str(kind), "result": result}}:
            return kind, result
        case {"status": "error", "error": str(words)}:
            raise _RefusedError(f"refused: {one_line(words)}")
    raise _RefusedError(f"the server says {status}, and nothing that a Prometheus says")


def _read(kind: str, result: Any, by: str | None) -> Look:
    match kind, result:
        case "scalar", [_, str(value)] if by is None:
            return valued(_number(value))
        case "vector", [*series]:
            pairs = [_series(one) for one in series]
        case _:
            raise _RefusedError(f"the answer is a {one_line(kind, 20)}; a vector is due{'' if by else ', or a scalar'}")
    if by is not None:
        return several(((str(labels.get(by, "")), value) for labels, value in pairs), "series", "series")
    if len(pairs) != 1:
        none = "nothing matches" if not pairs else f"{len(pairs)} series, and one is due; by: LABEL makes instances"
        raise _RefusedError(none)
    return valued(pairs[0][1])


def _series(one: object) -> tuple[Mapping[str, Any], float | str]:
    match one:
        case {"metric": dict() as labels, "value": [_, str(value)]}:
            return labels, _number(value)
    raise _RefusedError("a series without a number: is it a histogram?")


def _number(text: str) -> float | str:
    """Numbers come as text, for the sake of NaN and +Inf; what is none stays text."""
    try:
        return float(text)
    except ValueError:
        return text
