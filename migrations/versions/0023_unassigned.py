"""An index of tasks that nobody is assigned to, which a list sorted by assignee ends with.

Revision ID: 0023
Revises: 0022
"""

import sqlalchemy as sa

from migrations import online

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

NAME = "ix_tasks_unassigned_id"


def upgrade() -> None:
    where = sa.text("assignee_id IS NULL AND deleted_at IS NULL")
    online.create_index(NAME, "tasks", ["id"], where=where)


def downgrade() -> None:
    online.drop_index(NAME, "tasks")
