"""A web server on loopback that keeps what it was sent and answers as told: the other side of a webhook."""

import contextlib
import dataclasses
import socketserver
import ssl
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Received:
    """One request."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclasses.dataclass(kw_only=True, slots=True)
class Receiver:
    """What it heard, and the raw bytes that it will answer; `answers` are used up first, then `always`."""

    port: int = 0
    requests: list[Received] = dataclasses.field(default_factory=list)
    answers: list[bytes] = dataclasses.field(default_factory=list)
    always: bytes = b"HTTP/1.1 204 No Content\r\n\r\n"
    is_mute: bool = False  # never answers
    left: threading.Event = dataclasses.field(default_factory=threading.Event)

    def keys(self) -> list[str]:
        """The Idempotency-Key of each request."""
        return [request.headers["idempotency-key"] for request in self.requests]


@contextlib.contextmanager
def receiving(context: ssl.SSLContext | None = None, *, port: int = 0) -> Iterator[Receiver]:
    """Listen in a thread until the end of the block; on a free port unless it is told which."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:  # the name that http.server looks for
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.requests.append(Received(path=self.path, headers=headers, body=body))
            if receiver.is_mute:
                receiver.left.wait(10)
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.wfile.write(receiver.answers.pop(0) if receiver.answers else receiver.always)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as its parent calls it
            pass

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that left, or did not trust us, is what some tests are about

    with Server(("127.0.0.1", port), Handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield receiver
        finally:
            receiver.left.set()
            server.shutdown()
            thread.join()
