"""A stage for hostile peers: checks on them, looked at by the real looker at the same time, beside hosts that are well."""

import asyncio
import contextlib
import dataclasses
import itertools
import math
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import paramiko

from agent import checks
from agent.checks import Target
from agent.clock import SystemClock
from agent.model.cadence import Every
from agent.model.check import Check, Rules, reach_key
from agent.model.host import Connection, Host
from agent.model.look import Look, Result
from agent.registry import scan
from agent.runtime.looking import Looker
from agent.runtime.workers import Workers
from agent.transports import known_hosts
from agent.transports.device import device_pool
from agent.transports.known_hosts import HostKey
from agent.transports.snmp.ber import Cell
from agent.transports.snmp.hub import Hub
from agent.transports.ssh import SshPool
from tests.fakes.snmp_peer import Mangle, peering
from tests.fakes.snmp_peer import Peer as Device
from tests.lab.host import LabHost
from tests.lab.peer import Peer, Play, Raw, raw_peer, ssh_peer
from tests.lab.sshd import Sshd, host_of, pin

CLOCK = SystemClock()
CONNECT_SECONDS = 1.0
HERE = Host(name="here", address="127.0.0.1", connection=Connection.LOCAL)
PASSWORD = "let-me-in"
_ANOTHER_KEY = "AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43
PROMPT = b"\r\nswitch#"
BEAT_SECONDS = 0.02
PROBES: Mapping[str, Any] = scan(checks, checks.FAMILY)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A check, and what must come of it: the verdict, words of the summary (a pattern)."""

    host: Host
    check: Check
    verdict: str
    words: str


@dataclasses.dataclass(kw_only=True, slots=True)
class Found:
    """What looks gave, by key; and the longest time for which the loop did not turn."""

    looks: list[dict[str, Result]] = dataclasses.field(default_factory=list)
    stalled_seconds: float = 0.0

    def of(self, case: Case, *, at: int = -1) -> Look:
        """What became of a check; when its host could not be reached, that."""
        results = self.looks[at]
        result = results.get(case.check.key) or results[reach_key(case.host.name)]
        return result.look

    def judged(self, case: Case) -> Look:
        """The same, when it is what must come of it."""
        look = self.of(case)
        assert re.fullmatch(case.verdict, look.verdict), (case, look)
        assert re.search(case.words, look.summary), (case.words, look)
        assert_clean(look)
        return look


class Stage(contextlib.ExitStack):
    """The peers of one test, until it is closed."""

    def __init__(self, folder: Path, sshd: Sshd) -> None:
        super().__init__()
        self.pins = folder / "known_hosts"
        self.cases: list[Case] = []
        self.healthy: list[Case] = []
        self.between: list[Callable[[], None]] = []  # what happens between two looks
        self.during: Callable[[], None] = lambda: None  # and during the last one
        self._numbers = itertools.count()
        self._sshd = sshd

    def expect(
        self, verdict: str, words: str, kind: str, host: Host = HERE, *, timeout: float = 1.0, **options: Any
    ) -> Self:
        """One more check, and what must come of it."""
        self.cases.append(
            Case(host=host, check=self._check(host, kind, timeout, options), verdict=verdict, words=words)
        )
        return self

    def neighbours(self) -> None:
        """Three that are well: a host over SSH, a web server, a device."""
        page = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"
        mib = {"1.3.6.1.2.1.1.5.0": (4, b"fine")}
        before, self.cases = self.cases, []
        self.expect("ok", "^fine$", "command", self.real("well"), timeout=5, command="echo fine")
        self.expect("ok", "^200 OK, 4 B", "http", timeout=5, url=f"http://127.0.0.1:{self.tcp(saying(page))}/")
        access = public(self.device(mib))
        self.expect("ok", "fine", "snmp", timeout=5, oid="1.3.6.1.2.1.1.5.0", access=access)
        self.healthy, self.cases = self.cases, before

    def tcp(self, behave: Raw) -> int:
        """A server on loopback that treats each connection so; its port."""
        return self.enter_context(raw_peer(behave)).host.port

    def bare(self, behave: Raw) -> Host:
        """The same, to be taken for an SSH server."""
        return self._host(self.enter_context(raw_peer(behave, key_file=str(self._sshd.key_file))))

    def at(self, port: int) -> Host:
        """What listens on a port of loopback, to be taken for an SSH server."""
        key = HostKey(type="ssh-ed25519", base64=_ANOTHER_KEY)
        host = Host(name=f"at{port}", address="127.0.0.1", port=port, user="any", connection=Connection.SSH)
        known_hosts.pin(self.pins, host, key)
        return host

    def shell(self, play: Play) -> Host:
        """An SSH server that plays the shell."""
        return self._host(self.enter_context(ssh_peer(play, key_file=str(self._sshd.key_file))))

    def switch(self, *pieces: bytes, prompts: bool = True, **told: Any) -> Host:
        """An SSH server that is a switch until something is to be shown, or says these pieces from the start."""
        play = printing(*pieces, hears=False, **told)
        host = self._host(self.enter_context(ssh_peer(prompting(play) if prompts else play, password=PASSWORD)))
        variables = {"ansible_network_os": "cisco.ios.ios", "ansible_password": PASSWORD}
        return dataclasses.replace(host, connection=Connection.NETWORK_CLI, variables=variables)

    def real(self, name: str, there: Sshd | LabHost | None = None, *, vanishes: bool = False) -> Host:
        """A real OpenSSH server; its other checks must not suffer, and their time is room for a slow login."""
        there = there or self._sshd
        host = host_of(there, name)
        pin(self.pins, host, there)
        if not vanishes:
            self.expect("ok", "^still here$", "command", host, timeout=10.0, command="echo still here")
        return host

    def device(self, values: Mapping[str, Cell], mangle: Mangle | None = None, **told: Any) -> Device:
        """An SNMP agent."""
        return self.enter_context(peering(values, mangle=mangle or _honest, **told))

    def mistrust(self, host: Host) -> None:
        """Pin another key than the one it shows."""
        known_hosts.forget(self.pins, host)
        known_hosts.pin(self.pins, host, HostKey(type="ssh-ed25519", base64=_ANOTHER_KEY))

    @property
    def seconds(self) -> float:
        """The latest deadline of all looks: of a host's checks over one line, one after the other."""
        together = [
            sum(check.timeout_seconds for check in checks) for host, checks in self._by_host() if host is not HERE
        ]
        alone = [case.check.timeout_seconds for case in self.cases if case.host is HERE]
        return (CONNECT_SECONDS + max([*together, *alone])) * (1 + len(self.between))

    def look(self) -> Found:
        """Look at all of them at once, and again after each happening."""
        workers, found = Workers(), Found()
        pool, hub = SshPool(self.pins, CLOCK), Hub()
        devices = device_pool(self.pins, CLOCK, str)
        looker = Looker(
            probes=PROBES, pools={Connection.SSH: pool, Connection.NETWORK_CLI: devices}, workers=workers, clock=CLOCK,
            inner={}, means=Target(host=None, address=None, snmp=hub), connect_seconds=CONNECT_SECONDS,
        )  # fmt: skip
        try:
            asyncio.run(self._looks(looker, found))
        finally:
            workers.close()
            pool.close()
            devices.close()
            hub.close()
        return found

    async def _looks(self, looker: Looker, found: Found) -> None:
        beating = asyncio.create_task(_beat(found))
        for happens in (lambda: None, *self.between):
            happens()
            everybody = [looker.look(host, given) for host, given in self._by_host()]
            is_last = len(found.looks) == len(self.between)
            happening = asyncio.create_task(asyncio.to_thread(self.during)) if is_last else None
            results = await asyncio.gather(*everybody)
            found.looks.append({result.key: result for some in results for result in some})
            if happening is not None:
                await happening
        beating.cancel()
        await asyncio.sleep(BEAT_SECONDS)  # a daemon's loop goes on, and closes what it was told to

    def _by_host(self) -> Iterator[tuple[Host, Sequence[Check]]]:
        every = [*self.cases, *self.healthy]
        for host in {case.host.name: case.host for case in every}.values():
            yield host, [case.check for case in every if case.host.name == host.name]

    def _host(self, peer: Peer) -> Host:
        host = dataclasses.replace(peer.host, name=f"odd{next(self._numbers)}")
        known_hosts.pin(self.pins, host, peer.key)
        return host

    def _check(self, host: Host, kind: str, timeout: float, options: Mapping[str, Any]) -> Check:
        probe, item = PROBES[kind], f"odd/checks/{kind}-{next(self._numbers)}"
        key = f"{item}@{host.name}"
        return Check(
            key=key, item=item, service="odd", host=host.name, kind=kind, run_from=probe.RUN_FROM,
            options=probe.OPTIONS.model_validate(options), every=(Every(seconds=60),), timeout_seconds=timeout,
            retry_every_seconds=15, rules=Rules(key=key),
        )  # fmt: skip


def _honest(_request: bytes, answer: bytes) -> list[bytes]:
    return [answer]


def public(device: Device) -> dict[str, Any]:
    """What opens a device that everybody may ask."""
    return {"host": device.address, "port": str(device.port), "community": "public"}


def assert_clean(look: Look) -> None:
    """Nothing in it that a terminal obeys or that cannot be seen, and no number that is none."""
    values = [*look.metrics, *(value for value in look.metrics.values() if isinstance(value, str)), *look.instances]
    for text in (look.summary, *values, *re.split(r"[\n\t]", look.evidence)):
        assert text.isprintable(), repr(text)
    assert all(math.isfinite(value) for value in look.metrics.values() if not isinstance(value, str)), look
    for one in look.instances.values():
        assert_clean(one)


async def _beat(found: Found) -> None:
    while True:
        begun = CLOCK.boottime()
        await asyncio.sleep(BEAT_SECONDS)
        found.stalled_seconds = max(found.stalled_seconds, (CLOCK.boottime() - begun) / 1e9 - BEAT_SECONDS)


def saying(*pieces: bytes, pause: float = 0.0, again: bool = False, hears: bool = True) -> Raw:
    """Hears something if told to, says these pieces, with a pause before each, for ever if told to; waits to be left."""

    def behave(connection: socket.socket) -> None:
        if hears:
            connection.recv(65_536)
        spoken = itertools.cycle(pieces) if again else iter(pieces)
        for piece in spoken:
            threading.Event().wait(pause)
            connection.sendall(piece)
        while connection.recv(65_536):
            pass

    return behave


def printing(*pieces: bytes, pause: float = 0.0, again: bool = False, hears: bool = True) -> Play:
    """The same of a shell, which hears what is asked before; a switch has heard it by then."""

    def play(channel: paramiko.Channel) -> None:
        if hears:
            channel.recv(65_536)
        for piece in itertools.cycle(pieces) if again else pieces:
            threading.Event().wait(pause)
            channel.sendall(piece)
        while channel.recv(65_536):
            pass

    return play


def prompting(play: Play) -> Play:
    """A switch that echoes what is typed, until it is to show something: then it plays."""

    def begin(channel: paramiko.Channel) -> None:
        channel.sendall(PROMPT)
        while b"show" not in (data := channel.recv(1024)):
            if not data:
                return
            channel.sendall(data + PROMPT)
        channel.sendall(data)
        play(channel)

    return begin
