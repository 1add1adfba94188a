"""Peers that flood, drip, fall silent, break off or lie: each ends in plain words, in time, and leaves nothing open."""

import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import paramiko
import psutil
import pytest

from agent.clock import Deadline, SystemClock
from agent.errors import HostKeyError, OutputLimitError, TransportError
from agent.transports import known_hosts
from agent.transports.ssh import SshPool
from tests.lab.network import command
from tests.lab.peer import Peer, Play, Raw, raw_peer, ssh_peer
from tests.lab.wait import in_time, until

CLOCK = SystemClock()
SCRIPTS = [("echo one", 5.0), ("echo two", 5.0)]


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    """After each test there are as many threads and descriptors as before."""
    process = psutil.Process()
    threads, descriptors = threading.active_count(), process.num_fds()
    yield
    until(lambda: threading.active_count() <= threads, 5, f"threads end: {threading.enumerate()}")
    until(lambda: process.num_fds() <= descriptors, 5, "descriptors are closed")


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("key") / "id"
    command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file))
    return str(file)


def failure(standing: AbstractContextManager[Peer], pins: Path, seconds: float) -> TransportError:
    """What a batch on a peer ends in; by its deadline."""
    with standing as peer:
        known_hosts.pin(pins, peer.host, peer.key)
        pool = SshPool(pins, CLOCK)
        with in_time(seconds), pytest.raises(TransportError) as caught:
            pool.run_batch(peer.host, SCRIPTS, Deadline.after(CLOCK, seconds))
        pool.close()
    assert caught.value.hint
    return caught.value


def hold(connection: socket.socket) -> None:
    """Read what comes until the other side hangs up."""
    while connection.recv(4096):
        pass


def paints(connection: socket.socket) -> None:
    connection.sendall(b"SSH-9.9\x1b]0;owned\x07" + b"A" * 100_000 + b"-x\r\n")
    hold(connection)


def banner_then_silence(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-odd\r\n")
    hold(connection)


def endless_line(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"x" * 65536)


def endless_lines(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"this is no greeting\r\n" * 1000)


def giant_packet(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-odd\r\n" + struct.pack(">IB", 0x7FFFFFF4, 4))
    endless_line(connection)


def garbage(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-odd\r\n" + bytes(range(256)) * 64)


def closes(connection: socket.socket) -> None:
    connection.recv(1)


@pytest.mark.parametrize(
    ("behave", "kind", "words"),
    [
        (hold, TransportError, "did not finish the SSH login in time"),
        (banner_then_silence, TransportError, "did not finish the SSH login in time"),
        (paints, TransportError, "Incompatible version"),
        (endless_line, OutputLimitError, "more than an SSH login takes"),
        (endless_lines, TransportError, "broke off the SSH login"),
        (giant_packet, OutputLimitError, "more than an SSH login takes"),
        (garbage, TransportError, "broke off the SSH login"),
        (closes, TransportError, "broke off the SSH login"),
    ],
)
def test_a_peer_that_does_not_get_as_far_as_a_login(
    behave: Raw, kind: type[TransportError], words: str, tmp_path: Path, key_file: str
) -> None:
    error = failure(raw_peer(behave, key_file=key_file), tmp_path / "known_hosts", 0.8 if "in time" in words else 20.0)
    assert isinstance(error, kind)
    assert words in str(error)
    assert str(error).isprintable(), "it goes into the journal and into tickets"
    assert len(str(error)) < 400


def silent(channel: paramiko.Channel) -> None:
    while channel.recv(4096):
        pass


def floods(channel: paramiko.Channel) -> None:
    while True:
        channel.sendall(b"y\n" * 8192)


def drips(channel: paramiko.Channel) -> None:
    while True:
        channel.sendall(b".")
        threading.Event().wait(0.05)


def hangs_up(channel: paramiko.Channel) -> None:
    channel.recv(1)
    channel.close()


def exits_without_status(channel: paramiko.Channel) -> None:
    channel.sendall(b"\x1b[31mThis account is closed.\x00\r\n")
    channel.shutdown(2)
    silent(channel)


def floods_the_protocol(channel: paramiko.Channel) -> None:
    while (transport := channel.get_transport()).is_active():
        transport.send_ignore(30_000)


@pytest.mark.parametrize(
    ("play", "kind", "words"),
    [
        (silent, OutputLimitError, r"did not finish in time \(0 bytes came\)"),
        (floods, OutputLimitError, r"sent more than \d+ bytes; it began: y y y"),
        (drips, OutputLimitError, r"did not finish in time \(\d+ bytes came\)"),
        (hangs_up, TransportError, "gave no answer: (it closed the connection|Connection reset)"),
        (exits_without_status, TransportError, r"broke off .* it said: \[31mThis account is closed\.$"),
        (floods_the_protocol, OutputLimitError, "more than we are ready to hear"),
    ],
)
def test_a_peer_that_plays_a_shell(
    play: Play, kind: type[TransportError], words: str, tmp_path: Path, key_file: str
) -> None:
    error = failure(ssh_peer(play, key_file=key_file), tmp_path / "known_hosts", 2.0 if "in time" in words else 20.0)
    assert isinstance(error, kind)
    assert re.search(words, str(error))


def test_a_peer_that_says_nothing_for_longer_than_its_scripts_may_take(tmp_path: Path, key_file: str) -> None:
    pins = tmp_path / "known_hosts"
    with ssh_peer(silent, key_file=key_file) as peer:
        known_hosts.pin(pins, peer.host, peer.key)
        pool = SshPool(pins, CLOCK)
        with pytest.raises(TransportError, match=r"fell silent for 5\.1 s$"):
            pool.run_batch(peer.host, [("true", 0.1)], Deadline.after(CLOCK, 60.0))
        pool.close()


def test_a_peer_that_lets_nobody_in(tmp_path: Path, key_file: str) -> None:
    error = failure(ssh_peer(silent, key_file=key_file, lets_in=False), tmp_path / "known_hosts", 5.0)
    assert "does not let any in" in str(error)
    assert f"{key_file} was refused" in str(error)


def test_a_peer_that_gives_no_shell(tmp_path: Path, key_file: str) -> None:
    error = failure(ssh_peer(silent, key_file=key_file, answers_exec=False), tmp_path / "known_hosts", 5.0)
    assert "let us in but gave no shell" in str(error)


def test_a_peer_with_another_key_is_not_even_told_who_we_are(tmp_path: Path, key_file: str) -> None:
    pins = tmp_path / "known_hosts"
    with ssh_peer(silent, key_file=key_file) as peer:
        other = known_hosts.HostKey(type=peer.key.type, base64=peer.key.base64[:-4] + "AAA=")
        known_hosts.pin(pins, peer.host, other)
        pool = SshPool(pins, CLOCK)
        with pytest.raises(HostKeyError, match="has changed") as caught:
            pool.run_batch(peer.host, SCRIPTS, Deadline.after(CLOCK, 5.0))
        pool.close()
    assert all(text in str(caught.value) for text in (peer.key.fingerprint, other.fingerprint, "nothing is done"))
    assert "watchkeeper host trust odd" in caught.value.hint


def liar(mangle: Callable[[bytes], bytes]) -> Play:
    """A shell that answers two scripts, after `mangle` saw its honest answer and the marker in it."""

    def play(channel: paramiko.Channel) -> None:
        heard = b""
        while (found := re.search(rb"^wk (wk[0-9a-f]{32}) 5 'echo two'\n", heard, re.MULTILINE)) is None:
            heard += channel.recv(4096)
        marker = found[1]
        honest = b"".join(marker + b"[" + text + marker + b"=0;" + marker + b"]" for text in (b"one\n", b"two\n"))
        channel.sendall(mangle(honest))
        silent(channel)

    return play


GUESS = b"wk" + b"0" * 32


@pytest.mark.parametrize(
    "mangle",
    [
        lambda honest: b"\x1b]0;motd\x07\xff\xfe\x00 welcome\r\n" + honest,
        lambda honest: GUESS + b"[forged" + GUESS + b"=0;" + GUESS + b"]" + honest,
        lambda honest: honest + b"late noise",
    ],
    ids=["a greeting of rubbish", "a forged section with a guessed marker", "noise behind"],
)
def test_what_stands_around_the_sections_is_ignored(
    mangle: Callable[[bytes], bytes], tmp_path: Path, key_file: str
) -> None:
    pins = tmp_path / "known_hosts"
    with ssh_peer(liar(mangle), key_file=key_file) as peer:
        known_hosts.pin(pins, peer.host, peer.key)
        pool = SshPool(pins, CLOCK)
        sections = pool.run_batch(peer.host, SCRIPTS, Deadline.after(CLOCK, 5.0))
        pool.close()
    assert [section.text for section in sections] == ["one\n", "two\n"]


def test_closing_the_pool_ends_a_batch_that_is_under_way(tmp_path: Path, key_file: str) -> None:
    pins, started, errors = tmp_path / "known_hosts", threading.Event(), list[BaseException]()

    def wait_for_more(channel: paramiko.Channel) -> None:
        started.set()
        silent(channel)

    with ssh_peer(wait_for_more, key_file=key_file) as peer:
        known_hosts.pin(pins, peer.host, peer.key)
        pool = SshPool(pins, CLOCK)

        def ask() -> None:
            try:
                pool.run_batch(peer.host, SCRIPTS, Deadline.after(CLOCK, 60.0))
            except TransportError as error:
                errors.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        assert started.wait(5)
        pool.close()
        asking.join(5)
    assert len(errors) == 1
    with pytest.raises(TransportError, match="stopping"):
        pool.run_batch(peer.host, SCRIPTS, Deadline.after(CLOCK, 1.0))
