"""History and trash: who changed what, and deleted tasks that can be restored.

Tasks that exist are not in the trash, and their history begins with their next
change. The indexes of lists get `deleted_at` at their end, so that counting
what is not in the trash still needs no row; the new ones are there before the
old ones go.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

from migrations import online

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
LISTS = (["created_at"], ["owner_id", "created_at"], ["assignee_id", "created_at"], ["project_id", "created_at"])
ACTIONS = "'created', 'changed', 'deleted', 'restored', 'transferred', 'processed'"


def upgrade() -> None:
    """Add a table, a column and indexes."""
    online.add_column("tasks", sa.Column("deleted_at", MOMENT))
    for columns in LISTS:
        online.create_index(_name([*columns, "id", "deleted_at"]), "tasks", [*columns, "id", "deleted_at"])
        online.drop_index(_name([*columns, "id"]), "tasks")
    is_trashed = sa.text("deleted_at IS NOT NULL")
    online.create_index("ix_tasks_deleted_at_id", "tasks", ["deleted_at", "id"], where=is_trashed)
    # Knowing nothing of the new column, the planner would take nearly everything to be in the trash.
    online.analyse("tasks")
    op.create_table(
        "task_changes",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("task_id", BIG_ID, nullable=False),
        sa.Column("version", BIG_ID, nullable=False),
        sa.Column("action", sa.String(20), nullable=False),
        sa.Column("actor_id", BIG_ID),
        sa.Column("via", sa.String(20), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.CheckConstraint(f"action IN ({ACTIONS})", name="action"),
        sa.CheckConstraint("via IN ('api', 'job', 'import', 'command')", name="via"),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_task_changes_task_id_tasks", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["actor_id"], ["users.id"], name="fk_task_changes_actor_id_users", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_task_changes"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_task_changes_task_id_id", "task_changes", ["task_id", "id"])
    op.create_index("ix_task_changes_actor_id", "task_changes", ["actor_id"])


def downgrade() -> None:
    """Drop all history, and for good what is in the trash: earlier versions would show it again."""
    op.execute("DELETE FROM posts WHERE task_id IN (SELECT id FROM tasks WHERE deleted_at IS NOT NULL)")
    op.drop_table("task_changes")
    op.execute("DELETE FROM tasks WHERE deleted_at IS NOT NULL")
    for columns in LISTS:
        op.create_index(_name([*columns, "id"]), "tasks", [*columns, "id"])
        op.drop_index(_name([*columns, "id", "deleted_at"]), "tasks")
    op.drop_index("ix_tasks_deleted_at_id", "tasks")
    op.drop_column("tasks", "deleted_at")


def _name(columns: list[str]) -> str:
    return f"ix_tasks_{'_'.join(columns)}"
