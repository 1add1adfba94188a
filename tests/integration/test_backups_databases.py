"""Databases: dumped while they are written to, loaded into a new server by the drill, and the same in it."""

import contextlib
import dataclasses
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent.backups import BackupResult, DrillResult, Job, Kind, Outcome
from agent.backups.restic import sandbox
from agent.backups.stream import Stream
from agent.backups.streaming.verify import Kind as Database
from agent.backups.streaming.verify import Verify, verify
from agent.clock import Deadline, SystemClock
from tests.lab.certificates import Authority
from tests.lab.databases import PASSWORD, USER, running_mariadb, running_postgresql
from tests.lab.wait import until
from tests.vault import Vault

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may load a dump as nobody")
_WRITE = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
while True:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO orders VALUES ('w', 7, 'a')")
    connection.execute("INSERT INTO orders VALUES ('w', -7, 'b')")
    connection.execute("COMMIT")
    time.sleep(0.002)
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """A database with a table `orders` that somebody writes to in pairs, and how to save it.

    `ask` is a command line that answers a query with one value.
    """

    kind: Database
    command: str
    ask: tuple[str, ...]
    write: tuple[str, ...]
    fill: str
    sums: str  # a value for all that is in the table


def _writer(client: tuple[str, ...]) -> tuple[str, ...]:
    """One transaction after the other, from the client: a server's own loop would outlive it."""
    pair = "BEGIN; INSERT INTO orders VALUES ('w', 7, 'a'); INSERT INTO orders VALUES ('w', -7, 'b'); COMMIT;"
    return ("/bin/sh", "-c", 'text=$1; shift; yes "$text" | "$@"', "sh", pair, *client)


def environment(source: Source) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PGPASSWORD": PASSWORD, "MYSQL_PWD": PASSWORD} if source.ask else {}


def answer(source: Source, query: str) -> str:
    return subprocess.run(
        [*source.ask, query], env=environment(source), capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    with running_postgresql(authority.issue("127.0.0.1")) as found:
        login = f"-h 127.0.0.1 -p {found.port} -U {USER}"
        ask = ("psql", "-XAtq", *login.split(), "-d", "postgres", "-c")
        yield Source(
            kind="postgresql",
            command=f"pg_dump -Fc -Z0 {login} -t orders postgres",
            ask=ask,
            fill="INSERT INTO orders SELECT 'x', i * (1 - 2 * k), repeat('n', 20) FROM generate_series(1, 900) i, "
            "generate_series(0, 1) k",
            write=_writer(ask[:-1]),
            sums="SELECT md5(string_agg(shop || waiting::text || coalesce(note, '-'), ',' ORDER BY shop, waiting)) FROM orders",
        )


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    with running_mariadb(authority.issue("127.0.0.1")) as found:
        login = f"-h 127.0.0.1 -P {found.port} -u {USER}"
        ask = ("mariadb", "--no-defaults", "-N", "-B", *login.split(), "shop", "-e")
        yield Source(
            kind="mariadb",
            command=f"mariadb-dump --single-transaction --no-tablespaces {login} shop",
            ask=ask,
            fill="INSERT INTO orders WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) "
            "SELECT 'x', i * k, 'nnnn' FROM n, (SELECT 1 AS k UNION SELECT -1) pm",
            write=_writer(ask[:-1]),
            sums="SELECT CONCAT(COUNT(*), ' ', SUM(CRC32(CONCAT(shop, waiting, COALESCE(note, '-'))))) FROM orders",
        )


def documented(words: str) -> str:
    """The command of docs/databases.md in which these words are."""
    lines = (Path(__file__).parents[2] / "docs/databases.md").read_text(encoding="utf-8").splitlines()
    (found,) = (line.partition("command: ")[2] for line in lines if "command: " in line and words in line)
    return found


@pytest.fixture
def sqlite(tmp_path: Path) -> Source:
    path = tmp_path / "shop.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE orders (shop TEXT, waiting INTEGER, note TEXT)")
    connection.executemany(
        "INSERT INTO orders VALUES (?, ?, ?)", [("fra", 3, None), ("ber", 0, "q"), ("muc", 12, None)]
    )
    connection.commit()
    connection.close()
    return Source(
        kind="sqlite",
        command=documented("VACUUM INTO").replace("/srv/app/app.db", str(path)),
        ask=("sqlite3", "-cmd", ".timeout 5000", str(path)),
        fill="WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) INSERT INTO orders "
        "SELECT 'x', i * k, 'nnnn' FROM n, (SELECT 1 AS k UNION SELECT -1)",
        write=(sys.executable, "-c", _WRITE, str(path)),
        sums="SELECT count(*) || ' ' || total(waiting * length(shop || coalesce(note, '-'))) FROM orders",
    )


@pytest.fixture(params=["postgresql", "mariadb", "sqlite"])
def source(request: pytest.FixtureRequest) -> Source:
    """Each of them."""
    found: Source = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    folder = tmp_path_factory.mktemp("founded")
    return Vault(folder=folder / "vault", source=folder / "source").found()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Saved:
    """A database's backup: saved, drilled."""

    vault: Vault
    source: Source

    def job(self, kind: Kind, exec_id: str, query: str, **other: Any) -> Job:
        options = {
            "command": self.source.command,
            "filename": "shop.dump",
            "environment": {"PGPASSWORD": {"secret": "db"}, "MYSQL_PWD": {"secret": "db"}},
            "verify": self.source.kind,
            "query": query,
        }
        return dataclasses.replace(self.vault.job(kind, exec_id, **other), engine="stream", options=options)

    def backup(self, exec_id: str, query: str) -> BackupResult:
        job = self.job(Kind.BACKUP, exec_id, query)
        return Stream.backup(job, dataclasses.replace(self.vault.setting(job), secrets={"db": PASSWORD}))

    def drill(self, exec_id: str, query: str, saved: BackupResult) -> DrillResult:
        job = self.job(Kind.DRILL, exec_id, query, snapshot=saved.snapshot, manifest=saved.manifest)
        return Stream.drill(job, self.vault.setting(job))


@pytest.fixture
def saved(founded: Vault, tmp_path: Path, source: Source) -> Saved:
    shutil.copytree(founded.repository, tmp_path / "repository")
    return Saved(vault=Vault(folder=tmp_path, source=tmp_path / "source"), source=source)


@contextlib.contextmanager
def writing(source: Source) -> Iterator[None]:
    """Somebody writes pairs of rows, as fast as the database takes them."""
    before = int(answer(source, "SELECT count(*) FROM orders"))
    writer = subprocess.Popen(
        source.write,
        env=environment(source),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until(lambda: int(answer(source, "SELECT count(*) FROM orders")) > before + 10, 20, "rows come in")
        yield
        assert writer.poll() is None, "it was written to all the time"
    finally:
        os.killpg(writer.pid, signal.SIGKILL)
        writer.wait(20)


def test_a_database_is_saved_while_it_is_written_to_and_is_the_same_in_a_new_server(saved: Saved) -> None:
    source = saved.source
    answer(source, source.fill)
    whole = "SELECT CASE WHEN sum(waiting) = 15 AND count(*) > 1800 THEN 1 ELSE 0 END FROM orders"
    with writing(source):
        first = saved.backup("01A", whole)
    assert (first.outcome, first.files) == (Outcome.OK, 1), first.summary
    drilled = saved.drill(f"01B-{source.kind}", whole, first)
    assert (drilled.passed, drilled.faults) == (True, ()), "every transaction is in it whole, or not at all"
    until(lambda: answer(source, "SELECT sum(waiting) FROM orders") == "15", 10, "what was half done is undone")
    sums = answer(source, source.sums)
    same = f"SELECT ({source.sums}) = '{sums}'"  # our own words, and what we were told
    second = saved.backup("01C", same)
    assert saved.drill(f"01D-{source.kind}", same, second).faults == ()
    assert not list(Path("/var/tmp/watchkeeper-0/sandbox").glob(f"*-{source.kind}*")), "nothing of the servers stays"


def check(folder: Path, kind: Database, content: bytes, query: str = "") -> list[str]:
    (folder / "dump").write_bytes(content)
    wanted = Verify(kind=kind, filename="dump", query=query, name=f"01V-{os.getpid()}")
    return verify(folder, wanted, Deadline.after(SystemClock(), 60.0))


def dumped(source: Source) -> bytes:
    done = subprocess.run(
        ["/bin/sh", "-c", source.command], env=environment(source), capture_output=True, check=True, timeout=60
    )
    return done.stdout


def test_a_dump_that_does_not_load_or_is_empty_fails(source: Source, tmp_path: Path) -> None:
    whole = dumped(source)
    half = whole[: len(whole) // 2] if source.kind != "mariadb" else whole[: whole.index(b"INSERT") + 100]
    (cut,) = check(tmp_path, source.kind, half)
    assert cut.startswith(
        ("PostgreSQL could not load the dump: ", "MariaDB could not load the dump: ", "SQLite says: ")
    )
    (nothing,) = check(tmp_path, source.kind, b"-- nothing\n")
    assert nothing == ("the dump holds no table" if source.kind != "sqlite" else "it is no SQLite database")


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("SELECT 1 FROM customers", "no such table: customers"),
        ("SELECT count(*) FROM orders WHERE waiting > 1000000", "the query answers '0'"),
        ("SELECT 1 FROM orders WHERE waiting > 1000000", "the query answers ''"),
        ("SELECT NULL FROM orders", "the query answers 'None'"),
    ],
)
def test_an_answer_that_is_no_is_a_fault(sqlite: Source, tmp_path: Path, query: str, fault: str) -> None:
    (told,) = check(tmp_path, "sqlite", dumped(sqlite), query)
    assert told.endswith(fault)


def test_a_sqlite_database_that_is_gone_is_no_empty_one(sqlite: Source) -> None:
    path = Path(sqlite.ask[-1])
    path.unlink()
    with pytest.raises(subprocess.CalledProcessError):
        dumped(sqlite)
    assert not path.exists()


def test_a_row_whose_parent_is_gone_is_found_in_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "made"
    connection = sqlite3.connect(path)
    connection.executescript("""
        CREATE TABLE shops (name TEXT PRIMARY KEY);
        CREATE TABLE orders (shop TEXT REFERENCES shops);
        INSERT INTO orders VALUES ('gone');
    """)
    connection.close()
    assert check(tmp_path, "sqlite", path.read_bytes()) == [
        "SQLite says: a row of orders refers to one of shops that is not there"
    ]


def test_a_dump_that_runs_programs_can_do_nothing_with_them(tmp_path: Path) -> None:
    """PostgreSQL's superuser may run programs: whoever writes the dump must not become anybody here by that."""
    show = "id -un; ip -o link | grep -v lo:; (setsid sleep 7755 >/dev/null 2>&1 &)"
    dump = f"CREATE TABLE told (word text);\nCOPY told FROM PROGRAM '{show}';\n\\! touch /etc/was-here\n".encode()
    query = "SELECT string_agg(word, ',') FROM told"
    alone = f"SELECT ({query}) <> 'nobody'"
    assert check(tmp_path, "postgresql", dump, alone) == ["the query answers 'f'"]
    assert not Path("/etc/was-here").exists()
    sleeping = ["sleep", "7755"]
    until(
        lambda: not [one for one in psutil.process_iter(["cmdline"]) if one.info["cmdline"] == sleeping], 5, "it ends"
    )


def test_what_a_killed_drill_left_behind_goes_with_the_next_one(tmp_path: Path) -> None:
    left = Path(f"/var/tmp/watchkeeper-{os.geteuid()}")
    left.mkdir(mode=0o711, exist_ok=True)
    with sandbox.sandbox(left, f"alive-{os.getpid()}") as alive:
        dead = left / sandbox.FOLDER / f"dead-{os.getpid()}"
        (dead / "data").mkdir(parents=True)
        assert check(tmp_path, "postgresql", b"CREATE TABLE a (i int);\n") == []
        assert (alive.exists(), dead.exists()) == (True, False)
