"""Tasks get a due date; the tasks that exist keep everything and have none.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

from migrations import online

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    online.add_column("tasks", sa.Column("due_date", sa.Date(), nullable=True))
    online.create_index("ix_tasks_due_date_id", "tasks", ["due_date", "id"])


def downgrade() -> None:
    op.drop_index("ix_tasks_due_date_id", "tasks")
    # SQLite before 3.35 cannot drop a column; 3.35 is from 2021 and the floor of Python 3.11's builds.
    op.drop_column("tasks", "due_date")
