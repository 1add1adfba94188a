"""check: ping — does a host answer echo requests, how many of them, and how fast?

ICMP echoes of RFC 792 and RFC 4443, over a raw socket where the agent may have one (CAP_NET_RAW), else over an
unprivileged one (icmp(7): net.ipv4.ping_group_range). `loss` is the share of echoes without an answer within the check's
timeout, `rtt` the mean of the round trips, `jitter` the mean difference between one round trip and the next. Critical
when no echo is answered; everything else is for `warn` and `crit` to say. Without the right to ping: unknown.
"""

import asyncio
import itertools
import socket
from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field, field_validator

from agent.checks import Target, check
from agent.checks.echoes import Echoes, echoes
from agent.checks.reaching import Address, is_name, literal, looked_up
from agent.checks.reading import told
from agent.clock import Deadline
from agent.closed import ClosedModel, Integer, Text
from agent.errors import InputError, TransportError
from agent.model.check import RunFrom
from agent.model.look import Look, Unit, Verdict
from agent.units import Duration

_MOST = 100  # echoes of one look: a check is no load test
_LONGEST = 10.0  # seconds between two echoes
_FOR_ASKING = 0.7  # of the timeout, at most; the rest is for the last answer to arrive


class PingOptions(ClosedModel):
    """Whom, how often, how fast."""

    host: Text | None = Field(default=None, description="Name or address to ask; left out: the check's host")
    count: Integer = Field(default=5, description="Echoes to send, 1 to 100")
    interval: Duration = Field(default=0.2, description="Time between two of them, 10ms to 10s")
    family: Text = Field(default="any", description="v4, v6, or any: the first address that the name has")

    @field_validator("host")
    @classmethod
    def _is_name(cls, host: str | None) -> str | None:
        return host if host is None else is_name(host)

    @field_validator("count")
    @classmethod
    def _is_bounded(cls, count: int) -> int:
        if not 1 <= count <= _MOST:
            raise ValueError(f"{count}: send 1 to {_MOST} echoes")
        return count

    @field_validator("interval")
    @classmethod
    def _is_polite(cls, interval: float) -> float:
        if not 0.01 <= interval <= _LONGEST:
            raise ValueError("write an interval of 10ms to 10s")
        return interval

    @field_validator("family")
    @classmethod
    def _is_family(cls, family: str) -> str:
        if family not in _FAMILIES:
            raise ValueError(f"{family!r} is not v4, v6 or any")
        return family


_FAMILIES: Mapping[str, int] = {"any": socket.AF_UNSPEC, "v4": socket.AF_INET, "v6": socket.AF_INET6}


@check("ping")
class Ping:
    """A few echoes to one address; all hosts that are asked at the same time share one socket."""

    OPTIONS: ClassVar = PingOptions
    SHORT: ClassVar = ""
    METRICS: ClassVar[Mapping[str, Unit]] = {"loss": Unit.SHARE, "rtt": Unit.SECONDS, "jitter": Unit.SECONDS}
    RUN_FROM: ClassVar = RunFrom.AGENT
    INSTANCES: ClassVar = False

    @staticmethod
    async def reach(target: Target, options: PingOptions, deadline: Deadline) -> Look:
        """Ask; over by the deadline, or once everything was answered."""
        host = options.host or target.address
        if host is None:
            raise InputError("ping: this check is about no host", hint="give it a host: ping: {host: …}")
        address = literal(host, _FAMILIES[options.family])
        if address is None:
            try:
                async with asyncio.timeout(deadline.remaining_seconds()):
                    address = await looked_up(host, _FAMILIES[options.family])
            except TransportError as error:
                return told(Verdict.CRITICAL, str(error))
            except TimeoutError:
                return told(Verdict.UNKNOWN, f"the name {host} was not looked up in time")
        asking = _Asking(echoes(asyncio.get_running_loop(), address.family), address, options.count)
        return _judged(address, *await asking.ask(options.interval, deadline))


class _Asking:
    """The echoes of one look: sent one after the other at their beats, counted as they come back."""

    __slots__ = ("_address", "_beat", "_begun", "_end", "_interval", "_loop", "_missing", "_numbers", "_over",
                 "_problem", "_shared", "_trips")  # fmt: skip

    def __init__(self, shared: Echoes, address: Address, count: int) -> None:
        self._shared = shared
        self._address = address
        self._trips: list[float | None] = [None] * count
        self._missing = count
        self._numbers: list[int] = []
        self._problem = ""
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._beat = 0

    async def ask(self, interval: float, deadline: Deadline) -> tuple[list[float | None], str]:
        """The round trip of each echo, None for a lost one; and why echoes could not be sent, if so."""
        patience = deadline.remaining_seconds()
        self._interval = min(interval, patience * _FOR_ASKING / len(self._trips))
        self._begun = self._loop.time()
        self._end = self._begun + patience
        self._shared.open(deadline.clock)
        try:
            self.wake()
            await self._over
        finally:
            self._shared.beats.take(self, self._beat)
            self._shared.close(self._numbers if self._missing else [])
        return self._trips, self._problem

    def wake(self) -> None:
        """Send the next echo; after the last one's time, all is over."""
        sent, wanted = len(self._numbers), len(self._trips)
        if self._over.done():
            return
        if sent == wanted:
            self._over.set_result(None)
            return
        number, problem = self._shared.send(self._address.number, self._address.where, self._heard, sent)
        self._numbers.append(number)
        if problem:
            self._problem = problem
            self._count_one()
        if self._missing:
            due = self._end if sent + 1 == wanted else min(self._end, self._begun + (sent + 1) * self._interval)
            self._beat = self._shared.beats.put_at(self, due)

    def _heard(self, position: int, seconds: float) -> None:
        self._trips[position] = seconds
        self._count_one()

    def _count_one(self) -> None:
        self._missing -= 1
        if self._missing == 0 and not self._over.done():
            self._over.set_result(None)


def _judged(address: Address, trips: list[float | None], problem: str) -> Look:
    heard = [seconds for seconds in trips if seconds is not None]
    loss = 1.0 - len(heard) / len(trips)
    if not heard:
        words = problem or f"{address.number} answers none of {len(trips)} echoes"
        return told(Verdict.CRITICAL, words, metrics={"loss": loss})
    rtt = sum(heard) / len(heard)
    steps = [abs(later - sooner) for sooner, later in itertools.pairwise(heard)]
    jitter = sum(steps) / len(steps) if steps else 0.0
    lost = f"{loss:.0%} of the echoes lost, " if loss else ""
    summary = f"{lost}{address.number} answers in {_milliseconds(rtt)}"
    return told(Verdict.OK, summary, metrics={"loss": loss, "rtt": rtt, "jitter": jitter})


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"
