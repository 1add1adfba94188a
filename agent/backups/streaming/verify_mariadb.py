"""Proves a dump of MariaDB or MySQL: loads it into a new MariaDB, which stops at the first error, and asks it."""

import shutil
from pathlib import Path

from agent.backups.streaming import throwaway
from agent.backups.streaming.throwaway import Trial
from agent.clock import Deadline
from agent.errors import ToolError
from agent.transports import local

_PROGRAMS = {
    "mariadbd": "mariadb-server-core",
    "mariadb-install-db": "mariadb-server-core",
    "mariadb": "mariadb-client-core",
}
_SCRIPT = """\
cd "$1" || exit 10
query=$2
umask 077
small="--innodb-log-file-size=16M --innodb-flush-method=nosync --skip-log-bin"
mariadb-install-db --no-defaults --auth-root-authentication-method=normal --skip-test-db --skip-name-resolve \
    --datadir="$PWD/data" $small </dev/null >log 2>&1 || { tail -n 5 log >&2; exit 10; }
mariadbd --no-defaults --datadir="$PWD/data" --socket="$PWD/s" --pid-file="$PWD/pid" --skip-networking \
    --innodb-flush-log-at-trx-commit=0 --sql-mode= $small </dev/null >log 2>&1 &
server=$!
trap 'kill -TERM $server; wait $server' EXIT
ask() { mariadb --no-defaults --socket="$PWD/s" --user=root --batch --skip-column-names "$@"; }
until ask -e "SELECT 1" </dev/null >/dev/null 2>&1; do
    kill -0 $server 2>&- || { tail -n 5 log >&2; exit 11; }
    sleep 0.05
done
ask -e "CREATE DATABASE drilled" </dev/null || exit 11
ask drilled >/dev/null || exit 12
tables=$(ask -e "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema NOT IN
    ('mysql', 'information_schema', 'performance_schema', 'sys')" </dev/null) || exit 13
[ "$tables" -gt 0 ] || exit 14
[ -z "$query" ] || ask -e "$query" drilled </dev/null || exit 15
"""
_MEANINGS = {
    10: "no new MariaDB server could be made",
    11: "the new MariaDB server did not start",
    12: "MariaDB could not load the dump",
    13: "MariaDB cannot count its tables",
    14: "the dump holds no table",
    15: "the query failed",
}


def verify(dump: Path, query: str, name: str, deadline: Deadline) -> list[str]:
    """What is wrong with it; `name` is that of the folder it is loaded in."""
    for program, package in _PROGRAMS.items():
        if shutil.which(program, path=local.PLAIN["PATH"]) is None:
            raise ToolError(f"there is no {program} on this machine", hint=f"run: apt-get install {package}")
    said, faults = throwaway.run(
        Trial(script=_SCRIPT, arguments=(query,), meanings=_MEANINGS), dump, name, deadline
    )  # fmt: skip
    doubt = throwaway.no(said) if query and not faults else ""
    return [*faults, *([doubt] if doubt else [])]
