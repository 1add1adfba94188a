"""PostgreSQL and MariaDB on the loopback, each in a folder of its own, with a table `orders` and a user who may read it."""

import contextlib
import dataclasses
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.lab.wait import until

USER, PASSWORD = "reader", "read-by-me"
_BIN = Path("/usr/lib/postgresql/15/bin")
_SYSTEM = Path("/usr/share/mysql")
_SMALL = ("--innodb-log-file-size=4M", "--innodb-flush-method=nosync", "--innodb-buffer-pool-size=8M")
_TABLE = "CREATE TABLE orders (shop varchar(20), waiting int, note varchar(20))"
_ROWS = "INSERT INTO orders VALUES ('fra', 3, NULL), ('ber', 0, 'quiet'), ('muc', 12, NULL)"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Database:
    """Where it listens."""

    port: int


@contextlib.contextmanager
def running_postgresql(certificate: Path) -> Iterator[Database]:
    """A PostgreSQL with SCRAM and, for who asks for it, TLS."""
    with _folder() as folder:
        key = folder / "server.pem"
        key.write_bytes(certificate.read_bytes())
        key.chmod(0o600)
        (folder / "super").write_text("super-secret")
        _own(folder)
        data = folder / "data"
        _run(
            [
                _BIN / "initdb",
                "-D",
                data,
                "-U",
                "super",
                "--pwfile",
                folder / "super",
                "-A",
                "scram-sha-256",
                "-N",
                "-E",
                "UTF8",
            ]
        )
        clear = "host clear all 127.0.0.1/32 password\n"
        access = data / "pg_hba.conf"
        access.write_text(clear + access.read_text())
        port = _free_port()
        options = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": folder, "fsync": "off", "ssl": "on",
                   "ssl_cert_file": key, "ssl_key_file": key}  # fmt: skip
        argv = [_BIN / "postgres", "-D", data, *(f"--{name}={value}" for name, value in options.items())]
        statements = [
            _TABLE, _ROWS, f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'", f"GRANT SELECT, INSERT ON orders TO {USER}",
            "CREATE DATABASE clear",
        ]  # fmt: skip
        with _running(argv, folder):
            until(lambda: _answers(port), 20, "PostgreSQL listens")
            psql = [_BIN / "psql", "-q", "-h", folder, "-p", port, "-U", "super", "-d", "postgres"]
            until(
                lambda: not _run([_BIN / "pg_isready", "-q", "-h", folder, "-p", port], check=False), 20, "it is ready"
            )
            _run([*psql, *(word for text in statements for word in ("-c", text))], PGPASSWORD="super-secret")
            yield Database(port=port)


@contextlib.contextmanager
def running_mariadb(certificate: Path) -> Iterator[Database]:
    """A MariaDB, with TLS for who asks for it."""
    with _folder() as folder:
        key = folder / "server.pem"
        key.write_bytes(certificate.read_bytes())
        data, port = folder / "data", _free_port()
        data.mkdir()
        _own(folder)
        tables = "".join((_SYSTEM / f"mysql_system_tables{part}.sql").read_text() for part in ("", "_data"))
        first = f"CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n{tables}"
        _run(["mariadbd", "--no-defaults", "--bootstrap", f"--datadir={data}", *_SMALL], said=first)
        begin = folder / "begin.sql"
        statements = [
            "CREATE DATABASE shop", "USE shop", _TABLE, _ROWS,
            f"CREATE USER {USER}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'", f"GRANT SELECT, INSERT ON shop.* TO {USER}@'127.0.0.1'",
        ]  # fmt: skip
        begin.write_text(";\n".join([*statements, ""]))
        _own(folder)
        argv = ["mariadbd", "--no-defaults", f"--datadir={data}", f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder}/s",
                f"--init-file={begin}", "--skip-name-resolve", f"--ssl-cert={key}", f"--ssl-key={key}", *_SMALL]  # fmt: skip
        with _running(argv, folder):
            until(lambda: _answers(port), 20, "MariaDB listens")
            yield Database(port=port)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A folder that another user may enter as well: databases do not run as root."""
    folder = Path(tempfile.mkdtemp(prefix="wk-db-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _own(folder: Path) -> None:
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, "nobody", "nogroup")


def _user() -> dict[str, str]:
    return {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}


def _words(argv: Sequence[object]) -> list[str]:
    return [str(word) for word in argv]


def _run(argv: Sequence[object], *, check: bool = True, said: str = "", **more: str) -> int:
    done = subprocess.run(
        _words(argv),
        input=said.encode(),
        capture_output=True,
        check=False,
        timeout=60,
        cwd="/",
        env={**os.environ, **more},
        **_user(),
    )  # type: ignore[call-overload]  # who it runs as
    assert not check or done.returncode == 0, done.stderr.decode()
    return int(done.returncode)


@contextlib.contextmanager
def _running(argv: Sequence[object], folder: Path) -> Iterator[None]:
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(_words(argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", **_user())  # type: ignore[call-overload]  # who it runs as
    try:
        yield
    finally:
        child.terminate()
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(10)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
