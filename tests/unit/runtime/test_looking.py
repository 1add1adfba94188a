"""What one look leaves for the next: handed back by key, forgotten when the check is edited, never in a result."""

import asyncio
import dataclasses
from typing import Any, ClassVar

import pytest

from agent.checks import Target
from agent.clock import Deadline, SystemClock
from agent.closed import ClosedModel, Text
from agent.errors import InputError, TransportError
from agent.model.cadence import Every
from agent.model.check import Check, Rules, RunFrom
from agent.model.host import Connection, Host
from agent.model.look import Look, Section, Verdict
from agent.runtime.looking import Asked, Looker
from agent.runtime.memories import Memories
from agent.runtime.workers import Workers
from agent.transports.ssh import SshPool

HERE = Host(name="here", address="127.0.0.1", connection=Connection.LOCAL, variables={"rack": "7"})


class Options(ClosedModel):
    """Nothing much."""

    what: Text = ""


def counted(before: Any) -> Look:
    """A look that counts how often it was made."""
    return Look(verdict=Verdict.OK, summary=f"look {before or 0}", memory=(before or 0) + 1)


class Reaching:
    """Looks from the agent."""

    OPTIONS: ClassVar = Options

    @staticmethod
    async def reach(target: Target, _options: Options, _deadline: Deadline) -> Look:
        assert target.variables == {"rack": "7"}
        return counted(target.memory)


class Here:
    """Looks at this machine."""

    RECALLS: ClassVar = True

    @staticmethod
    def look(_options: Options, memory: Any) -> Look:
        return counted(memory)


class Scripted:
    """Looks by a script."""

    RECALLS: ClassVar = True

    @staticmethod
    def script(_options: Options, memory: Any) -> str:
        return f"echo {memory}"

    @staticmethod
    def read(section: Section, _options: Options, memory: Any) -> Look:
        assert section.text.strip() == str(memory)
        return counted(memory)


class Mute:
    """Leaves nothing behind at every second look, as one that failed."""

    @staticmethod
    async def reach(target: Target, _options: Options, _deadline: Deadline) -> Look:
        return dataclasses.replace(counted(target.memory), memory=1 if target.memory is None else None)


class Unready:
    """Knows what is missing, and what to do about it."""

    @staticmethod
    async def reach(_target: Target, _options: Options, _deadline: Deadline) -> Look:
        raise InputError("there is no community", hint="set snmp_community")


class Shouting:
    """Breaks by words that somebody else chose."""

    @staticmethod
    async def reach(_target: Target, options: Options, _deadline: Deadline) -> Look:
        words = "\x1b]0;owned\x07no\nsuch\u202ething " + "x" * 1_000_000
        raise {"ours": InputError, "theirs": ValueError}[options.what](words)


class Shut:
    """A way to a host that answers with such words."""

    def run_batch(self, _host: Host, _scripts: Asked, _deadline: Deadline) -> list[Section]:
        raise TransportError("\x1b[2Jgo\naway " + "y" * 1_000_000, hint="\x1b[31mz" * 100_000)


def check(kind: str, run_from: RunFrom, what: str = "") -> Check:
    key = f"shop/checks/{kind}@here"
    return Check(
        key=key, item=f"shop/checks/{kind}", service="shop", host="here", kind=kind, options=Options(what=what),
        run_from=run_from, every=(Every(seconds=60),), timeout_seconds=5, retry_every_seconds=15, rules=Rules(key=key),
    )  # fmt: skip


@pytest.fixture
def looker(tmp_path: Any) -> Any:
    clock, workers = SystemClock(), Workers(2)
    pool = SshPool(tmp_path / "known_hosts", clock)
    probes = {
        "reaching": Reaching,
        "here": Here,
        "scripted": Scripted,
        "mute": Mute,
        "unready": Unready,
        "shouting": Shouting,
    }
    yield Looker(probes=probes, pools={Connection.SSH: pool}, workers=workers, clock=clock, inner={})
    workers.close()
    pool.close()


@pytest.mark.parametrize(
    ("kind", "run_from"), [("reaching", RunFrom.AGENT), ("here", RunFrom.HOST), ("scripted", RunFrom.HOST)]
)
def test_a_look_finds_what_the_last_one_left_until_its_check_is_edited(
    looker: Looker, kind: str, run_from: RunFrom
) -> None:
    async def looks() -> list[Look]:
        found = [await looker.look(HERE, [check(kind, run_from, what)]) for what in ("", "", "", "edited", "edited")]
        return [result.look for [result] in found]

    found = asyncio.run(looks())
    assert [look.summary for look in found] == ["look 0", "look 1", "look 2", "look 0", "look 1"]
    assert all(look.memory is None for look in found), "what was left goes no further"


def test_a_look_that_leaves_nothing_leaves_things_as_they_were(looker: Looker) -> None:
    async def looks() -> list[str]:
        found = [await looker.look(HERE, [check("mute", RunFrom.AGENT)]) for _ in range(4)]
        return [result.look.summary for [result] in found]

    assert asyncio.run(looks()) == ["look 0", "look 1", "look 1", "look 1"]


def test_what_a_probe_lacks_is_told_in_its_own_words_with_what_to_do(looker: Looker) -> None:
    [result] = asyncio.run(looker.look(HERE, [check("unready", RunFrom.AGENT)]))
    look = result.look
    assert (look.verdict, look.summary, look.evidence) == (
        Verdict.UNKNOWN,
        "there is no community",
        "set snmp_community",
    )


@pytest.mark.parametrize("whose", ["ours", "theirs"])
def test_words_of_others_in_an_error_are_plain_and_bounded_as_those_of_a_look(looker: Looker, whose: str) -> None:
    [result] = asyncio.run(looker.look(HERE, [check("shouting", RunFrom.AGENT, whose)]))
    look = result.look
    assert look.verdict is Verdict.UNKNOWN
    assert "no suchthing x" in look.summary
    assert look.summary.isprintable()
    assert len(look.summary) < 1_000


def test_words_of_a_host_that_turns_us_away_are_plain_and_bounded() -> None:
    workers = Workers(2)
    looker = Looker(probes={}, pools={Connection.SSH: Shut()}, workers=workers, clock=SystemClock(), inner={})
    remote = dataclasses.replace(HERE, connection=Connection.SSH)
    [result] = asyncio.run(looker.look(remote, [check("reach", RunFrom.AGENT)]))
    workers.close()
    look = result.look
    assert look.verdict is Verdict.CRITICAL
    assert look.summary.startswith("go away y")
    assert (look.summary.isprintable(), len(look.summary) < 1_000) == (True, True)
    assert (look.evidence.isprintable(), len(look.evidence) < 10_000) == (True, True)


def test_a_memory_is_not_shown_and_the_oldest_is_forgotten_first() -> None:
    secret = Look(verdict=Verdict.OK, summary="fine", memory="a key")
    assert "a key" not in repr(secret)
    assert secret == Look(verdict=Verdict.OK, summary="fine")
    memories = Memories(SystemClock(), most=2)
    checks = [check(kind, RunFrom.AGENT) for kind in ("one", "two", "three")]
    for number, one in enumerate((*checks[:2], checks[0], checks[2])):
        memories.keep(one, number)
    assert [memories.recall(one) for one in checks] == [2, None, 3]
