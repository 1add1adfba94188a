"""Answers of web servers that no real one gives, for raw peers."""

import select
import socket

from tests.lab.peer import Raw

PAGE = b"HTTP/1.1 200 OK\r\n\r\n"


def many_values() -> bytes:
    """A mebibyte of JSON that would be a hundred in memory."""
    return b'{"a": [' + b"{}," * 340_000 + b"{}]}"


def moved(location: str) -> Raw:
    """A page that has always moved there; PORT stands for its own."""

    def behave(connection: socket.socket) -> None:
        connection.recv(65_536)
        there = location.replace("PORT", str(connection.getsockname()[1]))
        connection.sendall(f"HTTP/1.1 302 Found\r\nLocation: {there}\r\nContent-Length: 0\r\n\r\n".encode())

    return behave


def answering(page: bytes) -> Raw:
    """Gives a page, and hangs up."""

    def behave(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(page)

    return behave


def length(body: bytes) -> bytes:
    """A page of its right length."""
    return PAGE[:-2] + b"Content-Length: %d\r\n\r\n" % len(body) + body


def deaf(connection: socket.socket) -> None:
    """Takes nothing that is sent, says nothing, and waits to be left."""
    waiting = select.poll()
    waiting.register(connection, select.POLLRDHUP)
    waiting.poll(15_000)
