"""tls against nginx with good and bad certificates, by itself and after STARTTLS, and against peers that misbehave."""

import asyncio
import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.checks import Target
from agent.checks.tls import Tls, TlsOptions
from agent.clock import Deadline, SystemClock
from agent.model.look import Look, Verdict
from tests.lab.certificates import Authority
from tests.lab.wait import until

HERE = Target(host="here", address="127.0.0.1")
MAIL_MODULE = "/usr/lib/nginx/modules/ngx_mail_module.so"
WEB = "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {file}; ssl_certificate_key {file}; {more} }}\n"
MAIL = "server {{ listen 127.0.0.1:{port}; protocol {protocol}; {auth} starttls on; ssl_certificate {file}; ssl_certificate_key {file}; }}\n"
NGINX = """\
load_module {module}; pid {folder}/pid; error_log {folder}/error.log; daemon off; worker_processes 1;
events {{ worker_connections 64; }}
http {{ access_log off; ssl_protocols TLSv1.2 TLSv1.3; client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
{web} }}
mail {{ ssl_protocols TLSv1.2 TLSv1.3; server_name mail.example.org; auth_http 127.0.0.1:9/;
{mail} }}
"""
CERTIFICATES: dict[str, dict[str, Any]] = {
    "good": {"name": "shop.example.org"},
    "address": {"name": "127.0.0.1"},
    "expired": {"name": "shop.example.org", "begins": -9, "ends": -2},
    "early": {"name": "shop.example.org", "begins": 5},
    "alone": {"name": "shop.example.org", "is_signed": False},
    "other": {"name": "other.example.org"},
}


class Servers:
    """What runs for the tests of this file: ports by name, and what to trust."""

    def __init__(self, authority: Authority, ports: dict[str, int], good: Path) -> None:
        self.authority, self.ports, self.good = authority, ports, good

    def look(self, server: str, seconds: float = 5.0, **options: Any) -> Look:
        """What the probe says of one of them."""
        given = {"port": self.ports[server], "name": "shop.example.org", "ca": str(self.authority.file), **options}
        deadline = Deadline.after(SystemClock(), seconds)
        return asyncio.run(Tls.reach(HERE, TlsOptions.model_validate(given), deadline))


def free_ports(names: Sequence[str]) -> dict[str, int]:
    """Ports that nobody had a moment ago."""
    with contextlib.ExitStack() as stack:
        sockets = {name: stack.enter_context(socket.create_server(("127.0.0.1", 0))) for name in names}
        return {name: one.getsockname()[1] for name, one in sockets.items()}


def is_listening(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """One nginx with a web server for each certificate, and a mail server for each protocol."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    if program is None or not Path(MAIL_MODULE).exists():
        pytest.skip("no nginx with its mail module on this machine")
    folder = tmp_path_factory.mktemp("nginx")
    authority = Authority(folder)
    files = {name: authority.issue(**what) for name, what in CERTIFICATES.items()}
    ports = free_ports([*files, "smtp", "imap", "pop3", "old"])
    web = "".join(WEB.format(port=ports[name], file=file, more="") for name, file in files.items())
    web += WEB.format(port=ports["old"], file=files["good"], more="ssl_protocols TLSv1.2;")
    auth = {"smtp": "smtp_auth none;", "imap": "", "pop3": ""}
    mail = "".join(
        MAIL.format(port=ports[protocol], protocol=protocol, file=files["good"], auth=auth[protocol])
        for protocol in auth
    )
    configuration = folder / "nginx.conf"
    configuration.write_text(NGINX.format(module=MAIL_MODULE, folder=folder, web=web, mail=mail))
    argv = [program, "-c", str(configuration), "-p", str(folder), "-e", str(folder / "error.log")]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as nginx:
        try:
            until(lambda: nginx.poll() is not None or is_listening(ports["pop3"]), 10, "nginx listens")
            assert nginx.poll() is None, nginx.stderr and nginx.stderr.read()
            yield Servers(authority, ports, files["good"])
        finally:
            nginx.terminate()


@pytest.mark.parametrize(
    ("name", "options", "days", "chain"),
    [
        ("good", {}, 30, "ok"),
        ("address", {"name": None}, 30, "ok"),
        ("expired", {}, -2, "certificate has expired"),
        ("early", {}, 30, "certificate is not yet valid"),
        ("alone", {}, 30, "self-signed certificate"),
        ("other", {}, 30, "Hostname mismatch, certificate is not valid for 'shop.example.org'"),
        ("good", {"ca": None}, 30, "unable to get local issuer certificate"),
        ("smtp", {"starttls": "smtp"}, 30, "ok"),
        ("imap", {"starttls": "imap"}, 30, "ok"),
        ("pop3", {"starttls": "pop3"}, 30, "ok"),
        ("smtp", {"starttls": "smtp", "name": "mail.example.org"}, 30, "Hostname mismatch, certificate is not valid for 'mail.example.org'"),
    ],
)  # fmt: skip
def test_a_certificate_is_measured_and_judged(
    servers: Servers, name: str, options: dict[str, Any], days: float, chain: str
) -> None:
    look = servers.look(name, **options)
    assert look.verdict is (Verdict.OK if chain == "ok" else Verdict.CRITICAL), look
    assert look.metrics["chain"] == chain
    assert look.metrics["protocol"] == "TLSv1.3"
    assert look.metrics["expires_in"] == pytest.approx(days * 86400, abs=300)


def test_the_version_that_was_agreed_upon_is_told(servers: Servers) -> None:
    assert servers.look("old").metrics["protocol"] == "TLSv1.2"


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("smtp", {"starttls": "imap"}, "this is no IMAP server: 220 mail.example.org ESMTP ready"),
        ("imap", {"starttls": "pop3"}, "this is no POP3 server: * OK"),
        ("good", {"starttls": "smtp"}, "no handshake within"),
        ("pop3", {}, "TLS failed"),
        ("good", {"starttls": "postgres"}, "this is no PostgreSQL server"),
        ("good", {"starttls": "ldap"}, "this is no LDAP server"),
    ],
)
def test_a_server_of_another_protocol_is_critical(
    servers: Servers, name: str, options: dict[str, Any], words: str
) -> None:
    look = servers.look(name, seconds=0.7, **options)
    assert look.verdict is Verdict.CRITICAL
    assert words in look.summary


@contextlib.contextmanager
def scripted(script: Sequence[bytes | int], context: ssl.SSLContext | None) -> Iterator[int]:
    """A peer that follows its script: bytes are sent, a number is how many bytes to hear; then TLS, if given.

    It stands in for servers that no small package has (LDAP, PostgreSQL), and for faults that real ones do not show.
    """

    def behave(connection: socket.socket) -> None:
        connection.settimeout(5)
        for step in script:
            if isinstance(step, int):
                connection.recv(step, socket.MSG_WAITALL)
            else:
                connection.sendall(step)
        if context is None:
            connection.recv(65_536)
            connection.recv(65_536)
        else:
            with context.wrap_socket(connection, server_side=True) as secured:
                secured.recv(1)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection, contextlib.suppress(OSError):
                    behave(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        peer = threading.Thread(target=serve)
        peer.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        peer.join(10)


def ask(script: Sequence[bytes | int], servers: Servers | None, seconds: float = 5.0, **options: Any) -> Look:
    """What the probe says of a peer with this script."""
    context = None
    if servers is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(servers.good)
        options |= {"ca": str(servers.authority.file), "name": "shop.example.org"}
    with scripted(script, context) as port:
        valid = TlsOptions.model_validate({"port": port, **options})
        return asyncio.run(Tls.reach(HERE, valid, Deadline.after(SystemClock(), seconds)))


LDAP_OK = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"
LDAP_LONG = (
    b"\x30\x84\x00\x00\x00\x10\x02\x01\x01\x78\x84\x00\x00\x00\x07\x0a\x01\x00\x04\x00\x04\x00"  # as Active Directory
)
LDAP_NO = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\x00\x04\x00"


@pytest.mark.parametrize(
    ("protocol", "script"), [("ldap", [31, LDAP_OK]), ("ldap", [31, LDAP_LONG]), ("postgres", [8, b"S"])]
)
def test_ldap_and_postgres_begin_in_clear_too(servers: Servers, protocol: str, script: list[bytes | int]) -> None:
    look = ask(script, servers, starttls=protocol)
    assert look.verdict is Verdict.OK, look


@pytest.mark.parametrize(
    ("protocol", "script", "words"),
    [
        ("ldap", [31, LDAP_NO], "StartTLS is refused"),
        ("ldap", [31, b"\x30\x84\xff\xff\xff\xff"], "no LDAP server"),
        ("postgres", [8, b"N"], "TLS is refused"),
        ("postgres", [8, b"E"], "no PostgreSQL server"),
        ("smtp", [b"220 hi\r\n", 30, b"250 fine\r\n", 10, b"454 no\x1b[31m TLS\r\n"], "STARTTLS is refused: 454 no TLS"),
        ("smtp", [b"220-more\r\n" * 60], "a reply without end"),
        ("smtp", [b"2" * 100_000], "a line without end"),
        ("imap", [b"* OK hi\r\n", 14, b"wk1 BAD what\r\n"], "STARTTLS is refused: wk1 BAD what"),
        ("pop3", [b"+OK\r\n", 6, b"+OK\r\n+OK injected, in clear\r\n"], "TLS failed"),
        (None, [b"220 I do not speak first in TLS\r\n"], "TLS failed"),
        (None, [], "no handshake within 0.3 s"),
        ("smtp", [b"220 hi"], "no handshake within 0.3 s"),
    ],
)  # fmt: skip
def test_a_peer_that_misbehaves_is_critical_in_time(
    protocol: str | None, script: list[bytes | int], words: str
) -> None:
    look = ask(script, None, seconds=0.3, **({"starttls": protocol} if protocol else {}))
    assert look.verdict is Verdict.CRITICAL
    assert words in look.summary, look.summary
