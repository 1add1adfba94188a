"""Whether a database is ours, whole, and of a schema that this program can work on."""

import enum
from pathlib import Path

from sqlalchemy import Connection

from agent.errors import StoreError
from agent.store.tables import APPLICATION_ID, HEAD


class Standing(enum.Enum):
    """The schema of a database, seen from this program."""

    CURRENT = "current"  # ours, or a later one that still carries this program
    BEHIND = "behind"  # empty or older: migrate
    AHEAD = "ahead"  # made by a later program, and this one cannot work on it any more
    FOREIGN = "foreign"  # another program's database


def standing(connection: Connection) -> Standing:
    """Where the schema of this database stands."""
    mine = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
    tables = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
    if mine != APPLICATION_ID:
        return Standing.BEHIND if tables == 0 else Standing.FOREIGN
    revision = str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one())
    if revision == HEAD:
        return Standing.CURRENT
    if revision < HEAD:
        return Standing.BEHIND
    # A later revision says itself how old a program may be: yesterday's code runs on today's schema.
    oldest = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    return Standing.CURRENT if oldest <= int(HEAD) else Standing.AHEAD


def require_current(verdict: Standing, path: Path) -> None:
    """StoreError unless this program can work on the schema."""
    match verdict:
        case Standing.CURRENT:
            return
        case Standing.BEHIND:
            raise StoreError(
                f"{path}: the schema is missing or older than this program", hint="migrate it by: watchkeeper run"
            )
        case Standing.AHEAD:
            raise StoreError(
                f"{path}: the schema was made by a later version of this program",
                hint="upgrade watchkeeper here: watchkeeper --version",
            )
        case Standing.FOREIGN:
            raise StoreError(f"{path}: this is another program's database", hint="see `state` in config.yaml")


def quick_check(connection: Connection, path: Path) -> None:
    """StoreError unless SQLite finds the file whole."""
    faults = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA quick_check(3)")]
    if faults != ["ok"]:
        raise StoreError(
            f"{path}: the database is damaged ({'; '.join(faults)})",
            hint=f"stop the agent, move {path}* aside, put a good copy in its place",
        )
