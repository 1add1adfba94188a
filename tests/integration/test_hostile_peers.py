"""Whatever a peer does: the right state in time, little memory, nothing left open, and the others are served."""

import gzip
import itertools
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.transports.snmp import ber
from tests.fakes.dns_peer import (
    Answers,
    Lie,
    circling,
    cut,
    looped,
    lying,
    other_number,
    other_question,
    pointing_at_itself,
    truth,
    volunteered,
)
from tests.fakes.snmp_lies import answering_as, endless, reporting
from tests.fakes.snmp_peer import Mangle, counter, number, words
from tests.fakes.web_peer import PAGE, deaf, length, many_values, moved
from tests.lab.bounds import MOST_MEMORY, bounded
from tests.lab.peer import Raw
from tests.lab.sshd import Sshd
from tests.lab.stage import HERE, PASSWORD, PROMPT, Stage, printing, public, saying
from tests.lab.wait import LATE_SECONDS

Row = Callable[[Stage], None]
NEIGHBOUR_SECONDS = 5.0  # for one who is well, on such a machine
STALL_SECONDS = 2.0  # for which nobody else may have to wait, on such a machine
NEVER, GIGABYTE = "never-said", 1_000_000_000
NAME, UPTIME, TABLE = "1.3.6.1.2.1.1.5.0", "1.3.6.1.2.1.1.3.0", "1.3.6.1.2.1.2.2.1.2"
IF, IFX = "1.3.6.1.2.1.2.2.1", "1.3.6.1.2.1.31.1.1.1"
FLOOD = b"y\n" * 8192
RUBBISH = bytes(range(256)) * 16
PAINTED = b"\x1b[2J\x1b]0;owned\x07\x1b[31mred\x00\x08\x7f\xc2\x9b1m\xe2\x80\xaetxt.exe\r\n"


def http(stage: Stage, behave: Raw, path: str = "/") -> str:
    return f"http://127.0.0.1:{stage.tcp(behave)}{path}"


def sql(stage: Stage, behave: Raw) -> dict[str, Any]:
    return {"url": f"postgresql://me@127.0.0.1:{stage.tcp(behave)}/x", "password": "x", "query": "SELECT 1"}


def dns(stage: Stage, verdict: str, words: str, answers: Answers, **told: Any) -> None:
    port = stage.enter_context(lying(answers, **told))
    stage.expect(verdict, words, "dns", name="shop.example.org", servers="127.0.0.1", port=str(port))


def endless_output(stage: Stage) -> None:
    mute, there = saying(FLOOD, again=True, hears=False), stage.real("endless")
    stage.expect("critical", "y", "command", there, command="yes")
    stage.expect("unknown", "y", "nagios", there, command="yes")
    stage.expect("critical", "y", "command", command="yes")
    stage.expect("critical", "broke off the SSH login", "command", stage.bare(mute), command="true")
    stage.expect("critical", "sent more than", "command", stage.shell(printing(FLOOD, again=True)), command="true")
    stage.expect(
        "unknown", "printed more than 1,000,000 bytes", "cli", stage.switch(FLOOD, again=True), command="show a"
    )
    stage.expect("critical", "the answer lacks", "tcp", port=stage.tcp(mute), expect=NEVER)
    stage.expect("critical", "TLS failed", "tls", port=stage.tcp(mute))
    greeting = saying(b"220-y\n", again=True, hears=False)
    stage.expect("critical", "a reply without end", "tls", port=stage.tcp(greeting), starttls="smtp")
    stage.expect(
        "critical", "the body lacks", "http", url=http(stage, saying(PAGE + FLOOD, again=True)), expect={"body": NEVER}
    )
    notices = saying(b"N\0\0\0\x0cSx\0y\0z\0\0" * 1000, again=True)
    stage.expect("unknown", "says more than 2 MB", "sql", timeout=5.0, **sql(stage, notices))
    access = public(stage.device({}, endless(1100, TABLE)))
    stage.expect(
        "critical", "sent more than 4,000,000 bytes|did not end in time", "snmp", table={"name": TABLE}, access=access
    )


def a_byte_at_a_time(stage: Stage) -> None:
    drip: dict[str, Any] = {"pause": 0.1, "again": True}
    there = stage.real("dripping")
    script = "while :; do printf .; sleep 0.1; done"
    mute = saying(b".", hears=False, **drip)
    stage.expect("critical", "did not end in time", "command", there, command=script)
    stage.expect("unknown", "did not end in time", "nagios", there, command=script)
    stage.expect("critical", "did not end in time", "command", command=script)
    stage.expect("critical", "did not finish the SSH login in time", "command", stage.bare(mute), command="true")
    stage.expect("critical", "did not finish in time", "command", stage.shell(printing(b".", **drip)), command="true")
    stage.expect("unknown", "did not come to an end", "cli", stage.switch(b".", **drip), command="show a")
    stage.expect("critical", "no answer within 1 s", "tcp", port=stage.tcp(mute), expect=NEVER)
    stage.expect("critical", "TLS failed", "tls", port=stage.tcp(mute))
    stage.expect("critical", "no handshake within 1 s", "tls", port=stage.tcp(mute), starttls="smtp")
    stage.expect(
        "critical", "no answer within 1 s", "http", url=http(stage, saying(*map(bytes, zip(PAGE)), b".", **drip))
    )
    stage.expect("unknown", "no answer within 1 s", "promql", url=http(stage, saying(b".", **drip)), query="up")
    stage.expect("critical", "no answer within 1 s", "sql", **sql(stage, saying(b"S", b"\0", b"x", **drip)))
    port = stage.tcp(saying(b"\1", **drip))
    dns(stage, "critical", "no answer within 1 s", lambda question: [cut(question)], port=port)


def banner_and_silence(stage: Stage) -> None:
    said = saying(b"SSH-2.0-odd\r\n", hears=False)
    stage.expect("critical", "did not finish the SSH login in time", "command", stage.bare(said), command="true")
    stage.expect("critical", "did not finish in time", "command", stage.shell(printing(b"Welcome\r\n")), command="true")
    stage.expect("unknown", "did not come to an end", "cli", stage.switch(b"..."), command="show a")
    banner = stage.switch(b"Welcome\r\n", prompts=False)
    stage.expect("critical", "did not answer in time", "cli", banner, command="show a")
    stage.expect("critical", "no answer within 1 s", "tcp", port=stage.tcp(said), expect=NEVER)
    greeting = saying(b"220 mail.example.org ready\r\n", hears=False)
    stage.expect("critical", "no handshake within 1 s", "tls", port=stage.tcp(greeting), starttls="smtp")
    stage.expect("critical", "no handshake within 1 s", "tls", port=stage.tcp(saying()))
    stage.expect("critical", "no answer within 1 s", "http", url=http(stage, saying(PAGE[:-2])))
    stage.expect("unknown", "no answer within 1 s", "promql", url=http(stage, saying(PAGE)), query="up")
    stage.expect("critical", "no answer within 1 s", "sql", **sql(stage, saying(b"S")))
    dns(stage, "critical", "no answer within 1 s", lambda _: [])


def half_open(stage: Stage) -> None:
    """The kernel there shakes hands, and nobody ever takes the connection."""
    listening = stage.enter_context(socket.create_server(("127.0.0.1", 0)))
    port = listening.getsockname()[1]
    stage.expect("ok", "answers in", "tcp", port=port)
    stage.expect("critical", "no answer within 1 s", "tcp", port=port, expect=NEVER)
    stage.expect("critical", "no handshake within 1 s", "tls", port=port)
    stage.expect("critical", "no answer within 1 s", "http", url=f"http://127.0.0.1:{port}/")
    stage.expect("unknown", "no answer within 1 s", "promql", url=f"http://127.0.0.1:{port}", query="up")
    url = f"postgresql://me@127.0.0.1:{port}/x"
    stage.expect("critical", "no answer within 1 s", "sql", url=url, password="x", query="SELECT 1")
    stage.expect("critical", "did not finish the SSH login in time", "command", stage.at(port), command="true")


def a_gigabyte(stage: Stage) -> None:
    there = stage.real("large")
    script = f"head -c {GIGABYTE} /dev/zero"
    page = PAGE[:-2] + b"Content-Length: %d\r\n\r\n" % GIGABYTE
    huge = saying(page, *[bytes(65_536)] * (GIGABYTE // 65_536))
    stage.expect("critical", "", "command", there, command=script)
    stage.expect("critical", "", "command", command=script)
    stage.expect("unknown", "", "nagios", command=script)
    stage.expect("ok", "more than 1.0 MB", "http", url=http(stage, huge))
    stage.expect("critical", "the body lacks", "http", url=http(stage, huge), expect={"body": NEVER})
    stage.expect("critical", "not JSON", "http", url=http(stage, huge), expect={"json": {"a": 1}})
    stage.expect("unknown", "larger than 1 MiB", "promql", url=http(stage, huge), query="up")
    row = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I" + b"D" + struct.pack(">I", GIGABYTE)
    stage.expect("unknown", "says more than 2 MB", "sql", **sql(stage, saying(row, *[bytes(65_536)] * 100)))
    packet = b"SSH-2.0-odd\r\n" + struct.pack(">IB", 0x7FFFFFF4, 4)
    liar = saying(packet, *[bytes(65_536)] * 100, hears=False)
    stage.expect("critical", "more than an SSH login takes", "command", stage.bare(liar), command="true")
    rows = many_values()
    stage.expect("critical", "", "http", url=http(stage, saying(length(rows))), expect={"json": {"a": 1}})
    stage.expect("unknown", "", "promql", url=http(stage, saying(length(rows))), query="up")


def binary_garbage(stage: Stage) -> None:
    there, mute = stage.real("garbage"), saying(RUBBISH, hears=False)
    stage.expect("ok", "", "command", there, command="head -c 20000 /dev/urandom")
    stage.expect("ok", "", "nagios", there, command="head -c 20000 /dev/urandom")
    stage.expect("ok", "", "command", command="head -c 20000 /dev/urandom")
    stage.expect("critical", "SSH login", "command", stage.bare(mute), command="true")
    stage.expect("critical", "", "command", stage.shell(printing(RUBBISH)), command="true")
    stage.expect("unknown", "", "cli", stage.switch(RUBBISH), command="show a")
    stage.expect("critical", "the answer lacks|no answer", "tcp", port=stage.tcp(mute), expect=NEVER)
    stage.expect("critical", "TLS failed", "tls", port=stage.tcp(mute))
    stage.expect("critical", "HTTP", "http", url=http(stage, saying(RUBBISH)))
    stage.expect("unknown", "", "promql", url=http(stage, saying(PAGE, RUBBISH)), query="up")
    stage.expect("critical", "", "sql", **sql(stage, saying(RUBBISH)))
    dns(stage, "critical", "no answer within 1 s", lambda _: [RUBBISH[:512]])
    access = public(stage.device({}, lambda _request, _answer: [RUBBISH[:512]]))
    stage.expect("critical", "", "snmp", oid=NAME, access=access)


def control_characters(stage: Stage) -> None:
    there, shown = stage.real("painted"), r"printf '\033[2J\033]0;x\007\033[31mred\r\n\000|\033[1ma\302\233=1;;;\n'"
    stage.expect("ok", "^red$", "command", there, command=shown)
    stage.expect("ok", "^red$", "nagios", there, command=shown)
    stage.expect("ok", "^red$", "nagios", command=shown)
    stage.expect("critical", "red", "command", stage.shell(printing(PAINTED * 9000)), command="true")
    stage.expect("ok", "", "cli", stage.switch(PAINTED + PROMPT), command="show a")
    stage.expect("critical", "red", "tcp", port=stage.tcp(saying(PAINTED * 3000, hears=False)), expect=NEVER)
    head = b"HTTP/1.1 503 \x1b[31mred\x9b\r\nX-Y: \x1b[2Jz\r\nContent-Length: 0\r\n\r\n"
    stage.expect("critical", "red|HTTP", "http", url=http(stage, saying(head)), expect={"header": {"x-y": "q"}})
    stage.expect("critical", "red", "tls", port=stage.tcp(saying(PAINTED, hears=False)), starttls="smtp")
    answer = b'{"status":"error","error":"\\u001b[31mred\\u202e"}'
    stage.expect("unknown", "red", "promql", url=http(stage, saying(length(answer))), query="up")
    access = public(stage.device({NAME: words(PAINTED.decode())}))
    stage.expect("ok", "", "snmp", oid=NAME, access=access)
    fault = b"SFATAL\0C28000\0M" + PAINTED.replace(b"\0", b"") + b"\0\0"
    stage.expect(
        "unknown|critical", "red", "sql", **sql(stage, saying(b"E" + struct.pack(">I", len(fault) + 4) + fault))
    )


def changed_host_key(stage: Stage) -> None:
    impostor = stage.shell(printing(b"welcome"))
    stage.mistrust(impostor)
    stage.expect("critical", "has changed", "command", impostor, command="true")


def wrong_engine(stage: Stage) -> None:
    engines = (b"\x80engine%d" % number for number in itertools.count())
    for mangle, why in (
        (answering_as(b"\x80wrong"), "another engine"),
        (answering_as(b"\x80right"), "not signed"),
        (reporting(engines), "engine keeps changing"),
    ):
        peer = stage.device({}, mangle)
        access = {"host": peer.address, "port": str(peer.port), "user": "u", "password": PASSWORD}
        stage.expect("critical", why, "snmp", oid=NAME, access=access)


def truncated_ber(stage: Stage) -> None:
    for size in (1, 2, 3, 10, 30):
        device = stage.device({NAME: words("x")}, shortened(size))
        stage.expect("critical", "cut short|no proper SNMP", "snmp", oid=NAME, access=public(device))
    for lie in (b"\x30\x84\xff\xff\xff\xff" + bytes(40), b"\x30\x80" * 5000, b"\x30\x82\x7f\xff" * 3000):
        device = stage.device({NAME: words("x")}, saying_instead(lie))
        stage.expect("critical", "no proper SNMP", "snmp", oid=NAME, access=public(device))


def counters_set_back(stage: Stage) -> None:
    octets = f"{IFX}.6.1"
    values = {UPTIME: counter(8_640_000, ber.TIME_TICKS), octets: counter(10**12), f"{IFX}.1.1": words("eth0")}
    values |= {f"{IFX}.10.1": counter(10**12), f"{IF}.8.1": number(1), f"{IF}.7.1": number(1)}
    peers = [stage.device(values), stage.device(values)]
    for peer in peers:
        stage.expect("ok", "", "interfaces", access=public(peer))
        stage.expect("ok", "", "snmp", oids={"octets": octets}, access=public(peer))

    def reset() -> None:
        peers[0].values[octets] = counter(5)
        peers[1].values.update({octets: counter(5), UPTIME: counter(200, ber.TIME_TICKS)})

    stage.between.append(reset)


def a_table_that_grows(stage: Stage) -> None:
    for size, seconds, why in (
        (2, 1.0, "did not end in time"),
        (1100, 5.0, "sent more than 4,000,000 bytes|did not end in time"),
    ):
        access = public(stage.device({}, endless(size, TABLE)))
        stage.expect("critical", why, "snmp", timeout=seconds, table={"name": TABLE}, access=access)
    columns = [f"{IF}.{column}" for column in (7, 8, 13, 14, 19, 20)] + [
        f"{IFX}.{column}" for column in (1, 6, 10, 15, 18, 19)
    ]
    device = stage.device({UPTIME: counter(8_640_000, ber.TIME_TICKS)}, endless(4, *columns))
    stage.expect("critical", "has no end|did not end in time", "interfaces", timeout=5.0, access=public(device))


def redirects(stage: Stage) -> None:
    for location in ("/again", "//127.0.0.1:PORT/again", "http://127.0.0.1:PORT/" + "x" * 2000):
        loop = http(stage, moved(location))
        stage.expect("critical", "more than 5 redirects", "http", url=loop)
        stage.expect("unknown", "more than 3 redirects", "promql", url=loop, query="up")
    for location in ("file:///etc/passwd", "gopher://x/", "http://[::1", "\x1b[31m"):
        stage.expect("critical", "redirect", "http", url=http(stage, moved(location)))


def slow_loris(stage: Stage) -> None:
    drip = [bytes([letter]) for letter in b"HTTP/1.1 200 OK\r\nX-A: b\r\n"]
    headers = saying(*drip, pause=0.05, again=True)
    hints = saying(b"HTTP/1.1 103 Early Hints\r\n\r\n", pause=0.01, again=True)
    body = saying(PAGE[:-2] + b"Content-Length: 500\r\n\r\n", *[b"x"] * 500, pause=0.05)
    chunks = saying(PAGE[:-2] + b"Transfer-Encoding: chunked\r\n\r\n", *[b"1\r\nx\r\n"] * 500, pause=0.05)
    for behave in (headers, hints, body, chunks):
        stage.expect("critical", "no answer within 1 s", "http", url=http(stage, behave))
    stage.expect("unknown", "no answer within 1 s", "promql", url=http(stage, headers), query="up")
    stage.expect("critical", "no answer within 1 s", "http", url=http(stage, deaf), method="POST", body="x" * 4_000_000)


def compressed_bomb(stage: Stage) -> None:
    bomb = gzip.compress(bytes(50_000_000), 9)
    packed = PAGE[:-2] + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb
    stage.expect("ok", "", "http", url=http(stage, saying(packed)))
    stage.expect("critical", "the body lacks", "http", url=http(stage, saying(packed)), expect={"body": NEVER})
    stage.expect("critical", "not JSON", "http", url=http(stage, saying(packed)), expect={"json": {"a": 1}})
    stage.expect("unknown", "no JSON", "promql", url=http(stage, saying(packed)), query="up")


def dns_lies(stage: Stage) -> None:
    for lie in (other_number, other_question, pointing_at_itself):
        dns(stage, "critical", "no answer within 1 s", alone(lie))
        dns(stage, "ok", "192.0.2.7", before_the_truth(lie))
    for lie in (volunteered, looped, circling):
        dns(stage, "critical", "no such records", alone(lie))
    dns(stage, "critical", "no answer within 1 s", lambda question: [truth(question).to_wire()], from_elsewhere=True)
    dns(stage, "critical", "no answer within 1 s", lambda question: [truth(question).to_wire()[:-3]])
    for behave in (saying(b"\xff\xff" + bytes(65_535)), saying(b"\0\1\0"), saying(b"\0\x0c" + bytes(12))):
        dns(stage, "critical", "", lambda question: [cut(question)], port=stage.tcp(behave))


def regex_bomb(stage: Stage) -> None:
    victim, bombs = b"a" * 60_000, (r"^(a+)+b$", r"^(a|aa)+b$", r"^(.*a){24}b$", r"(\w*)*\d$")
    for bomb in bombs:
        stage.expect(
            "critical", "the body lacks", "http", url=http(stage, saying(length(victim))), expect={"body": bomb}
        )
        stage.expect("critical", "", "tcp", port=stage.tcp(saying(victim, hears=False)), expect=bomb)
        switch = stage.switch(victim + PROMPT)
        stage.expect("critical", "nothing matches", "cli", switch, command="show a", find=f"({bomb})")
    slow, large = r"(x?){100}(a{1,20}){1,20}b", length(b"a" * 150_000)  # as slow as RE2 gets: in a thread of its own
    why = "the body lacks|could not be searched in time"
    stage.expect("critical|unknown", why, "http", url=http(stage, saying(large)), expect={"body": slow})


def wrong_units(stage: Stage) -> None:
    there = stage.real("units")
    for host in (there, HERE):
        said = "echo 'OK | a=5parsecs b=1,5s c=7;nonsense d=%;; e=5s%'"
        stage.expect("ok", "^OK$", "nagios", host, command=said)


def killed_by_a_signal(stage: Stage) -> None:
    there = stage.real("killed")
    for host in (there, HERE):
        for signal, name in ((9, 9), (11, 11), (15, 15)):
            stage.expect(
                "unknown", f"killed by signal {name}", "nagios", host, command=f"echo 'OK | a=1'; kill -{signal} $$"
            )
        stage.expect("critical", "exit 137", "command", host, command="kill -9 $$")
        stage.expect("unknown", "exit code 255", "nagios", host, command="echo OK; exit 255")
        stage.expect("unknown", "killed|did not end", "nagios", host, command="kill -STOP $$")


def shortened(size: int) -> Mangle:
    return lambda _request, answer: [answer[:-size]]


def saying_instead(lie: bytes) -> Mangle:
    return lambda _request, _answer: [lie]


def alone(lie: Lie) -> Answers:
    return lambda question: [lie(question)]


def before_the_truth(lie: Lie) -> Answers:
    return lambda question: [lie(question), truth(question).to_wire()]


ROWS: dict[str, Row] = {
    "endless output": endless_output,
    "one byte per second": a_byte_at_a_time,
    "banner and then silence": banner_and_silence,
    "half-open TCP": half_open,
    "1 GB reply": a_gigabyte,
    "binary garbage": binary_garbage,
    "ANSI and control characters": control_characters,
    "changed host key": changed_host_key,
    "SNMP wrong engine": wrong_engine,
    "truncated BER": truncated_ber,
    "counter reset": counters_set_back,
    "ifTable that grows while walked": a_table_that_grows,
    "redirect loop": redirects,
    "slow-loris HTTP": slow_loris,
    "compressed bomb": compressed_bomb,
    "DNS lies": dns_lies,
    "regex bomb in a policy": regex_bomb,
    "wrong unit from a plugin": wrong_units,
    "plugin killed by a signal": killed_by_a_signal,
}


@pytest.fixture
def stage(tmp_path: Path, sshd: Sshd) -> Iterator[Stage]:
    with Stage(tmp_path, sshd) as stage:
        yield stage


@pytest.fixture(scope="module", autouse=True)
def warm(tmp_path_factory: pytest.TempPathFactory, sshd: Sshd) -> None:
    """What is imported or built once is no cost of a peer."""
    with Stage(tmp_path_factory.mktemp("warm"), sshd) as stage:
        for row in (banner_and_silence, wrong_units, truncated_ber):
            row(stage)
        stage.look()


@pytest.mark.parametrize("row", list(ROWS))
def test_a_hostile_peer_costs_its_own_time_alone(row: str, stage: Stage) -> None:
    ROWS[row](stage)
    stage.neighbours()
    most = MOST_MEMORY * max(8, len(stage.cases)) // 8  # what one may take is enough for eight of them at once
    with bounded(stage.seconds + LATE_SECONDS, memory=most):
        found = stage.look()
    for case in (*stage.cases, *stage.healthy):
        found.judged(case)
    assert max(float(found.of(case).metrics["time"]) for case in stage.healthy) < NEIGHBOUR_SECONDS
    assert found.stalled_seconds < STALL_SECONDS
