"""check: domain — for how long is a domain name still registered?

The event `expiration` of what the registry says of it over RDAP (RFC 9082, 9083); which server knows is found in IANA's
list (RFC 9224), read anew on each look, so an interval of hours is enough. Critical once it has expired, when there is
no such domain, and when its status says that it does not work or is about to go (RFC 8056: client hold, server hold,
redemption period, pending delete). Unknown when nobody tells a date, or the server has no time for us.
"""

import asyncio
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field, field_validator

from agent.checks import Target, check
from agent.checks.exchange import Answer, Request, fetch, parts
from agent.checks.reading import from_json, one_line, told
from agent.clock import MICROSECONDS, Deadline
from agent.closed import ClosedModel, Text, is_hostname
from agent.errors import TransportError
from agent.model.check import RunFrom
from agent.model.look import Look, Unit, Verdict

_IANA = "https://data.iana.org/rdap/dns.json"
_REDIRECTS = 3
_DOOMED = frozenset({"client hold", "server hold", "redemption period", "pending delete"})


class DomainOptions(ClosedModel):
    """Which domain, and whom to ask."""

    name: Text = Field(description="The domain, as it was registered: example.org, not www.example.org")
    rdap: Text | None = Field(default=None, description="RDAP server to ask: https://…; left out: the one of the list")
    servers: Text = Field(default=_IANA, description="List of servers by domain, as IANA publishes it")
    ca: Text | None = Field(default=None, description="File of the authorities to trust (PEM); left out: the system's")

    @field_validator("name")
    @classmethod
    def _is_domain(cls, name: str) -> str:
        try:
            plain = name.rstrip(".").encode("ascii" if name.isascii() else "idna").decode().lower()
        except UnicodeError as error:
            raise ValueError(f"{name!r} is not the name of a domain") from error
        if not is_hostname(plain) or "." not in plain:
            raise ValueError(f"{name!r} is not the name of a domain: write it like example.org")
        return plain

    @field_validator("rdap", "servers")
    @classmethod
    def _is_url(cls, url: str | None) -> str | None:
        if url is not None:
            parts(url)
        return url


@check("domain")
class Domain:
    """One registered name."""

    OPTIONS: ClassVar = DomainOptions
    SHORT: ClassVar = "name"
    METRICS: ClassVar[Mapping[str, Unit]] = {"expires_in": Unit.SECONDS}
    RUN_FROM: ClassVar = RunFrom.AGENT
    INSTANCES: ClassVar = False

    @staticmethod
    async def reach(_target: Target, options: DomainOptions, deadline: Deadline) -> Look:
        """One request, or two; over by the deadline."""
        patience = deadline.remaining_seconds()
        try:
            async with asyncio.timeout(patience):
                base = options.rdap or await _server(options)
                if base is None:
                    return told(Verdict.UNKNOWN, f"{options.name}: its registry offers no RDAP")
                answer = await _asked(f"{base.rstrip('/')}/domain/{options.name}", options.ca)
        except TransportError as error:
            return told(Verdict.UNKNOWN, f"{options.name}: nobody to ask: {error}")
        except TimeoutError:
            return told(Verdict.UNKNOWN, f"{options.name}: no answer within {round(patience, 1):g} s")
        return _judged(options.name, answer, deadline.clock.now() / MICROSECONDS)


async def _asked(url: str, authorities: str | None) -> Answer:
    headers = {"Accept": "application/rdap+json, application/json"}
    request = Request(method="GET", url=url, headers=headers, ca=authorities)
    return await fetch(request, redirects=_REDIRECTS, is_wanted=lambda _: False)


async def _server(options: DomainOptions) -> str | None:
    """The server of the longest ending that the list knows (RFC 9224, 4), by https if it may be."""
    answer = await _asked(options.servers, options.ca)
    services = _object(answer).get("services")
    if answer.status != 200 or not isinstance(services, list):
        raise TransportError("the list of servers is not one")
    labels = options.name.split(".")
    endings = [".".join(labels[start:]) for start in range(len(labels))]
    known = {ending: urls for service in services for ending, urls in _service(service)}
    return next((_best(known[ending]) for ending in endings if ending in known), None)


def _service(service: object) -> list[tuple[str, list[str]]]:
    match service:
        case [[*endings], [*urls]]:
            valid = [url for url in urls if isinstance(url, str) and _is_url(url)]
            return [(ending.lower(), valid) for ending in endings if isinstance(ending, str) and valid]
    return []


def _is_url(text: str) -> bool:
    try:
        parts(text)
    except ValueError:
        return False
    return True


def _best(urls: Sequence[str]) -> str:
    return next((url for url in urls if url.startswith("https:")), urls[0])


def _object(answer: Answer) -> Mapping[str, Any]:
    try:
        found = from_json(answer.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _judged(name: str, answer: Answer, now: float) -> Look:
    if answer.status == 404:
        return told(Verdict.CRITICAL, f"{name}: is not registered")
    if answer.status == 429:
        return told(Verdict.UNKNOWN, f"{name}: the server was asked too often; look less often")
    found = _object(answer)
    if answer.status != 200 or found.get("objectClassName", "domain") != "domain" or not found:
        return told(Verdict.UNKNOWN, f"{name}: the server says {answer.status} {answer.reason}, and no domain")
    said = found.get("status")
    statuses = {one_line(each).lower() for each in said if isinstance(each, str)} if isinstance(said, list) else set()
    doomed = ", ".join(sorted(statuses & _DOOMED))
    expiry = _expiry(found.get("events"))
    if expiry is None:
        return told(
            Verdict.CRITICAL if doomed else Verdict.UNKNOWN, f"{name}: {doomed or 'its registry tells no date'}"
        )
    left = expiry - now
    words = f"expires in {left / 86400:.0f} days" if left >= 0 else f"expired {-left / 86400:.0f} days ago"
    verdict = Verdict.CRITICAL if doomed or left < 0 else Verdict.OK
    return told(verdict, f"{name}: {words}{doomed and f'; {doomed}'}", metrics={"expires_in": left})


def _expiry(events: object) -> float | None:
    """Seconds since the epoch of the registration's end (RFC 9083, 4.5: dates as in RFC 3339)."""
    for event in events if isinstance(events, list) else []:
        match event:
            case {"eventAction": "expiration", "eventDate": str(text)}:
                try:
                    date = dt.datetime.fromisoformat(text)
                    return (date if date.tzinfo else date.replace(tzinfo=dt.UTC)).timestamp()
                except (ValueError, OverflowError):
                    continue
    return None
