"""Who has a host: a change keeps backups away from it, and a backup keeps changes away, from its prepare to its cleanup.

A round with playbooks around its backup is open from its first step to its last, whichever process takes the steps; the
mark of its beginning stands among the dues, as does that of a backup whose last try did not succeed.
"""

from collections.abc import Iterator

from agent.model.check import host_of, item_of
from agent.model.execution import Execution, ExecutionKind, ExecutionState
from agent.model.gate import Past
from agent.store import dues, executions, leases
from agent.store.tx import Reader, Tx

_ROUND, _AGAIN = "round:", "again:"


def rounds(reader: Reader) -> dict[str, int]:
    """The open rounds: their mark (µs UTC, when they began) by the key of their backup."""
    return _marked(dues.beginning_with(reader, _ROUND), _ROUND)


def failed(last: dict[str, int]) -> frozenset[str]:
    """The keys of those backups whose last try did not succeed, out of all marks."""
    return frozenset(_marked(last, _AGAIN))


def _marked(last: dict[str, int], kind: str) -> dict[str, int]:
    return {key.removeprefix(kind): at_us for key, at_us in last.items() if key.startswith(kind)}


def close_round(tx: Tx, key: str) -> None:
    """It is over."""
    dues.forget(tx, _ROUND + key)


def note_begin(tx: Tx, key: str, mark: int | None) -> None:
    """A backup is tried: how the last try ended does not matter any more; with a mark it is a round of several steps."""
    dues.forget(tx, _AGAIN + key)
    if mark is not None:
        dues.mark(tx, _ROUND + key, mark)


def note_end(tx: Tx, execution: Execution) -> None:
    """A try did not succeed: it may be tried again."""
    is_try = execution.kind in {ExecutionKind.BACKUP, ExecutionKind.PREPARE}
    if is_try and execution.state is not ExecutionState.SUCCEEDED and not execution.detail.get("skipped"):
        dues.mark(tx, _AGAIN + execution.correlation_id, tx.clock.now())


def in_the_way(reader: Reader, key: str, host: str) -> str:
    """Why a backup may not begin on its host now; "" when it may."""
    return taken(reader, key).get(host, "")


def taken(reader: Reader, key: str = "") -> dict[str, str]:
    """The hosts on which a backup (but this one) may not begin now, and why."""
    found: dict[str, str] = {}
    for other in rounds(reader):
        if other != key:
            found[host_of(other) or ""] = f"{host_of(other)} is prepared for {item_of(other)}"
    working = {one.id: one for one in executions.open_ones(reader)}
    for lease in leases.held(reader):
        if (holder := working.get(lease.owner)) is not None:
            found[lease.name] = f"{lease.name} is held by {holder.number} ({holder.item})"
    return found


def saving(reader: Reader, key: str) -> Iterator[tuple[str, str]]:
    """The hosts that backups other than this one have, and which: no change begins there."""
    for one in executions.open_ones(reader):
        if one.kind is ExecutionKind.BACKUP and one.correlation_id != key and one.host is not None:
            yield one.host, f"{one.number} ({one.item})"
    for other in rounds(reader):
        if other != key:
            yield host_of(other) or "", f"the backup of {item_of(other)}, with what runs around it"


def prepared(reader: Reader, key: str) -> Iterator[Past]:
    """The hosts that other backups have prepared: they do not count as healthy meanwhile."""
    for other, mark in rounds(reader).items():
        if other != key:
            yield Past(
                item=item_of(other), service=item_of(other).partition("/")[0], hosts=(host_of(other) or "",), cause="",
                episode=1, automatic=False, at_us=mark, running=True, planned=True,
            )  # fmt: skip
