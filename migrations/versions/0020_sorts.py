"""Indexes by which tasks are sorted, narrowed and counted among a million of them.

The index on due dates gets the moment of deletion, so that counting by it touches no row.

Revision ID: 0020
Revises: 0019
"""

import sqlalchemy as sa

from migrations import online

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

IS_OPEN = sa.text("status IN ('pending', 'in_progress') AND deleted_at IS NULL")
INDEXES = {
    "ix_tasks_due_date_id_deleted_at": ["due_date", "id", "deleted_at"],
    "ix_tasks_status_id_deleted_at": ["status", "id", "deleted_at"],
    "ix_tasks_title_id": ["title", "id"],
    "ix_tasks_updated_at_id_deleted_at": ["updated_at", "id", "deleted_at"],
    "ix_tasks_completed_at_id_deleted_at": ["completed_at", "id", "deleted_at"],
}


def upgrade() -> None:
    for name, columns in INDEXES.items():
        online.create_index(name, "tasks", columns)
    online.create_index("ix_tasks_open_due_date_id", "tasks", ["due_date", "id"], where=IS_OPEN)
    online.drop_index("ix_tasks_due_date_id", "tasks")


def downgrade() -> None:
    online.create_index("ix_tasks_due_date_id", "tasks", ["due_date", "id"])
    for name in [*INDEXES, "ix_tasks_open_due_date_id"]:
        online.drop_index(name, "tasks")
