"""Revision 0001: the journal and its triggers, states, incidents, executions, leases, outbox, backups, policies."""

from alembic import op

revision = "0001"
down_revision = None

# `PRAGMA user_version` is the oldest revision whose code can still work on this schema; 0x57414B45 marks the file as ours.
_STATEMENTS = (
    "PRAGMA application_id = 1463896901",
    "PRAGMA user_version = 1",
    """CREATE TABLE journal (
        seq INTEGER PRIMARY KEY, recorded_at_us INTEGER NOT NULL, mono_ns INTEGER NOT NULL, boot_id TEXT NOT NULL,
        actor TEXT NOT NULL, on_behalf_of TEXT NOT NULL, kind TEXT NOT NULL, object_type TEXT NOT NULL,
        object_id TEXT NOT NULL, revision INTEGER NOT NULL, why TEXT NOT NULL, body TEXT NOT NULL,
        body_version INTEGER NOT NULL, policy_generation INTEGER NOT NULL, exec_id TEXT NOT NULL,
        prev_hash TEXT NOT NULL, hash TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX journal_object ON journal (object_id, seq)",
    """CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
    """CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
    """CREATE TRIGGER journal_in_order BEFORE INSERT ON journal
    WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM journal)
    BEGIN SELECT RAISE(ABORT, 'the journal only grows at its end'); END""",
    "CREATE TABLE counters (prefix TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    """CREATE TABLE states (
        key TEXT PRIMARY KEY NOT NULL, revision INTEGER NOT NULL, document TEXT NOT NULL, at_seq INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX states_changed ON states (at_seq)",
    "CREATE TABLE looks (place TEXT PRIMARY KEY NOT NULL, document TEXT NOT NULL) STRICT",
    """CREATE TABLE series (
        id INTEGER PRIMARY KEY, key TEXT NOT NULL, instance TEXT NOT NULL, metric TEXT NOT NULL
    ) STRICT""",
    "CREATE UNIQUE INDEX series_name ON series (key, instance, metric)",
    """CREATE TABLE sample_batches (
        id INTEGER PRIMARY KEY, at_tenth INTEGER NOT NULL, size INTEGER NOT NULL, body BLOB NOT NULL
    ) STRICT""",
    "CREATE INDEX sample_batches_at ON sample_batches (at_tenth)",
    """CREATE TABLE sample_hours (
        hour INTEGER NOT NULL, series INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (hour, series)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE sample_days (
        day INTEGER NOT NULL, series INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (day, series)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE incidents (
        id TEXT PRIMARY KEY NOT NULL, number TEXT NOT NULL UNIQUE, cause TEXT NOT NULL, episode INTEGER NOT NULL,
        state TEXT NOT NULL, service TEXT NOT NULL, item TEXT NOT NULL, host TEXT, severity TEXT NOT NULL,
        impact TEXT NOT NULL, urgency TEXT NOT NULL, priority TEXT NOT NULL, title TEXT NOT NULL, why TEXT NOT NULL,
        owner TEXT NOT NULL, opened_at_us INTEGER NOT NULL, revision INTEGER NOT NULL, acknowledged_at_us INTEGER,
        acknowledged_by TEXT, assigned_to TEXT, resolved_at_us INTEGER, resolution TEXT NOT NULL,
        runbook TEXT NOT NULL, recurrence_of TEXT
    ) STRICT""",
    "CREATE UNIQUE INDEX incidents_one_open ON incidents (cause) WHERE state IN ('open', 'acknowledged')",
    "CREATE INDEX incidents_cause ON incidents (cause, opened_at_us)",
    "CREATE INDEX incidents_opened ON incidents (opened_at_us)",
    """CREATE TABLE timeline (
        seq INTEGER PRIMARY KEY, incident_id TEXT NOT NULL REFERENCES incidents (id), at_us INTEGER NOT NULL,
        actor TEXT NOT NULL, verb TEXT NOT NULL, text TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX timeline_incident ON timeline (incident_id, seq)",
    """CREATE TABLE executions (
        id TEXT PRIMARY KEY NOT NULL, number TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, item TEXT NOT NULL,
        service TEXT NOT NULL, host TEXT, state TEXT NOT NULL, actor TEXT NOT NULL, why TEXT NOT NULL,
        correlation_id TEXT NOT NULL, episode INTEGER NOT NULL, attempt INTEGER NOT NULL, boot_id TEXT NOT NULL,
        deadline_ns INTEGER NOT NULL, intent_at_us INTEGER NOT NULL, revision INTEGER NOT NULL, args TEXT NOT NULL,
        risk INTEGER NOT NULL, run_dir TEXT NOT NULL, shim_pid INTEGER, shim_started INTEGER,
        dispatched_at_us INTEGER, ended_at_us INTEGER, exit_code INTEGER, verified INTEGER, summary TEXT NOT NULL,
        detail TEXT NOT NULL, policy_generation INTEGER NOT NULL, idempotency_key TEXT
    ) STRICT""",
    "CREATE UNIQUE INDEX executions_once ON executions (idempotency_key) WHERE idempotency_key IS NOT NULL",
    "CREATE INDEX executions_unsettled ON executions (state) WHERE state IN ('intent', 'dispatched', 'uncertain')",
    "CREATE INDEX executions_correlation ON executions (correlation_id)",
    "CREATE INDEX executions_intent ON executions (intent_at_us)",
    """CREATE TABLE leases (
        name TEXT PRIMARY KEY NOT NULL, owner TEXT, boot_id TEXT NOT NULL, pid INTEGER NOT NULL,
        started INTEGER NOT NULL, fence INTEGER NOT NULL, deadline_ns INTEGER NOT NULL
    ) STRICT""",
    """CREATE TABLE outbox (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, sink TEXT NOT NULL, key TEXT NOT NULL UNIQUE,
        order_key TEXT NOT NULL, payload TEXT NOT NULL, created_at_us INTEGER NOT NULL, attempts INTEGER NOT NULL,
        next_at_us INTEGER NOT NULL, last_error TEXT NOT NULL, state TEXT NOT NULL, ended_at_us INTEGER
    ) STRICT""",
    "CREATE INDEX outbox_waiting ON outbox (sink, order_key, seq) WHERE state = 'waiting'",
    """CREATE TABLE points (
        seq INTEGER PRIMARY KEY, key TEXT NOT NULL, exec_id TEXT NOT NULL UNIQUE, snapshot TEXT NOT NULL,
        at_us INTEGER NOT NULL, files INTEGER NOT NULL, size_bytes INTEGER NOT NULL, added_bytes INTEGER NOT NULL,
        partial INTEGER NOT NULL, manifest TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX points_key ON points (key, at_us)",
    """CREATE TABLE proofs (
        seq INTEGER PRIMARY KEY, key TEXT NOT NULL, exec_id TEXT NOT NULL UNIQUE, snapshot TEXT NOT NULL,
        at_us INTEGER NOT NULL, passed INTEGER NOT NULL, compared INTEGER NOT NULL, torn INTEGER NOT NULL,
        faults TEXT NOT NULL, restore_seconds REAL NOT NULL
    ) STRICT""",
    "CREATE INDEX proofs_key ON proofs (key, at_us)",
    """CREATE TABLE policy_sets (
        generation INTEGER PRIMARY KEY AUTOINCREMENT, digest TEXT NOT NULL, saved_at_us INTEGER NOT NULL
    ) STRICT""",
    """CREATE TABLE policy_files (
        generation INTEGER NOT NULL REFERENCES policy_sets (generation), name TEXT NOT NULL, content BLOB NOT NULL,
        PRIMARY KEY (generation, name)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE switches (
        name TEXT PRIMARY KEY NOT NULL, is_on INTEGER NOT NULL, by TEXT NOT NULL, why TEXT NOT NULL, at_us INTEGER NOT NULL
    ) STRICT""",
    """CREATE TABLE orders (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, verb TEXT NOT NULL, args TEXT NOT NULL,
        actor TEXT NOT NULL, created_at_us INTEGER NOT NULL, taken_at_us INTEGER, settled_at_us INTEGER, outcome TEXT
    ) STRICT""",
    "CREATE INDEX orders_waiting ON orders (seq) WHERE settled_at_us IS NULL",
    "CREATE TABLE dues (key TEXT PRIMARY KEY NOT NULL, at_us INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    """CREATE TABLE owners (
        id INTEGER PRIMARY KEY CHECK (id = 1), pid INTEGER NOT NULL, started INTEGER NOT NULL, boot_id TEXT NOT NULL,
        started_at_us INTEGER NOT NULL
    ) STRICT""",
)


def upgrade() -> None:
    """Make the first schema."""
    for statement in _STATEMENTS:
        op.execute(statement)
