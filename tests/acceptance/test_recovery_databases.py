"""Databases that lost their rows come back by a recovery: the dump to its host, loaded beside, asked, put in place."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.shell import Shell
from tests.acceptance.world import TOP, World
from tests.lab.certificates import Authority
from tests.lab.databases import running_mariadb, running_postgresql

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make databases")
SUPER = "super-secret"
FAILS_IN_PLACE = """\
DROP TABLE IF EXISTS orders;
CREATE TABLE x (a int);
DELIMITER //
BEGIN NOT ATOMIC IF DATABASE() NOT LIKE '%trial%' THEN SIGNAL SQLSTATE '45000'; END IF; END//
"""


def told(*argv: str) -> str:
    environment = {"PATH": os.environ["PATH"], "PGPASSWORD": SUPER}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


def said(world: World) -> str:
    """All that playbooks have said."""
    return "\n".join(path.read_text(errors="replace") for path in world.folder.rglob("stdout"))


def declare(world: World, service: str, command: str, check: str, variables: Mapping[str, Any]) -> None:
    """A service that is one database, its backup and its recovery."""
    playbook = f"restore-{service}.yml"
    world.write(f"playbooks/{playbook}", (TOP / "playbooks" / playbook).read_text())
    stream = {"command": command, "filename": f"{service}.dump", "environment": {"PGPASSWORD": {"secret": "super"}}}
    dump = {"dump": f"{world.folder}/restored/{service}.dump"}
    world.policy(
        service,
        backups={"db": {"stream": stream, "repository": "main", "every": "day at 02:00"}},
        checks={"rows": {"command": check}},
        recoveries={
            "db": {
                "steps": [
                    {"restore": "backups/db", "to": f"{world.folder}/restored"},
                    {"playbook": playbook, "vars": {**dump, **variables}},
                ],
                "verify": ["checks/rows"], "verify_within": "5s",
            }
        },
    )  # fmt: skip


def test_databases_are_recovered_and_what_they_held_is_kept(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    certificate = Authority(tmp_path_factory.mktemp("authority")).issue("127.0.0.1")
    world.secret("super", SUPER)
    with running_postgresql(certificate) as one, running_mariadb(certificate) as other:
        psql = ("psql", "-XAtq", "-h", "127.0.0.1", "-p", str(one.port), "-U", "super", "-d")
        maria = ("mariadb", "--no-defaults", "-N", "-B", "--protocol=tcp", f"--port={other.port}", "-u", "root")
        told(*psql, "postgres", "-c", "CREATE DATABASE ledger")
        told(*psql, "ledger", "-c", "CREATE TABLE pages AS SELECT generate_series(1, 500) AS page")
        access = {"pg_host": "127.0.0.1", "pg_port": str(one.port), "pg_user": "super", "as_user": ""}
        declare(
            world, "postgresql", f"pg_dump -Fc -Z0 -h 127.0.0.1 -p {one.port} -U super ledger",
            " ".join((f"PGPASSWORD={SUPER}", *psql, "ledger -c 'SELECT 1/(count(*)/500) FROM pages'")),
            {**access, "database": "ledger", "ask_for": "SELECT count(*) = 500 FROM pages", "password": {"secret": "super"}},
        )  # fmt: skip
        declare(
            world, "mariadb", f"mariadb-dump --no-defaults --single-transaction --protocol=tcp --port={other.port} -u root shop",
            " ".join((*maria, "shop -e 'SELECT * FROM orders' | grep -q muc")),
            {"database": "shop", "db_host": "127.0.0.1", "db_port": str(other.port), "kept": f"{world.folder}/kept"},
        )  # fmt: skip
        shell = Shell("--config", str(world.config), folder=world.folder)
        shell.types("run", "--once")
        told(*psql, "ledger", "-c", "DELETE FROM pages WHERE page > 3")
        told(*maria, "shop", "-e", "DELETE FROM orders WHERE shop = 'muc'; CREATE TABLE newer (a int)")

        told(*psql, "postgres", "-c", "CREATE DATABASE ledger_restored")
        told(*psql, "postgres", "-c", "CREATE DATABASE ledger_restored_20260101_000000")
        told(*maria, "-e", "CREATE DATABASE shop_trial; CREATE TABLE shop_trial.own (a int)")
        shell.types("recovery", "run", "postgresql/db", "--yes")
        people = told(*psql, "postgres", "-c", "SELECT datname FROM pg_database WHERE datname ~ '_restored' ORDER BY 1")
        assert people.split() == ["ledger_restored", "ledger_restored_20260101_000000"], "made by somebody else"
        assert "drop it if nobody needs it: ledger_restored_20260101_000000" in said(world)
        assert told(*psql, "ledger", "-c", "SELECT count(*) FROM pages") == "500"
        (before,) = told(*psql, "postgres", "-c", "SELECT datname FROM pg_database WHERE datname ~ '_before_'").split()
        assert told(*psql, before, "-c", "SELECT count(*) FROM pages") == "3"
        assert f"what was there is the database {before} now" in said(world)
        shell.types("recovery", "run", "mariadb/db", "--yes")
        assert told(*maria, "shop", "-e", "SELECT COUNT(*) FROM orders; SHOW TABLES LIKE 'newer'").split() == [
            "3",
            "newer",
        ]
        (kept,) = Path(f"{world.folder}/kept").iterdir()
        assert "CREATE TABLE `newer`" in kept.read_text()
        assert "muc" not in kept.read_text()

        Path(f"{world.folder}/half.sql").write_text("CREATE TABLE x (a int);\nCREATE TABLE nonsense (;\n")
        half = ("-e", f"dump={world.folder}/half.sql", "-e", "database=shop", "-e", "db_host=127.0.0.1")
        play = ("playbook", "run", "restore-mariadb.yml", "--hosts", "here", "--reason", "half a dump")
        shell.types(*play, *half, "-e", f"db_port={other.port}", code=1)
        assert told(*maria, "shop", "-e", "SELECT COUNT(*) FROM orders") == "3"

        Path(f"{world.folder}/half.sql").write_text("USE `shop`;\nDELETE FROM orders;\n")
        shell.types(*play, *half, "-e", f"db_port={other.port}", code=1)
        assert told(*maria, "shop", "-e", "SELECT COUNT(*) FROM orders") == "3", "a trial touches nothing"

        Path(f"{world.folder}/half.sql").write_text(FAILS_IN_PLACE)
        shell.types(*play, *half, "-e", f"db_port={other.port}", "-e", f"kept={world.folder}/kept", code=1)
        assert told(*maria, "shop", "-e", "SELECT COUNT(*) FROM orders") == "3"
        assert f"what was there is loaded again, from {world.folder}/kept" in said(world)
        shell.types(*play, *half, "-e", f"db_port={other.port}", "-e", "database=fresh", code=1)
        assert "there was no such database before, and there is none now" in said(world)
        names = told(*maria, "-e", "SHOW DATABASES").split()
        assert "fresh" not in names
        assert [one for one in names if "_trial" in one] == ["shop_trial"], "made by somebody else"
