"""Slow work: files in pieces, slots of the schedule, keys against ordering a job twice.

Only adds, so that the old code keeps working while the new one starts.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

from migrations import online

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
IS_OPEN = sa.text("state IN ('queued', 'started', 'retrying')")


def upgrade() -> None:
    """Add columns and tables."""
    online.add_column("jobs", sa.Column("dedupe_key", sa.String(120)))
    online.create_index("uq_jobs_dedupe_key", "jobs", ["dedupe_key"], unique=True, where=IS_OPEN)
    online.create_index("ix_jobs_kind_created_at_id", "jobs", ["kind", "created_at", "id"])
    online.create_index("ix_jobs_finished_at", "jobs", ["finished_at"])
    # What is over is found and deleted every hour.
    online.create_index("ix_login_sessions_expires_at", "login_sessions", ["expires_at"])
    online.create_index("ix_refresh_tokens_expires_at", "refresh_tokens", ["expires_at"])
    op.create_table(
        "scheduled_slots",
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("slot", MOMENT, nullable=False),
        sa.Column("job_id", sa.Uuid()),
        sa.PrimaryKeyConstraint("name", "slot", name="pk_scheduled_slots"),
    )
    op.create_index("ix_scheduled_slots_slot", "scheduled_slots", ["slot"])
    op.create_table(
        "files",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid()),
        sa.Column("number", sa.Integer()),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("media_type", sa.String(120), nullable=False),
        sa.Column("size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_files_job_id_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_files"),
    )
    op.create_index("ix_files_job_id", "files", ["job_id"])
    op.create_index("ix_files_expires_at", "files", ["expires_at"])
    op.create_table(
        "file_chunks",
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name="fk_file_chunks_file_id_files", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("file_id", "number", name="pk_file_chunks"),
    )


def downgrade() -> None:
    """Drop what was added; files and the memory of the schedule are lost."""
    op.drop_table("file_chunks")
    op.drop_table("files")
    op.drop_table("scheduled_slots")
    op.drop_index("ix_refresh_tokens_expires_at", "refresh_tokens")
    op.drop_index("ix_login_sessions_expires_at", "login_sessions")
    op.drop_index("ix_jobs_finished_at", "jobs")
    op.drop_index("ix_jobs_kind_created_at_id", "jobs")
    op.drop_index("uq_jobs_dedupe_key", "jobs")
    op.drop_column("jobs", "dedupe_key")
