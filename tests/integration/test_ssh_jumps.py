"""Hosts behind jump hosts, all of them real sshds: one connection per jump host, its key checked, its failures named."""

import contextlib
import dataclasses
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
import psutil
import pytest

from agent.clock import Deadline, SystemClock
from agent.errors import HostKeyError, OutputLimitError, TransportError
from agent.model.host import Connection, Host
from agent.transports import known_hosts
from agent.transports.ssh import Counts, SshPool
from tests.lab.lab import Lab
from tests.lab.sshd import Sshd, host_of, pin, running_sshd
from tests.lab.wait import in_time, until

CLOCK = SystemClock()


def soon(seconds: float = 20.0) -> Deadline:
    return Deadline.after(CLOCK, seconds)


@pytest.fixture(scope="module")
def bastion(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A jump host that gives no sessions."""
    with running_sshd(tmp_path_factory.mktemp("bastion"), "MaxSessions 0") as running:
        yield running


@pytest.fixture(scope="module")
def inner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """Another jump host, with another key to it."""
    with running_sshd(tmp_path_factory.mktemp("inner")) as running:
        yield running


@pytest.fixture
def pins(tmp_path: Path, bastion: Sshd, inner: Sshd, sshd: Sshd) -> Path:
    file = tmp_path / "known_hosts"
    for there in (bastion, inner, sshd):
        pin(file, host_of(there, "any"), there)
    return file


@pytest.fixture
def pool(pins: Path) -> Iterator[SshPool]:
    made = SshPool(pins, CLOCK)
    yield made
    made.close()


def behind(sshd: Sshd, *hops: Host, name: str = "target") -> Host:
    return dataclasses.replace(host_of(sshd, name), jumps=hops)


def echo(pool: SshPool, host: Host, deadline: Deadline | None = None) -> str:
    [section] = pool.run_batch(host, [("echo $SSH_CONNECTION", 5.0)], deadline or soon())
    return section.text


def sessions(there: Sshd) -> list[psutil.Process]:
    """The processes that serve the connections of an sshd."""
    return psutil.Process(there.pid).children()


def test_paramiko_still_has_the_member_that_closes_a_channel_without_a_word() -> None:
    assert callable(paramiko.Channel._set_closed)  # type: ignore[attr-defined]  # private: this is the guard


def test_paramiko_still_has_the_member_that_counts_channels(sshd: Sshd) -> None:
    with socket.create_connection((sshd.address, sshd.port)) as connection:
        transport = paramiko.Transport(connection)
        assert len(transport._channels) == 0  # type: ignore[attr-defined]  # private: this is the guard
        transport.close()


class Later(SystemClock):
    """A clock that hours pass on when told to; no test waits for them."""

    ahead_ns = 0

    def boottime(self) -> int:
        return super().boottime() + self.ahead_ns


def test_who_is_not_asked_for_an_hour_is_hung_up_on_and_who_is_keeps_its_connection(
    sshd: Sshd, bastion: Sshd, inner: Sshd, pins: Path
) -> None:
    """A host that left the inventory would keep its connection, and the one to its jump host, for ever."""
    clock = Later()
    pool = SshPool(pins, clock)
    gone, stays = (
        behind(sshd, host_of(inner, "inner"), name="gone"),
        behind(sshd, host_of(bastion, "bastion"), name="stays"),
    )
    try:
        for host in (gone, stays):
            echo(pool, host, Deadline.after(clock, 20))
        for _ in range(3):
            clock.ahead_ns += 40 * 60 * 1_000_000_000
            echo(pool, stays, Deadline.after(clock, 20))
        assert pool.counts() == Counts(connections=2, jumps=2, round_trips=5)
        until(lambda: not sessions(inner), 5, "the connection to the jump host ends")
        assert len(sessions(bastion)) == 1
        assert "127.0.0.1" in echo(pool, gone, Deadline.after(clock, 20))
        assert pool.counts() == Counts(connections=3, jumps=3, round_trips=6)
    finally:
        pool.close()


def test_hosts_behind_one_jump_host_share_one_connection_to_it(sshd: Sshd, bastion: Sshd, pool: SshPool) -> None:
    hop = host_of(bastion, "bastion")
    answers: list[str] = []

    def ask(number: int) -> None:
        host = behind(sshd, hop, name=f"host{number}")
        answers.extend(echo(pool, host) for _ in range(2))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 16
    assert all(answer.split()[3] == str(sshd.port) for answer in answers)
    assert pool.counts() == Counts(connections=8, jumps=1, round_trips=16)


def test_jump_hosts_are_passed_one_after_the_other_each_by_its_own_key(
    sshd: Sshd, bastion: Sshd, inner: Sshd, pool: SshPool
) -> None:
    assert echo(pool, behind(sshd, host_of(bastion, "bastion"), host_of(inner, "inner")))
    assert echo(pool, behind(inner, host_of(bastion, "bastion"), name="inner"))
    assert pool.counts() == Counts(connections=2, jumps=2, round_trips=2)


@pytest.mark.parametrize("changed", [False, True], ids=["unknown", "changed"])
def test_a_jump_host_that_is_not_the_one_we_know_is_not_passed(
    sshd: Sshd, bastion: Sshd, pins: Path, pool: SshPool, *, changed: bool
) -> None:
    hop = host_of(bastion, "bastion")
    known_hosts.forget(pins, hop)
    if changed:
        pin(pins, hop, sshd)
    with pytest.raises(HostKeyError, match="has changed" if changed else "is not known yet") as caught:
        echo(pool, behind(sshd, hop))
    assert str(caught.value).startswith("jump host bastion: ")
    assert "watchkeeper host trust target" in caught.value.hint
    assert pool.counts() == Counts()


def test_the_host_behind_is_checked_as_strictly(sshd: Sshd, bastion: Sshd, pins: Path, pool: SshPool) -> None:
    known_hosts.forget(pins, host_of(sshd, "any"))
    with pytest.raises(HostKeyError, match=r"^\[.*is not known yet"):
        echo(pool, behind(sshd, host_of(bastion, "bastion")))


def test_taking_back_the_pin_of_a_jump_host_ends_the_connections_through_it(
    sshd: Sshd, bastion: Sshd, pins: Path, pool: SshPool
) -> None:
    host = behind(sshd, host_of(bastion, "bastion"))
    echo(pool, host)
    known_hosts.forget(pins, host_of(bastion, "any"))
    for _ in range(2):
        with pytest.raises(HostKeyError, match="jump host bastion"):
            echo(pool, host)
    pin(pins, host_of(bastion, "any"), bastion)
    echo(pool, host)
    assert pool.counts() == Counts(connections=2, jumps=2, round_trips=2)


def test_a_failure_says_which_hop_failed(sshd: Sshd, bastion: Sshd, inner: Sshd, pool: SshPool, tmp_path: Path) -> None:
    gone = dataclasses.replace(host_of(bastion, "gone"), port=1)
    for host, words in (
        (behind(sshd, gone), "jump host gone: .* refuses connections"),
        (
            behind(sshd, host_of(bastion, "bastion"), gone),
            "jump host gone: .* cannot be reached from the jump host bastion",
        ),
        (
            behind(sshd, host_of(bastion, "bastion"), dataclasses.replace(host_of(inner, "inner"), user="nobody")),
            "jump host inner: .* does not let nobody in",
        ),
        (
            dataclasses.replace(behind(sshd, host_of(bastion, "bastion")), port=1),
            "port 1 cannot be reached from the jump host bastion: nothing answers there",
        ),
    ):
        with pytest.raises(TransportError, match=words) as caught:
            echo(pool, host)
        assert caught.value.hint
    with running_sshd(tmp_path, "AllowTcpForwarding no") as closed:
        pin(pool._pins, host_of(closed, "any"), closed)
        with pytest.raises(TransportError, match="jump host closed: it does not let us through") as caught:
            echo(pool, behind(sshd, host_of(closed, "closed")))
    assert "AllowTcpForwarding" in caught.value.hint


def test_when_a_jump_host_drops_everybody_one_new_connection_serves_them_all(
    sshd: Sshd, bastion: Sshd, pool: SshPool
) -> None:
    hosts = [behind(sshd, host_of(bastion, "bastion"), name=f"host{number}") for number in range(4)]
    for host in hosts:
        echo(pool, host)
    for process in sessions(bastion):
        process.kill()
    threads = [threading.Thread(target=echo, args=(pool, host)) for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = pool.counts()
    assert (counts.connections, counts.jumps) == (8, 2)


def test_a_jump_host_that_falls_silent_is_named_by_the_deadline_and_replaced(
    sshd: Sshd, bastion: Sshd, pool: SshPool
) -> None:
    hop = host_of(bastion, "bastion")
    echo(pool, behind(sshd, hop, name="one"))
    stopped = sessions(bastion)
    for process in stopped:
        process.send_signal(signal.SIGSTOP)
    try:
        with in_time(1.0), pytest.raises(TransportError, match=r"jump host bastion .*fell silent"):
            echo(pool, behind(sshd, hop, name="two"), soon(1.0))
        assert echo(pool, behind(sshd, hop, name="two"))
    finally:
        for process in stopped:
            process.kill()
    assert pool.counts().jumps == 2


def test_a_crowd_before_a_silent_jump_host_dials_it_once(sshd: Sshd, pool: SshPool) -> None:
    with socket.create_server((sshd.address, 0), backlog=64) as silent:
        hop = dataclasses.replace(host_of(sshd, "silent"), port=silent.getsockname()[1])
        errors: list[str] = []
        start = threading.Barrier(8)

        def ask(number: int) -> None:
            start.wait()
            try:
                echo(pool, behind(sshd, hop, name=f"host{number}"), soon(1.5))
            except TransportError as error:
                errors.append(str(error))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(errors) == 8
        assert all("jump host silent" in error for error in errors)
        silent.setblocking(False)
        dialled = 0
        while True:
            try:
                silent.accept()[0].close()
            except BlockingIOError:
                break
            dialled += 1
        assert dialled == 1


def test_a_host_behind_that_floods_or_stalls_is_cut_off_alone(
    sshd: Sshd, bastion: Sshd, pins: Path, pool: SshPool, tmp_path: Path
) -> None:
    hop = host_of(bastion, "bastion")
    well = behind(sshd, hop, name="well")
    echo(pool, well)
    with running_sshd(tmp_path, "ForceCommand yes") as flooding:
        pin(pins, host_of(flooding, "any"), flooding)
        with pytest.raises(OutputLimitError):
            echo(pool, behind(flooding, hop, name="flood"))
    with in_time(1.0), pytest.raises(OutputLimitError, match="did not finish in time"):
        pool.run_batch(behind(sshd, hop, name="slow"), [("sleep 60", 70.0)], soon(1.0))
    echo(pool, well)
    counts = pool.counts()
    assert (counts.connections, counts.jumps) == (3, 1)


def test_a_host_behind_that_swallows_everything_does_not_cost_the_others_their_jump_host(
    sshd: Sshd, bastion: Sshd, pool: SshPool
) -> None:
    """Its queue is full, so the kernel there drops what the jump host sends: only time tells."""
    hop = host_of(bastion, "bastion")
    well = behind(sshd, hop, name="well")
    echo(pool, well)
    with contextlib.ExitStack() as open_files:
        full = open_files.enter_context(socket.create_server((sshd.address, 0), backlog=0))
        for _ in range(3):
            caller = open_files.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(full.getsockname())
        hole = dataclasses.replace(behind(sshd, hop, name="hole"), port=full.getsockname()[1])
        words = "cannot be reached from the jump host bastion: no answer in time"
        with in_time(3.0), pytest.raises(TransportError, match=words):
            echo(pool, hole, soon(3.0))  # a fifth of it is for the jump host to say that it is there
    echo(pool, well)
    assert pool.counts() == Counts(connections=1, jumps=1, round_trips=2)


def test_closing_leaves_neither_connections_nor_threads(sshd: Sshd, bastion: Sshd, pins: Path) -> None:
    before = set(threading.enumerate())
    for _ in range(3):
        pool = SshPool(pins, CLOCK)
        echo(pool, behind(sshd, host_of(bastion, "bastion")))
        pool.close()
        with pytest.raises(TransportError, match="is stopping"):
            echo(pool, behind(sshd, host_of(bastion, "bastion")))
    assert set(threading.enumerate()) <= before
    until(lambda: not sessions(bastion), 10, "the jump host has nobody left")
    ours = psutil.Process(os.getpid()).net_connections()
    assert not [one for one in ours if tuple(one.raddr)[1:] == (bastion.port,)]


def test_keys_are_asked_for_through_a_jump_host(sshd: Sshd, bastion: Sshd, pins: Path) -> None:
    known_hosts.forget(pins, host_of(sshd, "any"))
    key = known_hosts.scan_key(pins, behind(sshd, host_of(bastion, "bastion")), soon())
    assert f"{key.type} {key.base64}" == sshd.public_key


@pytest.mark.lab
def test_the_name_of_a_host_behind_means_what_it_means_there(lab: Lab, tmp_path: Path) -> None:
    """Only the jump host's own /etc/hosts knows it, and there it is the loopback."""
    there = lab.hosts[0]
    login: dict[str, Any] = {"user": there.user, "key_file": str(there.key_file), "connection": Connection.SSH}
    gate = Host(name="gate", address=there.address, **login)
    hidden = Host(name="hidden", address=there.name, jumps=(gate,), **login)
    pins = tmp_path / "known_hosts"
    for host in (gate, hidden):
        pin(pins, host, there)
    pool = SshPool(pins, CLOCK)
    try:
        [section] = pool.run_batch(hidden, [("hostname; echo $SSH_CONNECTION", 5.0)], soon())
    finally:
        pool.close()
    assert section.text.split()[:2] == [there.name, "127.0.0.1"]
