"""sql against a real PostgreSQL, a real MariaDB and a file of SQLite, and against servers that are none."""

import asyncio
import re
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import ValidationError

from agent.checks import Target
from agent.checks.sql import Sql, SqlOptions
from agent.clock import Deadline, SystemClock
from agent.errors import InputError
from agent.model.look import Look, Verdict
from agent.secrets import Secrets
from tests.lab.certificates import Authority
from tests.lab.databases import PASSWORD, USER, running_mariadb, running_postgresql
from tests.lab.wait import in_time, until

pytestmark = pytest.mark.xdist_group("databases")
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Server(NamedTuple):
    """A database of the lab: how its URL begins and ends, and the authority of its certificate."""

    scheme: str
    port: int
    database: str
    authority: str

    def url(self, user: str = USER, database: str = "") -> str:
        return f"{self.scheme}://{user}@127.0.0.1:{self.port}/{database or self.database}"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def postgresql(authority: Authority) -> Iterator[Server]:
    with running_postgresql(authority.issue("127.0.0.1")) as found:
        yield Server("postgresql", found.port, "postgres", str(authority.file))


@pytest.fixture(scope="module")
def mariadb(authority: Authority) -> Iterator[Server]:
    with running_mariadb(authority.issue("127.0.0.1")) as found:
        yield Server("mysql", found.port, "shop", str(authority.file))


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Server:
    """Each of them."""
    found: Server = request.getfixturevalue(request.param)
    return found


async def reach(timeout: float = 5.0, secrets: Secrets | None = None, **options: Any) -> Look:  # noqa: ASYNC109
    target = Target(host="db", address="127.0.0.1", secrets=secrets)
    return await Sql.reach(target, SqlOptions.model_validate(options), Deadline.after(SystemClock(), timeout))


def ask(server: Server, query: str, timeout: float = 5.0, **options: Any) -> Look:
    return asyncio.run(reach(timeout, **{"url": server.url(), "password": PASSWORD, "query": query, **options}))


class TestServers:
    def test_a_query_gives_a_value(self, server: Server) -> None:
        look = ask(server, "SELECT sum(waiting) FROM orders")
        assert (look.verdict, look.summary, look.metrics) == (Verdict.OK, "15", {"value": 15.0})

    @pytest.mark.parametrize(
        "query", ["SELECT shop, waiting FROM orders", "SELECT note, shop, waiting AS value FROM orders"]
    )
    def test_by_gives_an_instance_for_each_row(self, server: Server, query: str) -> None:
        look = ask(server, query, by="shop")
        assert (look.verdict, look.summary, look.metrics) == (Verdict.OK, "3 rows", {})
        assert {name: one.metrics["value"] for name, one in look.instances.items()} == {"fra": 3, "ber": 0, "muc": 12}

    def test_two_rows_of_one_name_are_unknown(self, server: Server) -> None:
        look = ask(server, "SELECT 'all' AS shop, waiting FROM orders", by="shop")
        assert (look.verdict, look.summary) == (Verdict.UNKNOWN, "two rows are called all: let the query sum them up")

    def test_no_row_is_no_instance(self, server: Server) -> None:
        look = ask(server, "SELECT shop, waiting FROM orders WHERE waiting > 99", by="shop")
        assert (look.verdict, look.summary, look.instances) == (Verdict.OK, "0 rows", {})

    def test_over_tls_the_certificate_is_verified(self, server: Server) -> None:
        good = ask(server, "SELECT 1", tls="true", ca=server.authority)
        assert good.metrics == {"value": 1.0}
        bad = ask(server, "SELECT 1", tls="true")
        assert bad.verdict is Verdict.CRITICAL
        assert bad.summary.startswith("certificate not trusted: ")

    @pytest.mark.parametrize(
        ("query", "summary"),
        [
            ("SELECT nope FROM orders", "nope"),
            ("SELECT 1; SELECT 2", ""),
            ("SELECT note FROM orders WHERE shop = 'fra'", "nothing (NULL)"),
            ("SELECT note FROM orders WHERE shop = 'ber'", "no number: quiet"),
            ("SELECT waiting FROM orders", "one row of one column is due, not 3 rows of 1 columns"),
            ("SELECT 1, 2", "one row of one column is due, not 1 rows of 2 columns"),
            ("SELECT waiting FROM orders WHERE waiting > 99", "one row of one column is due, not 0 rows"),
        ],
    )
    def test_what_is_no_value_is_unknown(self, server: Server, query: str, summary: str) -> None:
        look = ask(server, query)
        assert look.verdict is Verdict.UNKNOWN
        assert summary in look.summary
        assert not look.metrics

    @pytest.mark.parametrize(
        ("query", "summary"),
        [
            ("SELECT waiting FROM orders", "the answer has no column shop: waiting"),
            ("SELECT shop FROM orders", "which is the value? call a column value: there is no other column"),
            ("SELECT shop, note, waiting FROM orders", "which is the value? call a column value: note, waiting"),
        ],
    )
    def test_columns_that_cannot_be_told_apart_are_unknown(self, server: Server, query: str, summary: str) -> None:
        assert ask(server, query, by="shop").summary == summary

    def test_a_query_that_takes_too_long_is_cancelled_there_as_well(self, server: Server) -> None:
        sleep = "pg_sleep" if server.scheme == "postgresql" else "sleep"
        with in_time(0.5):
            look = ask(server, f"SELECT {sleep}(60)", timeout=0.5)
        assert (look.verdict, look.summary) == (Verdict.CRITICAL, "no answer within 0.5 s")
        table = "pg_stat_activity" if server.scheme == "postgresql" else "information_schema.processlist"
        column = "query" if server.scheme == "postgresql" else "info"
        state = " AND state = 'active'" if server.scheme == "postgresql" else ""
        left = f"SELECT count(*) FROM {table} WHERE {column} LIKE concat('%{sleep}', '(7%'){state}"  # noqa: S608  # ours
        until(lambda: ask(server, left).metrics == {"value": 0.0}, 3, "it has ended")

    @pytest.mark.parametrize(("options", "words"), [({"password": "wrong"}, USER), ({"database": "nope"}, "nope")])
    def test_who_is_not_let_in_cannot_tell(self, server: Server, options: dict[str, str], words: str) -> None:
        password, url = options.get("password", PASSWORD), server.url(database=options.get("database", ""))
        look = ask(server, "SELECT 1", url=url, password=password)
        assert look.verdict is Verdict.UNKNOWN
        assert words in look.summary
        assert PASSWORD not in look.summary

    def test_a_host_left_out_is_the_hosts(self, server: Server) -> None:
        assert ask(server, "SELECT 2", url=server.url().replace("127.0.0.1", "")).metrics == {"value": 2.0}

    def test_url_and_password_may_be_secrets(self, server: Server, tmp_path: Path) -> None:
        for name, value in (("url", server.url()), ("whole", server.url(f"{USER}:{PASSWORD}")), ("password", PASSWORD)):
            (tmp_path / name).write_text(value + "\n")
            (tmp_path / name).chmod(0o600)
        secrets = Secrets(tmp_path)
        both: dict[str, Any] = {"url": {"secret": "url"}, "password": {"secret": "password"}}
        for options in (both, {"url": {"secret": "whole"}}):
            look = asyncio.run(reach(secrets=secrets, query="SELECT 1", **options))
            assert look.metrics == {"value": 1.0}


class TestPostgresql:
    @pytest.mark.parametrize(
        ("query", "value"),
        [
            ("SELECT 1.25", 1.25),
            ("SELECT true", 1.0),
            ("SELECT interval '90 minutes'", 5400.0),
            ("WITH a AS (SELECT 7 AS x) SELECT x FROM a", 7.0),
            ("SELECT '{1,2,3}'::int[] @> ARRAY[2]", 1.0),
        ],
    )
    def test_numbers_truths_and_intervals_are_values(self, postgresql: Server, query: str, value: float) -> None:
        assert ask(postgresql, query).metrics == {"value": value}

    @pytest.mark.parametrize(
        ("query", "words"),
        [
            (
                "WITH a AS (INSERT INTO orders VALUES ('x', 1, NULL) RETURNING waiting) SELECT waiting FROM a",
                "read-only",
            ),
            ("SELECT 1; COMMIT; INSERT INTO orders VALUES ('x', 1, NULL)", "multiple commands"),
            ("SELECT g, 1 FROM generate_series(1, 1001) g", "more than 1,000 rows"),
            ("SELECT repeat('x', 3000000)", "it says more than 2 MB"),
        ],
    )
    def test_what_writes_or_is_too_much_is_refused(self, postgresql: Server, query: str, words: str) -> None:
        look = ask(postgresql, query)
        assert look.verdict is Verdict.UNKNOWN
        assert words in look.summary
        assert ask(postgresql, "SELECT count(*) FROM orders").metrics == {"value": 3.0}

    def test_no_password_goes_over_the_line_in_clear(self, postgresql: Server) -> None:
        url = postgresql.url(database="clear")
        assert ask(postgresql, "SELECT 1", url=url).summary == "it asks for the password in clear: set tls: true"
        assert ask(postgresql, "SELECT 1", url=url, tls="true", ca=postgresql.authority).metrics == {"value": 1.0}


def test_mariadb_writes_nothing(mariadb: Server) -> None:
    for query in ("SELECT 1; DROP TABLE orders", "WITH a AS (SELECT 1) INSERT INTO orders SELECT 'x', 1, NULL FROM a"):
        assert ask(mariadb, query).verdict is Verdict.UNKNOWN
    assert ask(mariadb, "SELECT count(*) FROM orders").metrics == {"value": 3.0}


# servers that are none

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    while await reader.read(100):
        pass


async def closing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


def saying(data: bytes) -> Behaviour:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await silent(reader, writer)

    return behave


async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"N\0\0\0\x0cSx\0y\0z\0\0" * 1000)
        await writer.drain()


async def dripping(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for letter in b"S\0\0\xff\xff" + b"x" * 1000:
        writer.write(bytes([letter]))
        await asyncio.sleep(0.02)


def packet(number: int, content: bytes) -> bytes:
    """As MySQL sends it."""
    return len(content).to_bytes(3, "little") + bytes([number]) + content


ALL_WELL = b"\0\0\0\2\0\0\0"
GREETING = (
    b"\n8.0.0\0\1\0\0\0saltsalt\0\xff\xf7\x21\2\0\xff\x81\x15" + bytes(10) + b"saltsaltsalt\0mysql_native_password\0"
)


async def asked_by(behave: Behaviour, scheme: str, timeout: float) -> Look:  # noqa: ASYNC109
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behave(reader, writer)
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        url = f"{scheme}://{USER}@127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
        return await reach(timeout, url=url, password=PASSWORD, query="SELECT 1")


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
@pytest.mark.parametrize(
    "behave",
    [
        pytest.param(behave, id=name)
        for name, behave in {
            "silence": silent,
            "closed": closing,
            "http": saying(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n" * 9),
            "garbage": saying(bytes(range(256)) * 40),
            "nothing": saying(bytes(5000)),
            "huge": saying(b"D\x7f\xff\xff\xffxxxx" + b"\xff\xff\xff\x00" * 50),
            "negative": saying(b"R\xff\xff\xff\xf0" * 50),
            "dripping": dripping,
            "scram": saying(b"R\0\0\0\x17\0\0\0\nSCRAM-SHA-256\0\0" + b"R\0\0\0\x19\0\0\0\x0br=x,s=c2FsdA==,i=4"),
            "thief": saying(
                packet(0, GREETING) + packet(2, ALL_WELL) + packet(1, ALL_WELL) * 2 + packet(1, b"\xfb/etc/passwd")
            ),
        }.items()
    ],
)
def test_what_is_no_database_is_critical_within_the_deadline(behave: Behaviour, scheme: str) -> None:
    with in_time(0.4):
        look = asyncio.run(asked_by(behave, scheme, 0.4))
    assert look.verdict is Verdict.CRITICAL
    assert look.summary


SASL = b"R\0\0\0\x17\0\0\0\nSCRAM-SHA-256\0\0"


async def wants_hours(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """SCRAM with as many rounds as a number holds."""
    await reader.read(1000)
    writer.write(SASL)
    nonce = re.search(rb",r=([^,]+)$", await reader.read(1000))
    assert nonce is not None
    first = b"\0\0\0\x0br=" + nonce[1] + b"server,s=c2FsdHNhbHRzYWx0c2FsdA==,i=2147483647"
    writer.write(b"R" + (len(first) + 4).to_bytes(4, "big") + first)
    await silent(reader, writer)


def key_of_its_own(plugin: bytes, *packets: bytes) -> tuple[Behaviour, list[bytes]]:
    """A MySQL that wants the password under a key that it has made; and what it hears."""
    heard: list[bytes] = []
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    text = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(packet(0, GREETING.replace(b"mysql_native_password", plugin)))
        for number, content in enumerate((*packets, b"\1" + text, ALL_WELL), start=1):
            heard.append(await reader.read(1000))
            writer.write(packet(2 * number, content))
        await silent(reader, writer)

    return behave, heard


def test_a_server_that_wants_the_password_hashed_for_hours_is_left_at_once() -> None:
    before = time.process_time()
    look = asyncio.run(asked_by(wants_hours, "postgresql", 5.0))
    assert (look.verdict, look.summary) == (Verdict.CRITICAL, "it wants the password hashed a million times or more")
    assert time.process_time() - before < 2


def test_a_server_asks_once_for_a_password() -> None:
    look = asyncio.run(asked_by(saying(SASL * 2), "postgresql", 5.0))
    assert (look.verdict, look.summary) == (Verdict.CRITICAL, "it asks for the password twice")


@pytest.mark.parametrize(("plugin", "packets"), [(b"caching_sha2_password", [b"\1\4"]), (b"sha256_password", [])])
def test_no_password_is_encrypted_for_whoever_sends_a_key(plugin: bytes, packets: list[bytes]) -> None:
    """Without TLS nobody vouches for it: it may be the key of somebody between us and the server."""
    behave, heard = key_of_its_own(plugin, *packets)
    look = asyncio.run(asked_by(behave, "mysql", 5.0))
    assert look.summary == "it asks for the whole password, under a key of its own: set tls: true"
    assert look.verdict is Verdict.CRITICAL
    assert heard[-1] == b"", "nothing follows the key"


def test_what_says_too_much_is_cut_off() -> None:
    look = asyncio.run(asked_by(endless, "postgresql", 5.0))
    assert (look.verdict, look.summary) == (Verdict.UNKNOWN, "it says more than 2 MB")


def test_nobody_there_is_critical() -> None:
    look = asyncio.run(reach(url="postgresql://x@127.0.0.1:1/x", query="SELECT 1"))
    assert (look.verdict, look.summary) == (Verdict.CRITICAL, "connection refused")


# SQLite


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a b?.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE jobs (name TEXT, age REAL)")
    connection.executemany("INSERT INTO jobs VALUES (?, ?)", [("import", 12.5), ("export", 3)])
    connection.commit()
    connection.close()
    return path


def ask_file(path: Path, query: str, timeout: float = 5.0, **options: Any) -> Look:
    url = f"sqlite://{str(path).replace('?', '%3F').replace(' ', '%20')}"
    return asyncio.run(reach(timeout, url=url, query=query, **options))


def test_a_file_is_asked(file: Path) -> None:
    assert ask_file(file, "SELECT max(age) FROM jobs").metrics == {"value": 12.5}
    by = ask_file(file, "SELECT name, age FROM jobs", by="name").instances
    assert {name: one.metrics["value"] for name, one in by.items()} == {"import": 12.5, "export": 3.0}


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT nope FROM jobs", "no such column: nope"),
        ("SELECT 1; DELETE FROM jobs", "one statement at a time"),
        ("WITH a AS (SELECT 1) DELETE FROM jobs", "not authorized"),
        ("SELECT load_extension('x')", "not authorized"),
        ("SELECT zeroblob(9000000)", "too big"),
    ],
)
def test_a_file_is_only_read(file: Path, query: str, words: str) -> None:
    look = ask_file(file, query)
    assert look.verdict is Verdict.UNKNOWN
    assert words in look.summary
    assert ask_file(file, "SELECT count(*) FROM jobs").metrics == {"value": 2.0}


def test_a_file_that_is_not_there_is_critical_and_not_made(tmp_path: Path) -> None:
    look = ask_file(tmp_path / "none.db", "SELECT 1")
    assert look.verdict is Verdict.CRITICAL
    assert list(tmp_path.iterdir()) == []


def test_a_file_says_no_more_than_a_server_may(file: Path) -> None:
    many = (
        "WITH a(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a WHERE x < 9) SELECT x, zeroblob(900000) AS value FROM a"
    )
    look = ask_file(file, many, by="x")
    assert (look.verdict, look.summary) == (Verdict.UNKNOWN, "more than 2 MB: let the query sum them up")


def test_an_endless_query_of_a_file_ends(file: Path) -> None:
    with in_time(0.3):
        look = ask_file(file, "WITH a(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a) SELECT max(x) FROM a", timeout=0.3)
    assert (look.verdict, look.summary) == (Verdict.CRITICAL, "no answer within 0.3 s")


# options


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "oracle://x@y/z"}, "'oracle' is no kind of database"),
        ({"url": "sqlite://x.db"}, "a file is due, from the root"),
        ({"url": "postgresql://a:b@c/d"}, "a password does not stand here"),
        ({"url": "postgresql://a@c/d?sslmode=off"}, "nothing goes behind the database's name"),
        ({"url": "postgresql://a@c:99999/d"}, "Port out of range"),
        ({"query": "DELETE FROM orders"}, "one SELECT is due"),
        ({"query": "selection"}, "one SELECT is due"),
    ],
)
def test_what_cannot_work_is_told_at_load(options: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        SqlOptions.model_validate({"url": "postgresql://a@b/c", "query": "SELECT 1", **options})


def test_a_check_about_no_host_needs_one_in_its_url() -> None:
    options = SqlOptions.model_validate({"url": "postgresql:///shop", "query": "SELECT 1"})
    with pytest.raises(InputError, match="about no host"):
        asyncio.run(Sql.reach(Target(host=None, address=None), options, Deadline.after(SystemClock(), 1)))


def test_a_secret_url_that_is_none_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("sqlite://secret-place?x")
    (tmp_path / "url").chmod(0o600)
    with pytest.raises(InputError) as told:
        asyncio.run(reach(secrets=Secrets(tmp_path), url={"secret": "url"}, query="SELECT 1"))
    assert "secret-place" not in str(told.value)
