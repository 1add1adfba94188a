"""The journal: lines are added at the end, sealed to the line before, and never changed."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert, select

from agent.model.journal import GENESIS, Entry, Line
from agent.store.canonical import clean, dumps, loads
from agent.store.chain import Head, Verification, seal, verify
from agent.store.tables import journal
from agent.store.tx import Reader, Tx, reading

__all__ = ["Head", "Verification", "append", "head", "lines", "verify"]

_INSERT = insert(journal)
_HEAD = select(journal.c.seq, journal.c.hash).order_by(journal.c.seq.desc()).limit(1)


def append(tx: Tx, entry: Entry) -> Line:
    """Write one line; it is durable with the rest of the transaction."""
    before = head(tx)
    columns: dict[str, Any] = {
        "seq": before.seq + 1,
        "recorded_at_us": tx.clock.now(),
        "mono_ns": tx.clock.boottime(),
        "boot_id": tx.clock.boot_id,
        "actor": clean(entry.actor),
        "on_behalf_of": clean(entry.on_behalf_of),
        "kind": entry.kind,
        "object_type": entry.object_type,
        "object_id": clean(entry.object_id),
        "revision": entry.revision,
        "why": clean(entry.why),
        "body": dumps(entry.body),
        "body_version": entry.body_version,
        "policy_generation": entry.policy_generation,
        "exec_id": entry.exec_id,
    }
    sealed = {**columns, "prev_hash": before.hash, "hash": seal(before.hash, columns)}
    tx.connection.execute(_INSERT, sealed)
    tx.failpoint("journal-append")
    return _line(sealed)


def head(reader: Reader) -> Head:
    """The last line's number and hash; 0 and the genesis hash before the first."""
    row = reading(reader).execute(_HEAD).one_or_none()
    return Head(0, GENESIS) if row is None else Head(row.seq, row.hash)


def lines(reader: Reader, *, object_id: str | None = None, after: int = 0, limit: int | None = None) -> list[Line]:
    """The lines after a number, oldest first; those about one record only when it is named."""
    query = select(journal).where(journal.c.seq > after).order_by(journal.c.seq).limit(limit)
    if object_id is not None:
        query = query.where(journal.c.object_id == object_id)
    return [_line(row) for row in reading(reader).execute(query).mappings()]


def _line(row: Mapping[Any, Any]) -> Line:
    entry = Entry(
        actor=row["actor"],
        kind=row["kind"],
        object_type=row["object_type"],
        object_id=row["object_id"],
        why=row["why"],
        revision=row["revision"],
        on_behalf_of=row["on_behalf_of"],
        body=loads(row["body"]),
        body_version=row["body_version"],
        policy_generation=row["policy_generation"],
        exec_id=row["exec_id"],
    )
    return Line(
        seq=row["seq"],
        recorded_at_us=row["recorded_at_us"],
        mono_ns=row["mono_ns"],
        boot_id=row["boot_id"],
        entry=entry,
        prev_hash=row["prev_hash"],
        hash=row["hash"],
    )
