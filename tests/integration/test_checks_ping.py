"""ping where it really goes: the kernel of this machine answers, or nobody does; with and without the right to ask."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.checks import Target
from agent.checks.ping import Ping, PingOptions
from agent.clock import Deadline, SystemClock
from agent.errors import InputError
from agent.model.look import Look, Verdict
from tests.lab.wait import in_time

CLOCK = SystemClock()
SILENT = "240.0.0.1"  # reserved (RFC 1112), so that nobody answers; the kernel sends it all the same
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="not root: no raw sockets, no namespaces")


async def ping(address: str | None, seconds: float = 5.0, **options: Any) -> Look:
    """What the probe says of this address; its echoes follow each other quickly."""
    valid = PingOptions.model_validate({"interval": "10ms", **options})
    return await Ping.reach(Target(host="there", address=address), valid, Deadline.after(CLOCK, seconds))


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@needs_root
@pytest.mark.parametrize("address", ["127.0.0.1", "127.200.3.4", "::1", "localhost"])
def test_a_host_that_answers_is_measured(address: str) -> None:
    look = asyncio.run(ping(address, count="3"))
    assert look.verdict is Verdict.OK, look
    assert look.metrics["loss"] == 0.0
    assert 0 < float(look.metrics["rtt"]) < 1
    assert 0 <= float(look.metrics["jitter"]) < 1


@needs_root
def test_of_a_name_the_wanted_family_is_asked() -> None:
    assert asyncio.run(ping("localhost", count="1", family="v4")).summary.startswith("127.0.0.1 answers in")
    assert asyncio.run(ping("127.0.0.1", count="1", family="v6")).summary == "no such name: 127.0.0.1"


@needs_root
def test_silence_is_critical_at_the_deadline_and_holds_nobody_up() -> None:
    before = open_descriptors()

    async def both() -> tuple[Look, Look, bool]:
        silent = asyncio.create_task(ping(SILENT, seconds=1.5, count="2"))
        await asyncio.sleep(0)
        quick = await ping("127.0.0.1", count="1")
        is_first = not silent.done()
        return await silent, quick, is_first

    with in_time(1.5):
        silent, quick, is_first = asyncio.run(both())
    assert (silent.verdict, silent.summary) == (Verdict.CRITICAL, f"{SILENT} answers none of 2 echoes")
    assert silent.metrics == {"loss": 1.0}
    assert quick.verdict is Verdict.OK
    assert is_first
    assert open_descriptors() == before


@needs_root
def test_many_hosts_share_one_socket_and_are_told_apart() -> None:
    async def sweep() -> tuple[int, list[Look]]:
        hosts = [f"127.9.{number // 250}.{number % 250 + 1}" for number in range(600)]
        asking = [asyncio.create_task(ping(host, count="2")) for host in [*hosts, SILENT]]
        await asyncio.sleep(0)
        opened = open_descriptors()
        done = await asyncio.gather(*asking[:-1])
        asking[-1].cancel()
        await asyncio.wait([asking[-1]])
        return opened, done

    before = open_descriptors()
    opened, looks = asyncio.run(sweep())
    assert {look.metrics["loss"] for look in looks} == {0.0}
    assert opened <= before + 5, "one socket, and what the loop itself holds"
    assert open_descriptors() == before


@needs_root
def test_an_address_that_cannot_be_asked_is_told_in_words() -> None:
    assert asyncio.run(ping("255.255.255.255", count="2")).summary == "this is a broadcast address"
    look = asyncio.run(ping("no-such-name.invalid"))
    assert look.verdict is Verdict.CRITICAL or "look up" in look.summary


def test_a_check_about_no_host_needs_one() -> None:
    with pytest.raises(InputError, match="no host"):
        asyncio.run(ping(None))


ASK = """
import asyncio
from agent.checks import Target
from agent.checks.ping import Ping, PingOptions
from agent.clock import Deadline, SystemClock
from agent.errors import AgentError
try:
    for address in ("127.0.0.1", "::1"):
        target = Target(host="there", address=address)
        print(asyncio.run(Ping.reach(target, PingOptions(count=2, interval=0.01), Deadline.after(SystemClock(), 5))).summary)
except AgentError as error:
    print(error)
"""


@needs_root
@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ("0 2147483647", ["127.0.0.1 answers in", "::1 answers in"]),
        ("1 0", ["the agent may not ping: it has neither CAP_NET_RAW nor a group that net.ipv4.ping_group_range allows"]),
    ],
)  # fmt: skip
def test_without_privileges_it_works_where_the_machine_allows_it_and_is_explained_where_not(
    groups: str, words: list[str], repository: Path
) -> None:
    nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all"
    script = f'ip link set lo up; echo {groups} >/proc/sys/net/ipv4/ping_group_range; exec {nobody} "$@"'
    argv = ["unshare", "--net", "sh", "-c", script, "-", sys.executable, "-c", ASK]
    done = subprocess.run(argv, cwd=repository, capture_output=True, text=True, check=False, timeout=60)
    said = done.stdout.splitlines()
    assert len(said) == len(words), done
    assert all(line.startswith(start) for line, start in zip(said, words, strict=True)), said
