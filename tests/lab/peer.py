"""Scripted peers on loopback that misbehave in ways no real sshd does: raw bytes, or SSH by paramiko's server half."""

import contextlib
import dataclasses
import socket
import threading
from collections.abc import Callable, Iterator

import paramiko
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_SUCCEEDED

from agent.model.host import Connection, Host
from agent.transports.known_hosts import HostKey

Raw = Callable[[socket.socket], None]
Play = Callable[[paramiko.Channel], None]
_PIECE = 32_000  # of an answer: paramiko copies the rest of what it is given after each packet


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """Where a peer listens, and its key (of no meaning for a raw one)."""

    host: Host
    key: HostKey


class _Door(paramiko.ServerInterface):
    """Lets everybody in, or nobody, or who knows the password; takes any command, or gives a shell."""

    def __init__(self, *, lets_in: bool, answers_exec: bool, password: str | None = None) -> None:
        self._lets_in = lets_in
        self._password = password
        self._answers_exec = answers_exec
        self.asked = threading.Event()

    def get_allowed_auths(self, username: str) -> str:
        return "publickey" if self._password is None else "password"

    def check_auth_password(self, username: str, password: str) -> int:
        return AUTH_SUCCESSFUL if password == self._password else AUTH_FAILED

    def check_channel_pty_request(self, *_request: object) -> bool:
        return self._password is not None

    def check_channel_shell_request(self, channel: paramiko.Channel) -> bool:
        self.asked.set()
        return self._password is not None

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return AUTH_SUCCESSFUL if self._lets_in else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.asked.set()
        return self._answers_exec


@contextlib.contextmanager
def raw_peer(behave: Raw, *, key_file: str | None = None) -> Iterator[Peer]:
    """A TCP server that does `behave` with each connection, which is closed afterwards."""
    with _listening(behave) as port:
        yield Peer(host=_host(port, key_file), key=HostKey(type="ssh-ed25519", base64="AAAA"))


@contextlib.contextmanager
def ssh_peer(
    play: Play,
    *,
    key_file: str | None = None,
    lets_in: bool = True,
    answers_exec: bool = True,
    password: str | None = None,
) -> Iterator[Peer]:
    """An SSH server that plays the part of the shell; with a password, that of a device's command line."""
    key = paramiko.ECDSAKey.generate()

    def serve(connection: socket.socket) -> None:
        door = _Door(lets_in=lets_in, answers_exec=answers_exec, password=password)
        transport = paramiko.Transport(connection)
        transport.set_log_channel("agent.transports.protocol")
        transport.add_server_key(key)
        with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
            transport.start_server(server=door)
            channel = transport.accept(10)
            if channel is not None and door.asked.wait(10):
                play(channel)
        transport.close()

    with _listening(serve) as port:
        yield Peer(host=_host(port, key_file), key=HostKey(type=key.get_name(), base64=key.get_base64()))


def _host(port: int, key_file: str | None) -> Host:
    return Host(name="odd", address="127.0.0.1", port=port, user="any", key_file=key_file, connection=Connection.SSH)


@contextlib.contextmanager
def _listening(serve: Raw) -> Iterator[int]:
    threads: list[threading.Thread] = []

    def converse(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            serve(connection)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threads.append(threading.Thread(target=converse, args=(connection,), daemon=True))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join(5)
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive(), "a peer outlives its connection"


def prompting(prompt: bytes, answer: Callable[[bytes], bytes]) -> Play:
    """A switch: a prompt, then for every line its echo, what it answers to that command, and the prompt again."""

    def play(channel: paramiko.Channel) -> None:
        channel.sendall(prompt)
        line = b""
        while data := channel.recv(1024):
            line += data
            while b"\n" in line:
                said, _, line = line.partition(b"\n")
                command = said.strip()
                channel.sendall(command + b"\r\n")
                text = answer(command)
                for at in range(0, len(text), _PIECE):
                    channel.sendall(text[at : at + _PIECE])
                channel.sendall(prompt)

    return play
