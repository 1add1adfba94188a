"""Asks a restored dump whether it works as a database of its kind."""

import dataclasses
from pathlib import Path
from typing import Literal

from agent.backups.streaming import verify_mariadb, verify_postgresql, verify_sqlite
from agent.clock import Deadline
from agent.errors import AgentError

Kind = Literal["postgresql", "mariadb", "sqlite"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Verify:
    """Which kind of database the file is; the first value that `query` answers must be neither empty, 0 nor false.

    `name` is that of the drill's execution.
    """

    kind: Kind
    filename: str
    query: str
    name: str


def verify(folder: Path, options: Verify, deadline: Deadline) -> list[str]:
    """The faults of the dump in a folder; TimeoutError when the time is up."""
    dump = folder / options.filename
    if not dump.is_file() or dump.is_symlink():
        return [f"{options.filename} is not there to be loaded"]
    try:
        match options.kind:
            case "postgresql":
                return verify_postgresql.verify(dump, options.query, options.name, deadline)
            case "mariadb":
                return verify_mariadb.verify(dump, options.query, options.name, deadline)
            case "sqlite":
                return verify_sqlite.verify(dump, options.query, deadline)
    except AgentError as error:
        return [f"{error}; {error.hint}" if error.hint else str(error)]
