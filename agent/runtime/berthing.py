"""Takes the berths of a backup's work, in the transaction that files it."""

from agent.practices import berths
from agent.practices.berths import Full, Wish
from agent.store import leases
from agent.store.tx import Tx


def take(tx: Tx, wish: Wish, *, owner: str, deadline_ns: int) -> tuple[str, ...] | Full:
    """Hold what the wish needs for an execution, or nothing at all; they are freed with all that it holds."""
    chosen = berths.choose(wish, {lease.name for lease in leases.held(tx)})
    if isinstance(chosen, Full):
        return chosen
    for name in chosen:
        leases.acquire(tx, name=name, owner=owner, pid=0, started=0, deadline_ns=deadline_ns)
    return chosen
