"""domain against an RDAP server on loopback: the list of servers, the answer, and answers that are none."""

import asyncio
import datetime as dt
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from agent.checks import Target
from agent.checks.domain import Domain, DomainOptions
from agent.clock import Deadline, SystemClock
from agent.model.look import Look, Verdict
from tests.lab.certificates import Authority

NOBODY = Target(host=None, address=None)
CLOCK = SystemClock()


def domain(days: float, *status: str) -> dict[str, Any]:
    """What a registry says of a domain that expires in so many days."""
    end = dt.datetime.fromtimestamp(CLOCK.now() / 1e6 + days * 86400, dt.UTC).isoformat().replace("+00:00", "Z")
    events = [{"eventAction": "registration", "eventDate": "1995-08-14T04:00:00Z"}]
    events.append({"eventAction": "expiration", "eventDate": end})
    return {"objectClassName": "domain", "ldhName": "EXAMPLE.ORG", "status": list(status), "events": events}


class Registry(http.server.ThreadingHTTPServer):
    """Answers each path with what it was given for it: a status and a document, or bytes."""

    def __init__(self, authority: Authority) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(authority.issue("127.0.0.1"))
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server_address[1]}"
        self.ca = str(authority.file)
        self.pages: dict[str, tuple[int, Any]] = {}
        self.asked: list[str] = []

    def look(self, name: str = "example.org", **options: Any) -> Look:
        """What the probe says of this name, by the list of servers that this one has."""
        given = {"name": name, "servers": f"{self.url}/dns.json", "ca": self.ca, **options}
        valid = DomainOptions.model_validate(given)
        return asyncio.run(Domain.reach(NOBODY, valid, Deadline.after(CLOCK, 5)))


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    server: Registry

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        status, page = self.server.pages.get(self.path, (404, {}))
        body = page if isinstance(page, bytes) else json.dumps(page).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry(Authority(tmp_path)) as server:
        server.pages["/dns.json"] = (200, {"services": [
            [["net"], ["http://127.0.0.1:9/"]], [["org", "co.uk"], ["http://127.0.0.1:9/", f"{server.url}/rdap/"]],
            "nonsense", [["org"]], [[7], [8]], [["com"], ["not a url"]],
        ]})  # fmt: skip
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)


@pytest.mark.parametrize(
    ("said", "verdict", "days", "words"),
    [
        (domain(300.2, "active"), "ok", 300.2, "example.org: expires in 300 days"),
        (domain(-5, "auto renew period"), "critical", -5, "expired 5 days ago"),
        (domain(40, "active", "Client Hold"), "critical", 40, "expires in 40 days; client hold"),
        (domain(20, "redemption period", "pending delete"), "critical", 20, "pending delete, redemption period"),
    ],
)
def test_a_domain_is_registered_for_as_long_as_its_registry_says(
    registry: Registry, said: dict[str, Any], verdict: str, days: float, words: str
) -> None:
    registry.pages["/rdap/domain/example.org"] = (200, said)
    look = registry.look("Example.ORG.")
    assert look.verdict == verdict, look
    assert words in look.summary
    assert look.metrics["expires_in"] == pytest.approx(days * 86400, abs=7200)  # the table is made when the run begins
    assert registry.asked == ["/dns.json", "/rdap/domain/example.org"]


def test_a_server_that_is_given_is_asked_without_the_list(registry: Registry) -> None:
    registry.pages["/own/domain/example.com"] = (200, domain(9))
    assert registry.look("example.com", rdap=f"{registry.url}/own").verdict is Verdict.OK
    assert registry.asked == ["/own/domain/example.com"]


@pytest.mark.parametrize(
    ("page", "verdict", "words"),
    [
        ((404, {}), "critical", "is not registered"),
        ((429, {}), "unknown", "asked too often"),
        ((500, b"oh"), "unknown", "the server says 500"),
        ((200, b"<html>"), "unknown", "and no domain"),
        ((200, b"[" * 90_000), "unknown", "and no domain"),
        ((200, {"objectClassName": "entity"}), "unknown", "and no domain"),
        ((200, {"events": "soon", "status": 7}), "unknown", "its registry tells no date"),
        ((200, {"events": [7, {"eventAction": "expiration", "eventDate": "soon"}]}), "unknown", "tells no date"),
        ((200, {"events": [], "status": ["pending delete"]}), "critical", "pending delete"),
    ],
)
def test_what_is_no_answer_is_told(registry: Registry, page: tuple[int, Any], verdict: str, words: str) -> None:
    registry.pages["/rdap/domain/example.org"] = page
    look = registry.look()
    assert (look.verdict, look.metrics) == (verdict, {})
    assert words in look.summary, look.summary


@pytest.mark.parametrize("page", [(200, b"<html>"), (500, {"services": []}), (200, {"services": 7})])
def test_a_list_that_is_none_leaves_nobody_to_ask(registry: Registry, page: tuple[int, Any]) -> None:
    registry.pages["/dns.json"] = page
    look = registry.look()
    assert (look.verdict, look.summary) == (
        Verdict.UNKNOWN,
        "example.org: nobody to ask: the list of servers is not one",
    )


@pytest.mark.parametrize("name", ["example.museum", "example.com"])
def test_a_registry_without_a_server_is_told(registry: Registry, name: str) -> None:
    assert registry.look(name).summary == f"{name}: its registry offers no RDAP"


def test_a_server_that_is_gone_or_not_trusted_says_nothing_of_the_domain(registry: Registry) -> None:
    assert registry.look(rdap="http://127.0.0.1:9").verdict is Verdict.UNKNOWN
    assert "certificate not trusted" in registry.look(ca=None).summary


@pytest.mark.parametrize(
    "options", [{"name": "org"}, {"name": "exa mple.org"}, {"name": "a.org", "rdap": "ftp://a"}, {"name": "a/b.org"}]
)
def test_a_domain_that_makes_no_sense_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        DomainOptions.model_validate(options)
