"""Revision 0003: what a drill measured and drew; the code of revision 0002 works on as it did, without it."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column; `PRAGMA user_version` stays: older code has no need of it."""
    op.execute("ALTER TABLE proofs ADD COLUMN document TEXT NOT NULL DEFAULT '{}'")
