"""dns against dnsmasq on loopback, and against name servers that lie, cut, stay silent or talk nonsense."""

import asyncio
import contextlib
import shutil
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import dns.message
import pytest

from agent.checks import Target
from agent.checks.dns import Dns, DnsOptions
from agent.clock import Deadline, SystemClock
from agent.model.look import Look, Verdict
from tests.fakes.dns_peer import Answers, cut, looped, lying, other_number, other_question, truth, volunteered
from tests.lab.wait import in_time, until

NOBODY = Target(host=None, address=None)
LONG = "x" * 200
CLOCK = SystemClock()


def look(port: int, name: str, seconds: float = 5.0, **options: Any) -> Look:
    """What the probe says of the server on that port: of its only instance."""
    valid = DnsOptions.model_validate({"name": name, "servers": "127.0.0.1", "port": port, **options})
    seen = asyncio.run(Dns.reach(NOBODY, valid, Deadline.after(CLOCK, seconds)))
    assert list(seen.instances) == ["127.0.0.1"]
    assert seen.verdict is seen.instances["127.0.0.1"].verdict
    return seen.instances["127.0.0.1"]


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    """The port of a dnsmasq that knows example.org and nothing else."""
    program = shutil.which("dnsmasq", path="/usr/sbin:/usr/bin")
    if program is None:
        pytest.skip("no dnsmasq on this machine")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    records = [
        "--host-record=shop.example.org,192.0.2.7,2001:db8::7", "--cname=www.example.org,shop.example.org",
        "--mx-host=example.org,mail.example.org,10", "--txt-record=example.org,v=spf1 -all",
        "--address=/two.example.org/192.0.2.1", "--address=/two.example.org/192.0.2.2",
        *(f"--txt-record=long.example.org,{number}{LONG}" for number in range(8)),
    ]  # fmt: skip
    argv = [
        program,
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--local=/example.org/",
    ]
    argv += [
        f"--port={port}",
        "--listen-address=127.0.0.1",
        "--bind-interfaces",
        "--pid-file=",
        "--user=root",
        *records,
    ]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as running:
        try:
            until(lambda: running.poll() is not None or is_open(port), 10, "dnsmasq answers")
            assert running.poll() is None, running.stderr and running.stderr.read()
            yield port
        finally:
            running.terminate()


def is_open(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@pytest.mark.parametrize(
    ("name", "options", "verdict", "answers", "words"),
    [
        ("shop.example.org", {}, "ok", 1, "shop.example.org. A: 192.0.2.7 in"),
        ("SHOP.example.org.", {"expect": "192.0.2.7"}, "ok", 1, "192.0.2.7"),
        ("shop.example.org", {"type": "AAAA", "expect": "2001:DB8:0::7"}, "ok", 1, "2001:db8::7"),
        ("www.example.org", {"expect": "192.0.2.7"}, "ok", 1, "192.0.2.7"),
        ("www.example.org", {"type": "CNAME", "expect": "shop.example.org"}, "ok", 1, "shop.example.org."),
        ("example.org", {"type": "MX", "expect": "10 mail.example.org"}, "ok", 1, "10 mail.example.org."),
        ("example.org", {"type": "txt", "expect": "v=spf1 -all"}, "ok", 1, "v=spf1 -all"),
        ("two.example.org", {"expect": ["192.0.2.2", "192.0.2.1"]}, "ok", 2, "192.0.2.1, 192.0.2.2"),
        ("two.example.org", {"expect": "192.0.2.1"}, "critical", 2, "192.0.2.1, 192.0.2.2, expected 192.0.2.1"),
        ("shop.example.org", {"expect": "192.0.2.8"}, "critical", 1, "192.0.2.7, expected 192.0.2.8"),
        ("shop.example.org", {"type": "MX"}, "critical", 0, "no such records"),
        ("absent.example.org", {}, "critical", 0, "no such name"),
        ("example.com", {}, "critical", 0, "the server says REFUSED"),
        ("long.example.org", {"type": "TXT"}, "ok", 8, "xxx"),
    ],
)
def test_an_answer_is_counted_and_compared(
    server: int, name: str, options: dict[str, Any], verdict: str, answers: int, words: str
) -> None:
    seen = look(server, name, **options)
    assert (seen.verdict, seen.metrics["answers"]) == (verdict, answers), seen
    assert words in seen.summary
    assert 0 < float(seen.metrics["time"]) < 5


def test_each_server_is_an_instance_and_the_worst_speaks(server: int) -> None:
    options = DnsOptions.model_validate(
        {"name": "shop.example.org", "servers": ["127.0.0.1", "127.9.9.9", "127.0.0.1"], "port": server}
    )
    seen = asyncio.run(Dns.reach(NOBODY, options, Deadline.after(CLOCK, 1)))
    assert {name: one.verdict for name, one in seen.instances.items()} == {
        "127.0.0.1": Verdict.OK, "127.9.9.9": Verdict.CRITICAL,
    }  # fmt: skip
    assert seen.verdict is Verdict.CRITICAL
    assert seen.summary.startswith("127.9.9.9: ")


@pytest.mark.parametrize(
    ("answers", "verdict", "words"),
    [
        (lambda question: [truth(question).to_wire()], "ok", "192.0.2.7"),
        (lambda question: [other_number(question), truth(question).to_wire()], "ok", "192.0.2.7"),
        (lambda question: [other_question(question), truth(question).to_wire()], "ok", "192.0.2.7"),
        (lambda question: [b"\xff" * 40, b"", truth(question).to_wire()], "ok", "192.0.2.7"),
        (lambda question: [other_number(question)], "critical", "no answer within"),
        (lambda question: [question.to_wire()], "critical", "no answer within"),
        (lambda _: [], "critical", "no answer within"),
        (lambda question: [volunteered(question)], "critical", "no such records"),
        (lambda question: [looped(question)], "critical", "no such records"),
        (lambda question: [cut(question)], "critical", "nothing answers on that port"),
        (lambda question: [truth(question).to_wire()[:-3]], "critical", "no answer within"),
    ],
)
def test_lies_are_overlooked_and_nonsense_is_critical_in_time(answers: Answers, verdict: str, words: str) -> None:
    with lying(answers) as port, in_time(0.4):
        seen = look(port, "shop.example.org", seconds=0.4)
    assert seen.verdict == verdict, seen
    assert words in seen.summary, seen


def test_an_answer_from_somebody_else_is_none() -> None:
    with lying(lambda question: [truth(question).to_wire()], from_elsewhere=True) as port:
        assert look(port, "shop.example.org", seconds=0.3).summary == "no answer within 0.3 s"


def test_a_question_that_was_lost_is_asked_again() -> None:
    heard: list[dns.message.Message] = []

    def second(question: dns.message.Message) -> list[bytes]:
        heard.append(question)
        return [truth(question).to_wire()] if len(heard) > 1 else []

    with lying(second) as port:
        assert look(port, "shop.example.org", seconds=1).verdict is Verdict.OK


def test_where_nobody_listens_nothing_answers() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    seen = look(port, "shop.example.org", seconds=1)
    assert seen.verdict is Verdict.CRITICAL
    assert seen.summary in {"nothing answers on that port", "no answer within 1 s"}
