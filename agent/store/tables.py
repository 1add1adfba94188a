"""The tables, as the code of today sees them; the revisions in migrations/ make them."""

from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.types import Float

HEAD = "0003"  # the revision these tables stand for
APPLICATION_ID = 0x57414B45  # "WAKE" in the file's header: it is ours, not another program's database

metadata = MetaData()


def _table(name: str, *columns: Column[object]) -> Table:
    return Table(name, metadata, *columns)


def _text(name: str, *, key: bool = False, null: bool = False) -> Column[object]:
    return Column(name, Text, primary_key=key, nullable=null)


def _integer(name: str, *, key: bool = False, null: bool = False) -> Column[object]:
    return Column(name, Integer, primary_key=key, nullable=null)


def _blob(name: str) -> Column[object]:
    return Column(name, LargeBinary, nullable=False)


def _float(name: str) -> Column[object]:
    return Column(name, Float, nullable=False)


journal = _table(
    "journal",
    _integer("seq", key=True),
    _integer("recorded_at_us"),
    _integer("mono_ns"),
    _text("boot_id"),
    _text("actor"),
    _text("on_behalf_of"),
    _text("kind"),
    _text("object_type"),
    _text("object_id"),
    _integer("revision"),
    _text("why"),
    _text("body"),
    _integer("body_version"),
    _integer("policy_generation"),
    _text("exec_id"),
    _text("prev_hash"),
    _text("hash"),
)

counters = _table("counters", _text("prefix", key=True), _integer("value"))

states = _table("states", _text("key", key=True), _integer("revision"), _text("document"), _integer("at_seq"))

looks = _table(
    "looks",
    _text("place", key=True),
    _text("document"),
)

memories = _table(
    "memories",
    _text("key", key=True),
    _text("digest"),
    _text("boot_id"),
    _integer("at_us"),
    _text("document"),
)

series = _table("series", _integer("id", key=True), _text("key"), _text("instance"), _text("metric"))

sample_batches = _table(
    "sample_batches", _integer("id", key=True), _integer("at_tenth"), _integer("size"), _blob("body")
)

sample_hours = _table("sample_hours", _integer("hour", key=True), _integer("series", key=True), _blob("body"))

sample_days = _table("sample_days", _integer("day", key=True), _integer("series", key=True), _blob("body"))

incidents = _table(
    "incidents",
    _text("id", key=True),
    _text("number"),
    _text("cause"),
    _integer("episode"),
    _text("state"),
    _text("service"),
    _text("item"),
    _text("host", null=True),
    _text("severity"),
    _text("impact"),
    _text("urgency"),
    _text("priority"),
    _text("title"),
    _text("why"),
    _text("owner"),
    _integer("opened_at_us"),
    _integer("revision"),
    _integer("acknowledged_at_us", null=True),
    _text("acknowledged_by", null=True),
    _text("assigned_to", null=True),
    _integer("resolved_at_us", null=True),
    _text("resolution"),
    _text("runbook"),
    _text("recurrence_of", null=True),
)

timeline = _table(
    "timeline",
    _integer("seq", key=True),
    _text("incident_id"),
    _integer("at_us"),
    _text("actor"),
    _text("verb"),
    _text("text"),
)

executions = _table(
    "executions",
    _text("id", key=True),
    _text("number"),
    _text("kind"),
    _text("item"),
    _text("service"),
    _text("host", null=True),
    _text("state"),
    _text("actor"),
    _text("why"),
    _text("correlation_id"),
    _integer("episode"),
    _integer("attempt"),
    _text("boot_id"),
    _integer("deadline_ns"),
    _integer("intent_at_us"),
    _integer("revision"),
    _text("args"),
    _integer("risk"),
    _text("run_dir"),
    _integer("shim_pid", null=True),
    _integer("shim_started", null=True),
    _integer("dispatched_at_us", null=True),
    _integer("ended_at_us", null=True),
    _integer("exit_code", null=True),
    _integer("verified", null=True),
    _text("summary"),
    _text("detail"),
    _integer("policy_generation"),
    _text("idempotency_key", null=True),
)

leases = _table(
    "leases",
    _text("name", key=True),
    _text("owner", null=True),
    _text("boot_id"),
    _integer("pid"),
    _integer("started"),
    _integer("fence"),
    _integer("deadline_ns"),
)

outbox = _table(
    "outbox",
    _integer("seq", key=True),
    _text("id"),
    _text("sink"),
    _text("key"),
    _text("order_key"),
    _text("payload"),
    _integer("created_at_us"),
    _integer("attempts"),
    _integer("next_at_us"),
    _text("last_error"),
    _text("state"),
    _integer("ended_at_us", null=True),
)

points = _table(
    "points",
    _integer("seq", key=True),
    _text("key"),
    _text("exec_id"),
    _text("snapshot"),
    _integer("at_us"),
    _integer("files"),
    _integer("size_bytes"),
    _integer("added_bytes"),
    _integer("partial"),
    _text("manifest"),
)

proofs = _table(
    "proofs",
    _integer("seq", key=True),
    _text("key"),
    _text("exec_id"),
    _text("snapshot"),
    _integer("at_us"),
    _integer("passed"),
    _integer("compared"),
    _integer("torn"),
    _text("faults"),
    _float("restore_seconds"),
    _text("document"),
)

policy_sets = _table("policy_sets", _integer("generation", key=True), _text("digest"), _integer("saved_at_us"))

policy_files = _table(
    "policy_files",
    _integer("generation", key=True),
    _text("name", key=True),
    Column("content", LargeBinary, nullable=False),
)

switches = _table(
    "switches",
    _text("name", key=True),
    _integer("is_on"),
    _text("by"),
    _text("why"),
    _integer("at_us"),
)

orders = _table(
    "orders",
    _integer("seq", key=True),
    _text("id"),
    _text("verb"),
    _text("args"),
    _text("actor"),
    _integer("created_at_us"),
    _integer("taken_at_us", null=True),
    _integer("settled_at_us", null=True),
    _text("outcome", null=True),
)

dues = _table("dues", _text("key", key=True), _integer("at_us"))

owners = _table(
    "owners",
    _integer("id", key=True),
    _integer("pid"),
    _integer("started"),
    _text("boot_id"),
    _integer("started_at_us"),
)
