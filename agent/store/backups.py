"""Saved points and the drills that proved them."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Select, bindparam, delete, func, select, text
from sqlalchemy.dialects.sqlite import insert

from agent.model.proof import Cycle, Older, Point, Proof
from agent.store.canonical import clean, dumps, loads
from agent.store.tables import points as points_table
from agent.store.tables import proofs as proofs_table
from agent.store.tx import Reader, Tx, reading

_MEASURED = (
    "snapshot_at_us", "turn", "files", "sampled", "size_bytes", "whole_bytes", "seconds", "parts", "cycle", "older", "alarm",
)  # fmt: skip  # what came with revision 0003, as one JSON document
# An adopted job may be collected twice; the second time changes nothing.
_ADD_POINT = insert(points_table).on_conflict_do_nothing(index_elements=[points_table.c.exec_id])
_ADD_PROOF = insert(proofs_table).on_conflict_do_nothing(index_elements=[proofs_table.c.exec_id])
_FORGET_POINT = delete(points_table).where(
    points_table.c.key == bindparam("at_key"), points_table.c.snapshot == bindparam("at_snapshot")
)
_POINTS = (
    select(points_table)
    .where(points_table.c.key == bindparam("at_key"))
    .order_by(points_table.c.at_us.desc(), points_table.c.seq.desc())
)
_YOUNGER = _POINTS.where(points_table.c.at_us > bindparam("since_us"))
_FIRST = select(func.min(points_table.c.at_us)).where(points_table.c.key == bindparam("at_key"))
# From key to key by the index, without a step for each point.
_FIRSTS = text("""
    WITH RECURSIVE of(key) AS (
        SELECT min(key) FROM points UNION ALL
        SELECT (SELECT min(key) FROM points WHERE key > of.key) FROM of WHERE of.key IS NOT NULL
    )
    SELECT key, (SELECT min(at_us) FROM points WHERE key = of.key) AS at_us FROM of WHERE key IS NOT NULL
""")
_GOOD_POINTS = _POINTS.where(points_table.c.partial == 0)
_PROOFS = (
    select(proofs_table)
    .where(proofs_table.c.key == bindparam("at_key"))
    .order_by(proofs_table.c.at_us.desc(), proofs_table.c.seq.desc())
)
_PASSED_PROOFS = _PROOFS.where(proofs_table.c.passed == 1)


def add_point(tx: Tx, point: Point) -> bool:
    """Keep a saved point; False when its execution has left one already."""
    row = {**dataclasses.asdict(point), "partial": int(point.partial)}
    return tx.connection.execute(_ADD_POINT, row).rowcount == 1


def forget_points(tx: Tx, keys: Collection[str], snapshots: Collection[str]) -> list[Point]:
    """Drop the points of these backups whose snapshots are gone; those that were there."""
    gone = set(snapshots)
    found = [point for key in keys for point in points(tx, key) if point.snapshot in gone]
    for point in found:
        tx.connection.execute(_FORGET_POINT, {"at_key": point.key, "at_snapshot": point.snapshot})
    return found


def add_proof(tx: Tx, proof: Proof) -> bool:
    """Keep a drill's finding; False when its execution has left one already."""
    faults = dumps([clean(fault) for fault in proof.faults])
    values = dataclasses.asdict(proof)
    document = dumps({name: values.pop(name) for name in _MEASURED})
    row = {**values, "passed": int(proof.passed), "faults": faults, "document": document}
    return tx.connection.execute(_ADD_PROOF, row).rowcount == 1


def proofs(reader: Reader, key: str, limit: int | None = None) -> list[Proof]:
    """The drills of a backup, the newest first."""
    return [_proof(row) for row in reading(reader).execute(_PROOFS.limit(limit), {"at_key": key}).mappings()]


def points(reader: Reader, key: str, limit: int | None = None) -> list[Point]:
    """The saved points of a backup, the newest first."""
    return [_point(row) for row in reading(reader).execute(_POINTS.limit(limit), {"at_key": key}).mappings()]


def younger(reader: Reader, key: str, since_us: int) -> list[Point]:
    """The saved points of a backup that are younger than a moment, the newest first."""
    given = {"at_key": key, "since_us": since_us}
    return [_point(row) for row in reading(reader).execute(_YOUNGER, given).mappings()]


def last_point(reader: Reader, key: str) -> Point | None:
    """The newest point, whole or partial."""
    return next(iter(points(reader, key, 1)), None)


def first_at(reader: Reader, key: str) -> int | None:
    """When the first point of a backup was made, µs UTC; None before there is one."""
    found: int | None = reading(reader).execute(_FIRST, {"at_key": key}).scalar_one()
    return found


def firsts(reader: Reader) -> dict[str, int]:
    """The same of all backups that have a point."""
    return {row.key: row.at_us for row in reading(reader).execute(_FIRSTS)}


def last_good_point(reader: Reader, key: str) -> Point | None:
    """The newest point that lacks nothing."""
    row = _first(reader, _GOOD_POINTS, key)
    return None if row is None else _point(row)


def last_proof(reader: Reader, key: str) -> Proof | None:
    """The newest drill, passed or not."""
    row = _first(reader, _PROOFS, key)
    return None if row is None else _proof(row)


def last_passed_proof(reader: Reader, key: str) -> Proof | None:
    """The newest drill that passed."""
    row = _first(reader, _PASSED_PROOFS, key)
    return None if row is None else _proof(row)


def _first(reader: Reader, query: Select[Any], key: str) -> Mapping[Any, Any] | None:
    return reading(reader).execute(query.limit(1), {"at_key": key}).mappings().one_or_none()


def _point(row: Mapping[Any, Any]) -> Point:
    values = {field.name: row[field.name] for field in dataclasses.fields(Point)}
    return Point(**{**values, "partial": bool(row["partial"])})


def _proof(row: Mapping[Any, Any]) -> Proof:
    values = {field.name: row[field.name] for field in dataclasses.fields(Proof) if field.name not in _MEASURED}
    measured = {name: value for name, value in loads(row["document"]).items() if name in _MEASURED}
    if "cycle" in measured:
        measured["cycle"] = Cycle(**measured["cycle"])
    if measured.get("older"):
        measured["older"] = Older(**measured["older"])
    return Proof(**{**values, **measured, "passed": bool(row["passed"]), "faults": tuple(loads(row["faults"]))})
