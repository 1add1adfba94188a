"""Leases: who holds a host (or another name), until when, and under which fence."""

import dataclasses

from sqlalchemy import RowMapping, bindparam, select, update
from sqlalchemy.dialects.sqlite import insert

from agent.errors import ConflictError
from agent.store.tables import leases
from agent.store.tx import Reader, Tx, reading


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """A name that is held. The fence grows with every new holder; `deadline_ns` is on the boot clock of `boot_id`."""

    name: str
    owner: str
    boot_id: str
    pid: int
    started: int
    fence: int
    deadline_ns: int

    def is_over(self, *, boot_id: str, boottime_ns: int) -> bool:
        """Whether its time is up: past the deadline, or of an earlier boot. It stays held until it is released."""
        return boot_id != self.boot_id or boottime_ns >= self.deadline_ns


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """The answer when somebody else holds the name."""

    holder: Lease


_BY_NAME = select(leases).where(leases.c.name == bindparam("at_name"))
_TAKE = insert(leases)
_TAKE = _TAKE.on_conflict_do_update(
    index_elements=[leases.c.name],
    set_={name: _TAKE.excluded[name] for name in ("owner", "boot_id", "pid", "started", "fence", "deadline_ns")},
)
_MINE = (leases.c.name == bindparam("at_name"), leases.c.owner == bindparam("at_owner"))
_RELEASE = update(leases).where(*_MINE).values(owner=None)
_RELEASE_ALL = update(leases).where(leases.c.owner == bindparam("at_owner")).values(owner=None)
_RENEW = update(leases).where(*_MINE).values(pid=bindparam("to_pid"), started=bindparam("to_started"))


def acquire(tx: Tx, *, name: str, owner: str, pid: int, started: int, deadline_ns: int) -> Lease | Held:
    """Take a name for an owner (an execution's id), or say who holds it; an owner may take its own again.

    A holder whose time is up still holds: only a release, by evidence or by a person, frees the name.
    """
    row = tx.connection.execute(_BY_NAME, {"at_name": name}).mappings().one_or_none()
    fence = 1 if row is None else row["fence"] + 1
    if row is not None and row["owner"] is not None:
        if row["owner"] != owner:
            return Held(holder=_lease(row))
        fence = row["fence"]
    lease = Lease(
        name=name,
        owner=owner,
        boot_id=tx.clock.boot_id,
        pid=pid,
        started=started,
        fence=fence,
        deadline_ns=deadline_ns,
    )
    tx.connection.execute(_TAKE, dataclasses.asdict(lease))
    return lease


def release(tx: Tx, name: str, owner: str) -> bool:
    """Free a name; False when this owner does not hold it (any more)."""
    return tx.connection.execute(_RELEASE, {"at_name": name, "at_owner": owner}).rowcount == 1


def release_all(tx: Tx, owner: str) -> int:
    """Free every name that an owner holds; how many there were."""
    return tx.connection.execute(_RELEASE_ALL, {"at_owner": owner}).rowcount


def renew_owner(tx: Tx, name: str, owner: str, pid: int, started: int) -> Lease:
    """Note the process that now works for the holder; ConflictError when the owner does not hold the name."""
    values = {"at_name": name, "at_owner": owner, "to_pid": pid, "to_started": started}
    if tx.connection.execute(_RENEW, values).rowcount != 1:
        raise ConflictError(f"{name}: {owner} does not hold it any more", hint="do nothing there; read the lease again")
    return _lease(tx.connection.execute(_BY_NAME, {"at_name": name}).mappings().one())


def held(reader: Reader) -> list[Lease]:
    """Every name that is held, by name."""
    query = select(leases).where(leases.c.owner.is_not(None)).order_by(leases.c.name)
    return [_lease(row) for row in reading(reader).execute(query).mappings()]


def _lease(row: RowMapping) -> Lease:
    return Lease(**row)
