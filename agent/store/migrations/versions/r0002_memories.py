"""Revision 0002: what looks leave for the next look; the code of revision 0001 works on as it did, without it."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table; `PRAGMA user_version` stays: older code has no need of it."""
    op.execute(
        """CREATE TABLE memories (
            key TEXT PRIMARY KEY NOT NULL, digest TEXT NOT NULL, boot_id TEXT NOT NULL, at_us INTEGER NOT NULL,
            document TEXT NOT NULL
        ) STRICT"""
    )
