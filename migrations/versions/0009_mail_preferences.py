"""E-mail: the time zone of people, what they do not want to get, what they were reminded of.

Only adds, so that the old code keeps working while the new one starts.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

from migrations import online

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add a column and two tables."""
    online.add_column("users", sa.Column("time_zone", sa.String(64), nullable=False, server_default="UTC"))
    online.end_transaction()
    op.create_table(
        "mail_opt_outs",
        sa.Column("user_id", BIG_ID, nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_mail_opt_outs_user_id_users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "kind", name="pk_mail_opt_outs"),
    )
    op.create_table(
        "task_reminders",
        sa.Column("task_id", BIG_ID, nullable=False),
        sa.Column("user_id", BIG_ID, nullable=False),
        sa.Column("due_date", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_task_reminders_task_id_tasks", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_task_reminders_user_id_users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("task_id", "user_id", "due_date", name="pk_task_reminders"),
    )
    # Deleting an account must not look through all reminders, nor must forgetting old ones.
    op.create_index("ix_task_reminders_user_id", "task_reminders", ["user_id"])
    op.create_index("ix_task_reminders_due_date", "task_reminders", ["due_date"])


def downgrade() -> None:
    """Drop what was added: people get every kind of e-mail again, by the days of UTC."""
    op.drop_table("task_reminders")
    op.drop_table("mail_opt_outs")
    op.drop_column("users", "time_zone")
