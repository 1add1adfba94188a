"""Proves a dump of PostgreSQL: loads it into a new server, which stops at the first error, and asks it."""

from pathlib import Path

from agent.backups.streaming import throwaway
from agent.backups.streaming.throwaway import Trial
from agent.clock import Deadline
from agent.errors import ToolError

_DEBIAN = Path("/usr/lib/postgresql")
_MAGIC = b"PGDMP"  # of `pg_dump -Fc`
_SCRIPT = """\
cd "$1" || exit 10
bin=$2 format=$3 query=$4 PGHOST=$PWD PGUSER=wk_drill PGDATABASE=drilled
export PGHOST PGUSER PGDATABASE
umask 077
"$bin/initdb" -D "$PWD/data" -U $PGUSER -A trust -N -E UTF8 --locale=C </dev/null >log 2>&1 ||
    { tail -n 5 log >&2; exit 10; }
"$bin/postgres" -D "$PWD/data" -k "$PWD" -c listen_addresses= -c fsync=off -c full_page_writes=off \
    -c synchronous_commit=off -c autovacuum=off -c wal_level=minimal -c max_wal_senders=0 </dev/null >log 2>&1 &
server=$!
trap 'kill -INT $server; wait $server' EXIT
until "$bin/pg_isready" -q -d postgres </dev/null; do
    kill -0 $server 2>&- || { tail -n 5 log >&2; exit 11; }
    sleep 0.05
done
"$bin/createdb" -T template0 drilled </dev/null || exit 11
case $format in
custom) "$bin/pg_restore" --exit-on-error --no-owner --no-privileges -d drilled >&2 || exit 12 ;;
*) "$bin/psql" -X -q -v ON_ERROR_STOP=1 >/dev/null || exit 12 ;;
esac
ask() { "$bin/psql" -X -A -t -q -F "	" -v ON_ERROR_STOP=1 -c "$1" </dev/null; }
tables=$(ask "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')") || exit 13
[ "$tables" -gt 0 ] || exit 14
[ -z "$query" ] || ask "$query" || exit 15
"""
_MEANINGS = {
    10: "no new PostgreSQL server could be made",
    11: "the new PostgreSQL server did not start",
    12: "PostgreSQL could not load the dump",
    13: "PostgreSQL cannot count its tables",
    14: "the dump holds no table",
    15: "the query failed",
}


def verify(dump: Path, query: str, name: str, deadline: Deadline) -> list[str]:
    """What is wrong with it; `name` is that of the folder it is loaded in."""
    with dump.open("rb") as stream:
        form = "custom" if stream.read(len(_MAGIC)) == _MAGIC else "plain"
    trial = Trial(script=_SCRIPT, arguments=(str(_programs()), form, query), meanings=_MEANINGS)
    said, faults = throwaway.run(trial, dump, name, deadline)
    doubt = throwaway.no(said) if query and not faults else ""
    return [*faults, *([doubt] if doubt else [])]


def _programs() -> Path:
    """Where the newest PostgreSQL of this machine is: it loads the dumps of older ones."""
    found = [path.parent for path in _DEBIAN.glob("*/bin/initdb")]
    if not found:
        raise ToolError("there is no PostgreSQL server on this machine", hint="run: apt-get install postgresql")
    return max(found, key=lambda path: [int(part) for part in path.parent.name.split(".") if part.isdigit()])
